/** A first-in, first-out list: `push` and `shift` in constant time, unlike an array's `shift`. */
export class Fifo<Item> {
	#items: (Item | undefined)[] = [];
	#head = 0;

	get size(): number {
		return this.#items.length - this.#head;
	}

	peek(): Item | undefined {
		return this.#items[this.#head];
	}

	push(item: Item): void {
		this.#items.push(item);
	}

	shift(): Item | undefined {
		const item = this.#items[this.#head];
		if (this.#head === this.#items.length) return undefined;
		this.#items[this.#head++] = undefined;
		// Cutting once half the array is spent moves each item at most once more on average.
		if (this.#head > 512 && this.#head * 2 > this.#items.length) {
			this.#items = this.#items.slice(this.#head);
			this.#head = 0;
		} else if (this.#head === this.#items.length) {
			this.#items.length = 0;
			this.#head = 0;
		}
		return item;
	}

	/** Empties the list and returns what was in it, first in first. */
	takeAll(): Item[] {
		const items = this.#items.slice(this.#head) as Item[];
		this.#items = [];
		this.#head = 0;
		return items;
	}
}
