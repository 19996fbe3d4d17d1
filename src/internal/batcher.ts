import { createDeferred, type Deferred } from "./deferred.ts";

/** Collects items and writes them together. */
export interface Batcher<Item, Result> {
	/** Resolves with the item's own result once its batch is written; rejects when writing it failed. */
	add(item: Item): Promise<Result>;
	/** Resolves once everything added so far is written or has failed. */
	idle(): Promise<void>;
}

/**
 * Group commit: what is added in one tick, or while the batch before is being written, goes into one call of `write`.
 * One write at a time, so a slow store gets larger batches instead of more of them.
 */
export function createBatcher<Item, Result>(
	maxBatch: number,
	write: (items: readonly Item[]) => Promise<readonly Result[]>,
): Batcher<Item, Result> {
	const waiting: { item: Item; done: Deferred<Result> }[] = [];
	let writing: Promise<void> | undefined;

	async function drain(): Promise<void> {
		await Promise.resolve();
		while (waiting.length > 0) {
			const batch = waiting.splice(0, maxBatch);
			try {
				const results = await write(batch.map(({ item }) => item));
				for (const [index, { done }] of batch.entries()) done.resolve(results[index] as Result);
			} catch (error) {
				for (const { done } of batch) done.reject(error);
			}
		}
		writing = undefined;
	}

	return {
		add(item) {
			const done = createDeferred<Result>();
			waiting.push({ item, done });
			writing ??= drain();
			return done.promise;
		},
		idle: () => writing ?? Promise.resolve(),
	};
}
