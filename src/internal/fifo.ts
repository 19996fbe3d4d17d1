const smallestCapacity = 16;

/**
 * A first-in, first-out list: `push` and `shift` in constant time, unlike an array's `shift`. A ring that keeps its
 * array: a dead array in old space would keep alive, and have copied, all the items it had when it was left.
 */
export class Fifo<Item> {
	/** As long as a power of two. */
	#ring: (Item | undefined)[] = new Array<Item | undefined>(smallestCapacity);
	#head = 0;
	#size = 0;

	get size(): number {
		return this.#size;
	}

	peek(): Item | undefined {
		return this.#ring[this.#head];
	}

	push(item: Item): void {
		if (this.#size === this.#ring.length) this.#moveTo(this.#size * 2);
		this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item;
		this.#size++;
	}

	shift(): Item | undefined {
		if (this.#size === 0) return undefined;
		const item = this.#ring[this.#head];
		this.#ring[this.#head] = undefined;
		this.#head = (this.#head + 1) & (this.#ring.length - 1);
		this.#size--;
		// The room of a large backlog is given back in halves, each once it is seven eighths empty.
		if (this.#size * 8 < this.#ring.length && this.#ring.length > 1_024) this.#moveTo(this.#ring.length / 2);
		return item;
	}

	/** Empties the list and returns what was in it, first in first. */
	takeAll(): Item[] {
		const items = Array.from({ length: this.#size }, (_, index) => this.#at(index) as Item);
		this.#ring = new Array<Item | undefined>(smallestCapacity);
		this.#head = 0;
		this.#size = 0;
		return items;
	}

	#at(index: number): Item | undefined {
		return this.#ring[(this.#head + index) & (this.#ring.length - 1)];
	}

	#moveTo(capacity: number): void {
		const ring = new Array<Item | undefined>(capacity);
		for (let index = 0; index < this.#size; index++) ring[index] = this.#at(index);
		this.#ring.fill(undefined);
		this.#ring = ring;
		this.#head = 0;
	}
}
