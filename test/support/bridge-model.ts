import { Webhook } from "standardwebhooks";
import type { FakeRequest } from "./fake-network.ts";

/** How the bridge under test is set up. */
export const modelSettings = {
	delaysMs: [1_000, 5_000, 20_000],
	timeoutMs: 3_000,
	breaker: { failures: 3, pauseMs: 4_000, maxPauseMs: 10_000 },
	disableAfterMs: 60_000,
	maxRetryAfterMs: 30_000,
} as const;

export interface ModelEvent {
	readonly id: string;
	readonly type: string;
	readonly key: string | undefined;
	readonly tenant: string | undefined;
	readonly addedAtMs: number;
}

/** What a request came to. */
export type Answer =
	| {
			readonly status: number;
			readonly retryAfterS?: number | undefined;
			readonly asks?: "abort-message" | "disable" | undefined;
	  }
	| { readonly error: string };

export interface ModelEndpoint {
	readonly id: string;
	path: string;
	events: string;
	readonly tenant: string | undefined;
	readonly order: "none" | "key" | "endpoint";
	readonly concurrency: number;
	state: "enabled" | "disabled" | "deleted";
	reason: "manual" | "gone" | "asked" | "failing" | undefined;
	failures: number;
	failingSinceMs: number | undefined;
	pause: { readonly untilMs: number; readonly level: number } | undefined;
	/** The newest first. */
	keys: { readonly secret: string; readonly untilMs: number }[];
}

export interface ModelRow {
	readonly event: ModelEvent;
	readonly endpoint: ModelEndpoint;
	readonly lane: string | undefined;
	/** Its place in the order. */
	position: number;
	id: string;
	/** `open`: it is to be sent, now or later. */
	state: "open" | "sending" | "delivered" | "dead" | "cancelled";
	/** Made since it was last begun. */
	attempts: number;
	/** The numbers of all attempts that are written down. */
	readonly log: number[];
	dueAtMs: number;
	/** Requests that were seen, and those that nothing is written down of. */
	seen: number;
	unwritten: number;
}

/** A request under way. */
interface Sending {
	readonly row: ModelRow;
	readonly path: string;
	/** What comes of it does not count any more. */
	isLost: boolean;
}

/** The plainest of bridges: what is promised, without stores, leases and lanes. */
export class BridgeModel {
	nowMs: number;
	readonly startMs: number;
	readonly events: ModelEvent[] = [];
	readonly endpoints: ModelEndpoint[] = [];
	readonly rows: ModelRow[] = [];
	readonly sending: Map<FakeRequest, Sending> = new Map();
	#positions = 0;

	constructor(nowMs: number) {
		this.nowMs = nowMs;
		this.startMs = nowMs;
	}

	emit(event: ModelEvent): void {
		this.events.push(event);
		for (const endpoint of this.endpoints) {
			if (endpoint.state === "enabled" && takes(endpoint, event)) this.#add(event, endpoint);
		}
	}

	/** Events that an endpoint would have got and did not. */
	missing(endpoint: ModelEndpoint, sinceMs: number): ModelEvent[] {
		return this.events.filter(
			(event) =>
				event.addedAtMs >= sinceMs &&
				takes(endpoint, event) &&
				!this.rows.some((row) => row.event === event && row.endpoint === endpoint),
		);
	}

	addMissing(endpoint: ModelEndpoint, sinceMs: number): void {
		for (const event of this.missing(endpoint, sinceMs)) this.#add(event, endpoint);
	}

