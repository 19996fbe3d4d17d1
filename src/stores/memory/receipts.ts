import type { Clock } from "../../internal/clock.ts";
import { createId } from "../../internal/id.ts";
import type { Receipt, ReceiptClaim } from "../../outbox/ports.ts";

interface Row {
	/** `undefined`: it is done. */
	token: string | undefined;
	/** When the lease ends or it is forgotten. */
	untilMs: number;
}

/** The received ids of a memory store. */
export class Receipts {
	readonly #clock: Clock;
	readonly #rows = new Map<string, Row>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	claim(key: string, leaseMs: number): ReceiptClaim {
		const nowMs = this.#clock.now();
		const row = this.#rows.get(key);
		if (row !== undefined && row.untilMs > nowMs) {
			return row.token === undefined ? { state: "done" } : { state: "busy", freeInMs: row.untilMs - nowMs };
		}
		const token = createId("rcp");
		this.#rows.set(key, { token, untilMs: nowMs + leaseMs });
		return { state: "claimed", receipt: { key, token } };
	}

	extend(receipt: Receipt, leaseMs: number): boolean {
		const row = this.#held(receipt);
		if (row !== undefined) row.untilMs = this.#clock.now() + leaseMs;
		return row !== undefined;
	}

	confirm(receipt: Receipt, keepForMs: number): boolean {
		const row = this.#held(receipt);
		if (row === undefined) return false;
		row.token = undefined;
		row.untilMs = this.#clock.now() + keepForMs;
		return true;
	}

	release(receipt: Receipt): boolean {
		return this.#held(receipt) !== undefined && this.#rows.delete(receipt.key);
	}

	prune(limit: number): number {
		const nowMs = this.#clock.now();
		let pruned = 0;
		for (const [key, { untilMs }] of this.#rows) {
			if (pruned >= limit) break;
			if (untilMs <= nowMs && this.#rows.delete(key)) pruned++;
		}
		return pruned;
	}

	#held({ key, token }: Receipt): Row | undefined {
		const row = this.#rows.get(key);
		return row?.token === token ? row : undefined;
	}
}
