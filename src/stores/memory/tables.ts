import { CallhookError } from "../../errors.ts";
import type { Clock } from "../../internal/clock.ts";
import { Fifo } from "../../internal/fifo.ts";
import { createId } from "../../internal/id.ts";
import { MinHeap } from "../../internal/min-heap.ts";
import type {
	AttemptRecord,
	DeliveryState,
	GroupRequests,
	NewDelivery,
	StoredEvent,
} from "../../outbox/ports.ts";
import { Endpoints } from "./endpoints.ts";
import { OrderLanes } from "./order-lanes.ts";
import { Receipts } from "./receipts.ts";

/** An event and the targets whose deliveries need it. */
export interface EventRow {
	/** Rises from event to event. */
	readonly seq: number;
	readonly event: StoredEvent;
	readonly idempotencyKey: string | undefined;
	readonly addedAtMs: number;
	readonly targets: Set<string>;
}

export interface DeliveryRow {
	readonly id: string;
	readonly event: EventRow;
	readonly group: string;
	readonly target: string;
	/** Group, target and order key in one; `undefined` where no order is kept. */
	readonly orderLane: string | undefined;
	readonly orderKey: string | undefined;
	readonly addedAtMs: number;
	state: DeliveryState;
	attemptCount: number;
	crashes: number;
	attempts: AttemptRecord[];
	/** When it may be claimed: its due time, or the end of its lease while it is in flight. */
	dueAtMs: number;
	token: string | undefined;
	endedAtMs: number;
}

/** The claimable deliveries of one target, oldest first. */
export interface TargetQueue {
	readonly target: string;
	readonly ready: Fifo<DeliveryRow>;
}

const finalStates: readonly DeliveryState[] = ["delivered", "dead", "cancelled"];

export function isFinal(row: DeliveryRow): boolean {
	return finalStates.includes(row.state);
}

export function nameTarget(group: string, target: string): string {
	return `${group}\n${target}`;
}

/** The rows of a memory store and the indexes that keep claims fast; its methods keep the two in step. */
export class Tables {
	readonly clock: Clock;
	readonly events: Map<string, EventRow> = new Map();
	readonly deliveries: Map<string, DeliveryRow> = new Map();
	readonly endpoints: Endpoints = new Endpoints();
	readonly receipts: Receipts;
	readonly claims: Map<string, DeliveryRow> = new Map();
	/** How many claims there have ever been. */
	claimCount = 0;
	/** Ids that rise, from one UUID for all of them: one for each would be a tenth of the work of a delivery. */
	readonly #idPrefix = createId("dlv");
	#deliveryCount = 0;
	#eventCount = 0;
	/** The targets of each group that have something ready, in the order of their turns: those of the past cost nothing. */
	readonly active: Map<string, Map<string, TargetQueue>> = new Map();
	readonly #eventsByKey = new Map<string, EventRow>();
	/** By group. */
	readonly #notYetDue = new Map<string, MinHeap<{ row: DeliveryRow; dueAtMs: number }>>();
	readonly #orderLanes = new OrderLanes<DeliveryRow>();
	readonly #finished = new Set<DeliveryRow | EventRow>();
	readonly #maxFinished: number;
	readonly #listeners = new Set<() => void>();
	#hasNews = false;
	#isClosed = false;

	constructor(clock: Clock, maxFinished: number) {
		this.clock = clock;
		this.receipts = new Receipts(clock);
		this.#maxFinished = maxFinished;
	}

	checkOpen(): void {
		if (this.#isClosed) {
			throw new CallhookError("ERR_CALLHOOK_CLOSED", "The memory store is closed", { what: "store" });
		}
	}

	close(): void {
		this.#isClosed = true;
		this.#listeners.clear();
	}

	addListener(listener: () => void): () => void {
		this.#listeners.add(listener);
		return () => void this.#listeners.delete(listener);
	}

	/** An endpoint has changed, which deliveries may wait for. */
	noteNews(): void {
		this.#hasNews = true;
	}