	#add(event: ModelEvent, endpoint: ModelEndpoint): void {
		const { order } = endpoint;
		this.rows.push({
			...{ event, endpoint, id: "", state: "open", attempts: 0, log: [], seen: 0, unwritten: 0 },
			lane: order === "endpoint" ? "*" : order === "key" ? event.key : undefined,
			position: this.#positions++,
			dueAtMs: this.nowMs,
		});
	}

	/** A final delivery, or one that is not under way, begins anew. */
	revive(row: ModelRow): void {
		Object.assign(row, { state: "open", attempts: 0, dueAtMs: this.nowMs, position: this.#positions++ });
	}

	cancel(row: ModelRow): void {
		for (const sending of this.sending.values()) if (sending.row === row) this.#lose(sending);
		row.state = "cancelled";
	}

	#lose(sending: Sending): void {
		if (sending.isLost) return;
		sending.isLost = true;
		sending.row.unwritten++;
	}

	/** What is under way ends by itself. */
	disable(endpoint: ModelEndpoint, reason: NonNullable<ModelEndpoint["reason"]>): void {
		if (endpoint.state !== "enabled") return;
		endpoint.state = "disabled";
		endpoint.reason = reason;
		for (const row of this.rows) {
			if (row.endpoint === endpoint && row.state === "open") row.state = "cancelled";
		}
	}

	delete(endpoint: ModelEndpoint): void {
		endpoint.state = "deleted";
		for (const row of this.rows) if (row.endpoint === endpoint && !isFinal(row)) this.cancel(row);
	}

	heal(endpoint: ModelEndpoint): void {
		Object.assign(endpoint, { failures: 0, failingSinceMs: undefined, pause: undefined });
	}

	/** Requests of an endpoint that are under way, those too whose deliveries were cancelled. */
	openRequests(endpoint: ModelEndpoint): number {
		return [...this.sending.values()].filter(({ row }) => row.endpoint === endpoint).length;
	}

	isPaused({ pause }: ModelEndpoint): boolean {
		return pause !== undefined && this.nowMs < pause.untilMs;
	}

	/** How many requests an endpoint may get at once: one, until one has succeeded behind a pause. */
	ceiling(endpoint: ModelEndpoint): number {
		return endpoint.pause === undefined ? endpoint.concurrency : 1;
	}

	/** Why a delivery may not be sent now; `undefined` when it may. */
	hindrance(row: ModelRow): string | undefined {
		const { endpoint, lane } = row;
		if (row.state !== "open") return `it is ${row.state}`;
		if (endpoint.state !== "enabled") return `its endpoint is ${endpoint.state}`;
		if (this.isPaused(endpoint)) return `its endpoint is paused until ${endpoint.pause?.untilMs}`;
		if (row.dueAtMs > this.nowMs) return `it is due in ${row.dueAtMs - this.nowMs} ms`;
		const isBehind = this.rows.some(
			(other) =>
				other.endpoint === endpoint &&
				other.lane === lane &&
				!isFinal(other) &&
				other.position < row.position,
		);
		return lane !== undefined && isBehind ? "another one comes before it" : undefined;
	}

	send(request: FakeRequest): void {
		const eventId = request.headers["webhook-id"];
		const row = this.rows.find(
			({ event, endpoint }) => event.id === eventId && endpoint.path === request.path,
		);
		if (row === undefined) throw new Error(`nothing is to be sent of ${eventId} to ${request.path}`);
		const hindrance = this.hindrance(row);
		if (hindrance !== undefined) throw new Error(`a delivery was sent, and ${hindrance}`);
		const { endpoint } = row;
		if (this.openRequests(endpoint) >= this.ceiling(endpoint)) throw new Error("too many requests at once");
		const wanted = this.#signatures(endpoint, request);
		if (request.headers["webhook-signature"] !== wanted) throw new Error("it is signed with the wrong keys");
		this.sending.set(request, { row, path: request.path, isLost: false });
		row.state = "sending";
		row.attempts++;
		row.seen++;
	}

	#signatures({ keys }: ModelEndpoint, { headers, body }: FakeRequest): string {
		const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
		return keys
			.filter(({ untilMs }) => this.nowMs < untilMs)
			.map(({ secret }) => new Webhook(secret).sign(headers["webhook-id"] as string, at, body))
			.join(" ");
	}

	/** The bridge has stopped: it was not an attempt. */
	giveUp(request: FakeRequest): void {
		const sending = this.sending.get(request) as Sending;
		this.sending.delete(request);
		if (sending.isLost) return;
		const { row } = sending;
		row.unwritten++;
		row.attempts--;
		row.state = row.endpoint.state === "enabled" ? "open" : "cancelled";
		row.dueAtMs = this.nowMs;
	}

	end(request: FakeRequest, answer: Answer): void {
		const sending = this.sending.get(request) as Sending;
		const { row, path, isLost } = sending;
		const { endpoint } = row;
		this.sending.delete(request);
		const status = "status" in answer ? answer.status : 0;
		const asks = "status" in answer ? answer.asks : undefined;
		const isDelivered = status >= 200 && status <= 299;
		const isThrottled = status === 429 || status === 503;
		const askedS = isThrottled && "status" in answer ? (answer.retryAfterS ?? 0) : 0;
		const askedMs = Math.min(askedS * 1_000, modelSettings.maxRetryAfterMs);
		const delayMs = modelSettings.delaysMs[row.attempts - 1];
		if (!isLost) {
			row.log.push(row.attempts);
			const isFinalAnswer = status === 410 || asks !== undefined || delayMs === undefined;
			row.state = isDelivered ? "delivered" : isFinalAnswer ? "dead" : "open";
			row.dueAtMs = this.nowMs + Math.max(delayMs ?? 0, askedMs);
		}
		// What it was called by says nothing of where it has moved to.
		if (endpoint.state === "enabled" && endpoint.path === path) {
			if (status === 410) this.disable(endpoint, "gone");
			else if (asks === "disable") this.disable(endpoint, "asked");
			else if (isDelivered) this.#succeed(endpoint);
			else this.#fail(endpoint, askedMs);
		}
		if (!isLost && row.state === "open" && endpoint.state !== "enabled") row.state = "cancelled";
	}

	#succeed(endpoint: ModelEndpoint): void {
		const { pause } = endpoint;
		const isDuringPause = this.isPaused(endpoint);
		this.heal(endpoint);
		if (isDuringPause) endpoint.pause = pause;
	}

	#fail(endpoint: ModelEndpoint, askedMs: number): void {
		const { failures: limit, pauseMs, maxPauseMs } = modelSettings.breaker;
		const { pause } = endpoint;
		endpoint.failures++;
		endpoint.failingSinceMs ??= this.nowMs;
		const level = pause?.level ?? 0;
		const isOpening = !this.isPaused(endpoint) && (endpoint.failures >= limit || level > 0);
		const ownMs = isOpening ? Math.min(pauseMs * 2 ** level, maxPauseMs) : 0;
		const untilMs = this.nowMs + Math.max(ownMs, askedMs);
		if (untilMs > this.nowMs && (!this.isPaused(endpoint) || untilMs > (pause?.untilMs ?? 0))) {
			endpoint.pause = { untilMs, level: isOpening ? level + 1 : level };
		}
		if (this.nowMs - endpoint.failingSinceMs >= modelSettings.disableAfterMs)
			this.disable(endpoint, "failing");
	}

	/** The next moment behind now at which something may happen by itself, up to a last one. */
	nextMomentMs(lastMs: number): number {
		const moments = [
			...this.rows.map(({ dueAtMs }) => dueAtMs),
			...this.endpoints.map(({ pause }) => pause?.untilMs ?? lastMs),
			lastMs,
		];
		return Math.min(...moments.filter((atMs) => atMs > this.nowMs));
	}
}

export function isFinal({ state }: Pick<ModelRow, "state">): boolean {
	return state === "delivered" || state === "dead" || state === "cancelled";
}

function takes({ events, tenant }: ModelEndpoint, event: ModelEvent): boolean {
	return (events === "**" || events === event.type) && (tenant === undefined || tenant === event.tenant);
}
