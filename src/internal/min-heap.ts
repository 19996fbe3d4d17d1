/** A binary heap: `pop` takes the item with the smallest rank; both operations take logarithmic time. */
export class MinHeap<Item> {
	readonly #items: Item[] = [];
	readonly #rank: (item: Item) => number;

	constructor(rank: (item: Item) => number) {
		this.#rank = rank;
	}

	get size(): number {
		return this.#items.length;
	}

	peek(): Item | undefined {
		return this.#items[0];
	}

	push(item: Item): void {
		const items = this.#items;
		let at = items.length;
		items.push(item);
		while (at > 0) {
			const parent = (at - 1) >> 1;
			if (this.#rank(items[parent] as Item) <= this.#rank(item)) break;
			items[at] = items[parent] as Item;
			at = parent;
		}
		items[at] = item;
	}

	pop(): Item | undefined {
		const items = this.#items;
		const top = items[0];
		const last = items.pop();
		if (last === undefined || items.length === 0) return top;
		let at = 0;
		for (;;) {
			let child = at * 2 + 1;
			if (child >= items.length) break;
			if (child + 1 < items.length && this.#rank(items[child + 1] as Item) < this.#rank(items[child] as Item))
				child++;
			if (this.#rank(last) <= this.#rank(items[child] as Item)) break;
			items[at] = items[child] as Item;
			at = child;
		}
		items[at] = last;
		return top;
	}
}