	/** Tells the listeners if something was scheduled or cancelled since the last time. */
	wake(): void {
		if (!this.#hasNews) return;
		this.#hasNews = false;
		for (const listener of this.#listeners) listener();
	}

	/** Adds an event; `undefined` when its id or its idempotency key is known. */
	addEvent(event: StoredEvent, idempotencyKey: string | undefined): EventRow | undefined {
		if (this.events.has(event.id)) return undefined;
		if (idempotencyKey !== undefined && this.#eventsByKey.has(idempotencyKey)) return undefined;
		const seq = ++this.#eventCount;
		const row: EventRow = { seq, event, idempotencyKey, addedAtMs: this.clock.now(), targets: new Set() };
		this.events.set(event.id, row);
		if (idempotencyKey !== undefined) this.#eventsByKey.set(idempotencyKey, row);
		return row;
	}

	/** Adds a delivery, unless the event has one to that target; answers whether it did. */
	addDelivery(event: EventRow, { group, target, orderKey, delayMs = 0 }: NewDelivery): boolean {
		const name = nameTarget(group, target);
		if (event.targets.has(name)) return false;
		event.targets.add(name);
		const now = this.clock.now();
		const row: DeliveryRow = {
			id: `${this.#idPrefix}-${String(this.#deliveryCount++).padStart(12, "0")}`,
			event,
			group,
			target,
			orderLane: orderKey === undefined ? undefined : `${name}\n${orderKey}`,
			orderKey,
			addedAtMs: now,
			state: "pending",
			attemptCount: 0,
			crashes: 0,
			attempts: [],
			dueAtMs: now + delayMs,
			token: undefined,
			endedAtMs: 0,
		};
		this.deliveries.set(row.id, row);
		this.#enterOrderLane(row);
		return true;
	}

	/** The first unfinished delivery of its order, where it is behind one. */
	blockerOf(row: DeliveryRow): string | undefined {
		const holder = this.#orderLanes.holderOf(row);
		return holder === row ? undefined : holder?.id;
	}

	/** Makes a delivery claimable at its `dueAtMs`. */
	schedule(row: DeliveryRow): void {
		this.#hasNews = true;
		if (row.dueAtMs <= this.clock.now()) return this.#makeReady(row);
		let heap = this.#notYetDue.get(row.group);
		if (heap === undefined) {
			heap = new MinHeap(({ dueAtMs }) => dueAtMs);
			this.#notYetDue.set(row.group, heap);
		}
		heap.push({ row, dueAtMs: row.dueAtMs });
	}

	/** Queues what has come due since the last call, deliveries whose lease has ended included. */
	queueDue(): void {
		const now = this.clock.now();
		for (const heap of this.#notYetDue.values()) {
			for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
				const isStale = next.row.dueAtMs !== next.dueAtMs || !this.#isNext(next.row);
				if (!isStale && next.dueAtMs > now) break;
				heap.pop();
				if (!isStale) this.#makeReady(next.row);
			}
		}
		for (const row of this.claims.values()) {
			if (row.dueAtMs > now) continue;
			this.unclaim(row, "waiting");
			row.crashes++;
			this.schedule(row);
		}
	}

	/** The next delivery of a target to be claimed; drops entries of deliveries that were claimed or ended otherwise. */
	peekReady({ ready }: TargetQueue): DeliveryRow | undefined {
		for (let row = ready.peek(); row !== undefined; row = ready.peek()) {
			const isNext = this.#isNext(row);
			if (isNext && row.dueAtMs <= this.clock.now()) return row;
			ready.shift();
			// Not yet due: it waits for a retry, or the clock was set back.
			if (isNext) this.schedule(row);
		}
		return undefined;
	}

	/** When the next delivery of these groups is claimable, or a lease ends; `undefined` when none is to come. */
	nextDueAtMs(groups: GroupRequests): number | undefined {
		this.queueDue();
		let next: number | undefined;
		for (const [group, { capacity }] of groups) {
			for (const queue of this.active.get(group)?.values() ?? []) {
				if (capacity.get(queue.target) !== 0 && this.peekReady(queue) !== undefined) return this.clock.now();
			}
			const first = this.#notYetDue.get(group)?.peek();
			if (first !== undefined) next = Math.min(next ?? first.dueAtMs, first.dueAtMs);
		}
		for (const { group, dueAtMs } of this.claims.values()) {
			if (groups.has(group)) next = Math.min(next ?? dueAtMs, dueAtMs);
		}
		return next;
	}

	/** Whether a delivery waits to be claimed and has no other before it in its order. */
	#isNext(row: DeliveryRow): boolean {
		if (row.state !== "pending" && row.state !== "waiting") return false;
		return row.orderLane === undefined || this.#orderLanes.holderOf(row) === row;
	}

	unclaim(row: DeliveryRow, state: DeliveryState): void {
		if (row.token !== undefined) this.claims.delete(row.token);
		row.token = undefined;
		row.state = state;
	}

	finish(row: DeliveryRow, state: DeliveryState): void {
		this.unclaim(row, state);
		row.endedAtMs = this.clock.now();
		this.#leaveOrderLane(row);
		this.keepFinished(row);
	}

	/** Unlike the end of a claim, this is news to whoever waits for the delivery. */
	cancel(row: DeliveryRow): void {
		this.finish(row, "cancelled");
		this.#hasNews = true;
	}

	/** Takes a delivery away that stood for a group, and puts others in its place. */
	replace(row: DeliveryRow, deliveries: readonly NewDelivery[]): void {
		this.unclaim(row, "cancelled");
		this.#leaveOrderLane(row);
		this.#removeDelivery(row);
		for (const delivery of deliveries) this.addDelivery(row.event, delivery);
		if (row.event.targets.size === 0) this.keepFinished(row.event);
	}

	/** Makes a final delivery pending again: as another row, since this one may have been cancelled where it stood in a queue. */
	revive(old: DeliveryRow): void {
		this.#finished.delete(old);
		const dueAtMs = this.clock.now();
		const row: DeliveryRow = { ...old, state: "pending", attemptCount: 0, crashes: 0, dueAtMs };
		this.deliveries.set(row.id, row);
		this.#enterOrderLane(row);
	}

	/** Forgets those of the finished that are picked, the oldest first, and not the newest `keep`; returns how many. */
	forgetFinished(isPicked: (row: DeliveryRow | EventRow) => boolean, keep: number, limit: number): number {
		const rows = [...this.#finished].filter(isPicked);
		let forgotten = 0;
		for (const row of rows.slice(0, Math.max(0, Math.min(limit, rows.length - keep)))) {
			this.#finished.delete(row);
			forgotten += this.#forget(row);
		}
		return forgotten;
	}

	#enterOrderLane(row: DeliveryRow): void {
		if (this.#orderLanes.enter(row)) this.schedule(row);
	}

	#leaveOrderLane(row: DeliveryRow): void {
		const next = this.#orderLanes.leave(row);
		if (next !== undefined) this.schedule(next);
	}

	#makeReady(row: DeliveryRow): void {
		let active = this.active.get(row.group);
		if (active === undefined) {
			active = new Map();
			this.active.set(row.group, active);
		}
		let queue = active.get(row.target);
		if (queue === undefined) {
			queue = { target: row.target, ready: new Fifo() };
			active.set(row.target, queue);
		}
		queue.ready.push(row);
	}

