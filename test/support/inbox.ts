import { createDeferred, type Deferred } from "../../src/internal/deferred.ts";

/** Things that arrive, and a way to wait for the next of them. */
export class Inbox<Item> {
	/** All that has arrived, whether or not it was taken. */
	readonly items: Item[] = [];
	#taken = 0;
	readonly #waiting: Deferred<Item>[] = [];

	push(item: Item): void {
		this.items.push(item);
		const waiting = this.#waiting.shift();
		if (waiting === undefined) return;
		this.#taken++;
		waiting.resolve(item);
	}

	/** The first item that no call has taken yet; resolves when it arrives. */
	next(): Promise<Item> {
		const item = this.items[this.#taken];
		if (item !== undefined) {
			this.#taken++;
			return Promise.resolve(item);
		}
		const waiting = createDeferred<Item>();
		this.#waiting.push(waiting);
		return waiting.promise;
	}

	async take(count: number): Promise<Item[]> {
		const taken: Item[] = [];
		while (taken.length < count) taken.push(await this.next());
		return taken;
	}
}
