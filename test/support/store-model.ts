import type {
	DeliveryFilter,
	DeliveryState,
	GroupRequest,
	GroupRequests,
	NewDelivery,
	PruneRequest,
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
	/** How many of its leases ended. */
	crashes: number;
	/** The numbers of the attempts in its log. */
	log: number[];
	/** When it may be claimed, or when its lease ends. */
	dueAtMs: number;
	/** The token that may settle it, until its lease ends. */
	token: string | undefined;
	/** A token from before the store was opened again: nobody knows whether it is still good, until the next claim. */
	strandedToken: string | undefined;
	endedAtMs: number;
	/** What the store calls it; known once a query has shown it. */
	id: string;
}

/** An outbox store at its plainest: one list, looked through from end to end for every question. */
export class StoreModel {
	/** Since the model was made. */
	nowMs = 0;
	rows: ModelRow[] = [];
	/** When each event was added that is not forgotten. */
	readonly events = new Map<string, number>();
	readonly forgotten = new Set<string>();
	/** The tokens that it is known of whether they are good, in the order they were given out. */
	tokens: string[] = [];
	/** Every token that was ever given out. */
	readonly given = new Set<string>();
	/** Those that have settled something. */
	readonly used = new Set<string>();
	#turns = 0;

	addEvent(eventId: string, deliveries: readonly NewDelivery[]): void {
		this.forgotten.delete(eventId);
		this.events.set(eventId, this.nowMs);
		for (const delivery of deliveries) this.add(eventId, delivery);
	}

	add(eventId: string, { group, target, orderKey, delayMs = 0 }: NewDelivery): void {
		if (this.rows.some((row) => row.eventId === eventId && row.group === group && row.target === target))
			return;
		this.rows.push({
			...{ eventId, group, target, orderKey, state: "pending", attempts: 0, crashes: 0, log: [], id: "" },
			...{ token: undefined, strandedToken: undefined },
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

	capacityOf({ capacity, limitPerTarget }: GroupRequest, target: string): number {
		return capacity.get(target) ?? limitPerTarget;
	}

	/** How many deliveries of a group a claim must give. */
	countClaimable(group: string, request: GroupRequest): number {
		const perTarget = new Map<string, number>();
		for (const row of this.rows) {
			if (row.group !== group || !this.isClaimable(row)) continue;
			const count = (perTarget.get(row.target) ?? 0) + 1;
			perTarget.set(row.target, Math.min(count, this.capacityOf(request, row.target)));
		}
		let sum = 0;
		for (const count of perTarget.values()) sum += count;
		return Math.min(sum, request.limit);
	}

	claim(row: ModelRow, token: string, leaseMs: number): void {
		if (row.strandedToken !== undefined) this.tokens.push(row.strandedToken);
		row.strandedToken = undefined;
		if (row.state === "in_flight") row.crashes++;
		row.state = "in_flight";
		row.attempts++;
		row.token = token;
		row.dueAtMs = this.nowMs + leaseMs;
		this.tokens.push(token);
		this.given.add(token);
	}

	/** The delivery that a token may settle. */
	holderOf(token: string): ModelRow | undefined {
		return this.rows.find((row) => row.token === token && row.dueAtMs > this.nowMs);
	}

	settle(token: string, to: SettleTo): "ok" | "lost" {
		const row = this.holderOf(token);
		if (row === undefined) return "lost";
		row.token = undefined;
		row.log.push(row.attempts);
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

	release(token: string, delayMs: number): void {
		const row = this.holderOf(token);
		if (row === undefined) return;
		row.token = undefined;
		row.attempts--;
		row.state = row.attempts === 0 ? "pending" : "waiting";
		row.dueAtMs = this.nowMs + delayMs;
	}

	finish(row: ModelRow, state: DeliveryState): void {
		row.token = undefined;
		row.state = state;
		row.endedAtMs = this.nowMs;
	}

	replay(row: ModelRow): void {
		row.state = "pending";
		row.attempts = 0;
		row.crashes = 0;
		row.dueAtMs = this.nowMs;
		row.turn = this.#turns++;
	}

	/** Another store is open now: what is in flight may have ended with the one before. */
	strand(): void {
		for (const row of this.rows) {
			if (row.state !== "in_flight" || row.token === undefined) continue;
			const { token } = row;
			this.tokens = this.tokens.filter((each) => each !== token);
			row.strandedToken = token;
			row.token = undefined;
		}
	}

	/** What a prune may take, the oldest first. */
	prunable({ filter = {}, olderThanMs = 0 }: PruneRequest): ModelRow[] {
		return this.pick(filter)
			.filter((row) => this.isFinal(row) && row.endedAtMs <= this.nowMs - olderThanMs)
			.sort((a, b) => a.endedAtMs - b.endedAtMs);
	}

	forget(gone: readonly ModelRow[]): void {
		this.rows = this.rows.filter((row) => !gone.includes(row));
		for (const { eventId } of gone) if (this.isBare(eventId)) this.forgetEvent(eventId);
	}

	/** Whether no delivery needs the event. */
	isBare(eventId: string): boolean {
		return !this.rows.some((row) => row.eventId === eventId);
	}

	forgetEvent(eventId: string): void {
		this.events.delete(eventId);
		this.forgotten.add(eventId);
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

	nextDueInMs(groups: GroupRequests): number | undefined {
		const due = this.rows
			.filter((row) => groups.has(row.group) && !this.isFinal(row) && this.isFirst(row))
			.map(({ dueAtMs }) => Math.max(0, dueAtMs - this.nowMs));
		return due.length === 0 ? undefined : Math.min(...due);
	}
}