	#removeDelivery(row: DeliveryRow): void {
		this.deliveries.delete(row.id);
		row.event.targets.delete(nameTarget(row.group, row.target));
	}

	/** Keeps a finished delivery, or an event that no delivery needs, until too many came after it. */
	keepFinished(row: DeliveryRow | EventRow): void {
		this.#finished.add(row);
		for (const oldest of this.#finished) {
			if (this.#finished.size <= this.#maxFinished) break;
			this.#finished.delete(oldest);
			this.#forget(oldest);
		}
	}

	/** Returns 1 when the row was still there and final, else 0: it may have been replayed in the meantime. */
	#forget(row: DeliveryRow | EventRow): 0 | 1 {
		if ("id" in row) {
			if (!isFinal(row) || !this.deliveries.has(row.id)) return 0;
			this.#removeDelivery(row);
			if (row.event.targets.size === 0) this.#forgetEvent(row.event);
			return 1;
		}
		if (row.targets.size > 0 || this.events.get(row.event.id) !== row) return 0;
		this.#forgetEvent(row);
		return 1;
	}

	#forgetEvent(row: EventRow): void {
		this.events.delete(row.event.id);
		if (row.idempotencyKey !== undefined) this.#eventsByKey.delete(row.idempotencyKey);
	}
}
