/** What stands in an order. */
export interface Ordered {
	/** Where it stands; `undefined`, in none. */
	readonly orderLane: string | undefined;
}

/** Each order in use: its first unfinished row and those behind it. */
export class OrderLanes<Row extends Ordered> {
	readonly #lanes = new Map<string, { holder: Row; readonly behind: Set<Row> }>();

	/** The first of the order that a row is in. */
	holderOf({ orderLane }: Row): Row | undefined {
		return orderLane === undefined ? undefined : this.#lanes.get(orderLane)?.holder;
	}

	/** Answers whether it is the first, or in no order. */
	enter(row: Row): boolean {
		if (row.orderLane === undefined) return true;
		const lane = this.#lanes.get(row.orderLane);
		if (lane !== undefined) {
			lane.behind.add(row);
			return false;
		}
		this.#lanes.set(row.orderLane, { holder: row, behind: new Set() });
		return true;
	}

	/** Returns the row that is the first from now on, where it was this one. */
	leave(row: Row): Row | undefined {
		if (row.orderLane === undefined) return undefined;
		const lane = this.#lanes.get(row.orderLane);
		if (lane?.holder !== row) {
			lane?.behind.delete(row);
			return undefined;
		}
		const [next] = lane.behind;
		if (next === undefined) {
			this.#lanes.delete(row.orderLane);
			return undefined;
		}
		lane.behind.delete(next);
		lane.holder = next;
		return next;
	}
}
