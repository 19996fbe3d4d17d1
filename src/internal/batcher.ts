import { createDeferred, type Deferred } from "./deferred.ts";

/** Where an item went: its place in a batch, and the results of that batch once it is written. */
interface BatchSlot<Result> {
	readonly index: number;
	/** Shared by all items of the batch; rejects when writing it failed. */
	readonly results: Promise<readonly Result[]>;
}

/** Collects items and writes them together. */
export interface Batcher<Item, Result> {
	add(item: Item): BatchSlot<Result>;
	/** Resolves once everything added so far is written or has failed. */
	idle(): Promise<void>;
}

interface Batch<Item, Result> {
	readonly items: Item[];
	readonly done: Deferred<readonly Result[]>;
}

/**
 * Group commit: what is added in one tick, or while the batch before is being written, goes into one call of `write`.
 * One write at a time, so a slow store gets larger batches instead of more of them.
 */
export function createBatcher<Item, Result>(
	maxBatch: number,
	write: (items: readonly Item[]) => Promise<readonly Result[]>,
): Batcher<Item, Result> {
	const waiting: Batch<Item, Result>[] = [];
	let writing: Promise<void> | undefined;

	async function drain(): Promise<void> {
		await Promise.resolve();
		for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
			try {
				batch.done.resolve(await write(batch.items));
			} catch (error) {
				batch.done.reject(error);
			}
		}
		writing = undefined;
	}

	function openBatch(): Batch<Item, Result> {
		const last = waiting.at(-1);
		if (last !== undefined && last.items.length < maxBatch) return last;
		const batch: Batch<Item, Result> = { items: [], done: createDeferred() };
		// Whoever added the items may not look at the results; `write` has seen the error.
		batch.done.promise.catch(() => undefined);
		waiting.push(batch);
		return batch;
	}

	return {
		add(item) {
			const { items, done } = openBatch();
			items.push(item);
			writing ??= drain();
			return { index: items.length - 1, results: done.promise };
		},
		idle: () => writing ?? Promise.resolve(),
	};
}
