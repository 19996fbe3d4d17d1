import type {
	ClaimRequest,
	DeliveryFilter,
	DeliveryState,
	NewDelivery,
	SettleTo,
} from "../../src/outbox/ports.ts";

/** A delivery as the model sees it. */
export interface ModelRow {
	readonly eventId: string;
	readonly group: string;
	readonly target: string;
	readonly orderKey: string | undefined;
	readonly addedAtMs: number;
	state: DeliveryState;
	/** Where it stands among those of its order key. */
	turn: number;
	attempts: number;
	/** When it may be claimed, or when its lease ends. */
	dueAtMs: number;
	/** The token that may settle it, until its lease ends. */
	token: string | undefined;
	endedAtMs: number;
	/** What the store calls it; known once a query has shown it. */
	id: string;
}

/** An outbox store at its plainest: one list, looked through from end to end for every question. */
export class StoreModel {
	nowMs: number;
	rows: ModelRow[] = [];
	/** Every token that was ever given out, in order. */
	readonly tokens: string[] = [];
	/** Those that have settled something. */
	readonly used = new Set<string>();
	#turns = 0;

	constructor(nowMs: number) {
		this.nowMs = nowMs;
	}

	add(eventId: string, { group, target, orderKey, delayMs = 0 }: NewDelivery): void {
		if (this.rows.some((row) => row.eventId === eventId && row.group === group && row.target === target))
			return;
		this.rows.push({
			...{ eventId, group, target, orderKey, state: "pending", attempts: 0, token: undefined, id: "" },
			...{ addedAtMs: this.nowMs, turn: this.#turns++, dueAtMs: this.nowMs + delayMs, endedAtMs: 0 },
		});
	}

	isFinal({ state }: ModelRow): boolean {
		return state === "delivered" || state === "dead" || state === "cancelled";
	}

	/** Whether no unfinished delivery of the same order key stands before this one. */
	isFirst(row: ModelRow): boolean {
		return (
			row.orderKey === undefined ||
			!this.rows.some(
				(other) =>
					other.group === row.group &&
					other.target === row.target &&
					other.orderKey === row.orderKey &&
					other.turn < row.turn &&
					!this.isFinal(other),
			)
		);
	}

	isClaimable(row: ModelRow): boolean {
		return !this.isFinal(row) && row.dueAtMs <= this.nowMs && this.isFirst(row);
	}

	capacityOf({ capacity, limitPerTarget }: ClaimRequest, target: string): number {
		return capacity.get(target) ?? limitPerTarget;
	}

	/** How many deliveries a claim must give. */
	countClaimable(request: ClaimRequest): number {
		const perTarget = new Map<string, number>();
		for (const row of this.rows) {
			if (!request.groups.includes(row.group) || !this.isClaimable(row)) continue;
			const name = `${row.group} ${row.target}`;
			const count = (perTarget.get(name) ?? 0) + 1;
			perTarget.set(name, Math.min(count, this.capacityOf(request, row.target)));
		}
		let sum = 0;
		for (const count of perTarget.values()) sum += count;
		return Math.min(sum, request.limit);
	}

	claim(row: ModelRow, token: string, leaseMs: number): void {
		row.state = "in_flight";
		row.attempts++;
		row.token = token;
		row.dueAtMs = this.nowMs + leaseMs;
		this.tokens.push(token);
	}

	/** The delivery that a token may settle. */
	holderOf(token: string): ModelRow | undefined {
		return this.rows.find((row) => row.token === token && row.dueAtMs > this.nowMs);
	}

	settle(token: string, to: SettleTo): "ok" | "lost" {
		const row = this.holderOf(token);
		if (row === undefined) return "lost";
		row.token = undefined;
		if (to.state === "waiting") {
			row.state = "waiting";
			row.dueAtMs = this.nowMs + to.retryInMs;
		} else if (to.state === "routed") {
			this.rows.splice(this.rows.indexOf(row), 1);
			for (const delivery of to.deliveries) this.add(row.eventId, delivery);
		} else {
			this.finish(row, to.state);
		}
		return "ok";
	}

	release(token: string): void {
		const row = this.holderOf(token);
		if (row === undefined) return;
		row.token = undefined;
		row.attempts--;
		row.state = row.attempts === 0 ? "pending" : "waiting";
		row.dueAtMs = this.nowMs;
	}

	finish(row: ModelRow, state: DeliveryState): void {
		row.token = undefined;
		row.state = state;
		row.endedAtMs = this.nowMs;
	}

	replay(row: ModelRow): void {
		row.state = "pending";
		row.attempts = 0;
		row.dueAtMs = this.nowMs;
		row.turn = this.#turns++;
	}

	pick({ ids, eventId, target, group }: DeliveryFilter): ModelRow[] {
		return this.rows.filter(
			(row) =>
				(ids === undefined || ids.includes(row.id)) &&
				(eventId === undefined || row.eventId === eventId) &&
				(target === undefined || row.target === target) &&
				(group === undefined || row.group === group),
		);
	}

	nextDueInMs(groups: readonly string[]): number | undefined {
		const due = this.rows
			.filter((row) => groups.includes(row.group) && !this.isFinal(row) && this.isFirst(row))
			.map(({ dueAtMs }) => Math.max(0, dueAtMs - this.nowMs));
		return due.length === 0 ? undefined : Math.min(...due);
	}
}
