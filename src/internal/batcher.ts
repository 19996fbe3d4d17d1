import { createDeferred, type Deferred } from "./deferred.ts";
import { nextTurn } from "./next-turn.ts";

/** Collects items and writes them together. */
export interface Batcher<Item> {
	/** Resolves once the item is written; rejects when that failed. All items of a batch share the promise. */
	add(item: Item): Promise<void>;
	/** Resolves once everything added so far is written or has failed. */
	idle(): Promise<void>;
}

interface Batch<Item> {
	readonly items: Item[];
	readonly done: Deferred<void>;
}

/**
 * Group commit: what is added in one turn of the event loop, or while the batch before is being written, goes into one
 * call of `write`. One write at a time, so a slow store gets larger batches instead of more of them.
 */
export function createBatcher<Item>(
	maxBatch: number,
	write: (items: readonly Item[]) => Promise<void>,
): Batcher<Item> {
	const waiting: Batch<Item>[] = [];
	let writing: Promise<void> | undefined;

	async function drain(): Promise<void> {
		// A turn, not a microtask: Node runs the microtasks of each socket before it looks at the next.
		await nextTurn();
		for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
			try {
				await write(batch.items);
				batch.done.resolve();
			} catch (error) {
				batch.done.reject(error);
			}
		}
		writing = undefined;
	}

	function openBatch(): Batch<Item> {
		const last = waiting.at(-1);
		if (last !== undefined && last.items.length < maxBatch) return last;
		const batch: Batch<Item> = { items: [], done: createDeferred() };
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
			return done.promise;
		},
		idle: () => writing ?? Promise.resolve(),
	};
}
