/**
 * The store port: what an outbox needs of a database. Its shape fits memory, SQLite and PostgreSQL alike, and
 * `storeContract` of `callhook/testing` is the suite they all pass.
 *
 * Rules for every store: the store's own clock decides, so the port speaks in relative times only; a claim counts the
 * attempt before it is made, so that an event that kills its process still runs out of attempts; an expired lease is
 * claimable again in the same query; a settlement with a token that is no longer valid is `lost`, never an error.
 */
import type { Page, PageRequest } from "../internal/page.ts";

export type { Page, PageRequest };

/** An event as the outbox keeps it: the envelope, its data and metadata written as JSON. */
export interface StoredEvent {
	readonly id: string;
	readonly type: string;
	/** RFC 3339, UTC. */
	readonly time: string;
	readonly source: string;
	readonly dataJson: string;
	readonly metadataJson: string;
	readonly key?: string | undefined;
	readonly subject?: string | undefined;
	readonly correlationId?: string | undefined;
	readonly causationId?: string | undefined;
	readonly traceparent?: string | undefined;
}

/** A delivery to be made: one event, one target. A store keeps at most one for each pair. */
export interface NewDelivery {
	/** Who runs it: a registered target group, such as `webhooks`. */
	readonly group: string;
	/** Which member of the group, such as an endpoint's id. */
	readonly target: string;
	/** Deliveries of one target with the same order key are claimed one at a time, in the order they were added. */
	readonly orderKey?: string | undefined;
	/** Not before so many milliseconds from now. Default 0. */
	readonly delayMs?: number | undefined;
}

/** An event to be kept, with its first deliveries. */
export interface NewEvent {
	readonly event: StoredEvent;
	/** An event with a key that the store has seen is a duplicate and is not kept. */
	readonly idempotencyKey?: string | undefined;
	readonly deliveries: readonly NewDelivery[];
}

export type AppendResult = "stored" | "duplicate";

/** `pending → in_flight → delivered | waiting → … → dead`; `cancelled` from any state that is not final. */
export type DeliveryState = "pending" | "in_flight" | "waiting" | "delivered" | "dead" | "cancelled";

/** One try of a delivery, as it is logged. */
export interface AttemptRecord {
	/** Counted from 1. */
	readonly number: number;
	/** RFC 3339, UTC. */
	readonly startedAt: string;
	readonly durationMs: number;
	readonly outcome: "delivered" | "failed";
	/** The HTTP status, when there was a response. */
	readonly status?: number | undefined;
	/** Why it failed, when there was no response that says so. */
	readonly errorCode?: string | undefined;
	/** The first bytes of the response. */
	readonly responseBody?: string | undefined;
}

/** A delivery as a query shows it. */
export interface StoredDelivery {
	readonly id: string;
	readonly eventId: string;
	readonly type: string;
	readonly group: string;
	readonly target: string;
	readonly state: DeliveryState;
	readonly attempts: readonly AttemptRecord[];
	/** RFC 3339, UTC; when it may be claimed next. Absent in a final state. */
	readonly nextAttemptAt?: string | undefined;
}

/** The right to make one attempt of a delivery, until its lease ends. */
export interface Claim {
	/** Fences the claim: a later claim of the same delivery has another token. */
	readonly token: string;
	readonly deliveryId: string;
	readonly group: string;
	readonly target: string;
	/** The number of the attempt to make, counted from 1. */
	readonly attempt: number;
	readonly event: StoredEvent;
}

export interface ClaimRequest {
	/** The groups this process can run. */
	readonly groups: readonly string[];
	readonly limit: number;
	/** At most so many claims of one target… */
	readonly limitPerTarget: number;
	/** …or so many of the targets named here; 0 passes a target over. */
	readonly capacity: ReadonlyMap<string, number>;
	readonly leaseMs: number;
}

/** How a claimed delivery goes on. */
export type SettleTo =
	/** Final. */
	| { readonly state: "delivered" | "dead" | "cancelled" }
	/** Claimable again in so many milliseconds. */
	| { readonly state: "waiting"; readonly retryInMs: number }
	/** It stood for a group only: it goes, and these take its place in the same commit. */
	| { readonly state: "routed"; readonly deliveries: readonly NewDelivery[] };

export interface Settlement {
	readonly token: string;
	readonly to: SettleTo;
	/** What is logged of the attempt; a routing has none. */
	readonly attempt?: AttemptRecord | undefined;
}

/** Picks deliveries; every field given must agree. */
export interface DeliveryFilter {
	readonly ids?: readonly string[] | undefined;
	readonly eventId?: string | undefined;
	readonly group?: string | undefined;
	readonly target?: string | undefined;
	readonly type?: string | undefined;
	readonly state?: DeliveryState | undefined;
	/** Added at or after this moment, RFC 3339. */
	readonly since?: string | undefined;
	/** Added before this moment, RFC 3339. */
	readonly until?: string | undefined;
}

export interface StoreStats {
	/** How many deliveries are in each state, by group. */
	readonly groups: Readonly<Record<string, Readonly<Record<DeliveryState, number>>>>;
}

/** An endpoint as a store keeps it: an id and a document that only the webhook bridge understands. */
export interface EndpointRecord {
	readonly id: string;
	readonly document: string;
}

export interface EndpointRecords {
	put(record: EndpointRecord): Promise<void>;
	get(id: string): Promise<EndpointRecord | undefined>;
	/** Oldest first. */
	list(page: PageRequest): Promise<Page<EndpointRecord>>;
	/** Whether there was one. Its unfinished deliveries are cancelled in the same commit. */
	delete(id: string): Promise<boolean>;
}

/** What a store can promise. */
export interface StoreCapabilities {
	/** What a stored event survives: nothing, the end of the process, or the loss of power. */
	readonly durability: "memory" | "process" | "power";
	/** Whether `append` can take part in the caller's transaction. */
	readonly transactions: boolean;
	/** Whether several processes may share the store. */
	readonly multiProcess: boolean;
}

export interface OutboxStore {
	readonly capabilities: StoreCapabilities;
	readonly endpoints: EndpointRecords;
	/**
	 * Keeps events with their deliveries, all or none; resolves after the commit. `tx` is the caller's transaction;
	 * a store that can take part in none rejects it with ERR_CALLHOOK_INVALID_OPTION.
	 */
	append(events: readonly NewEvent[], options?: { readonly tx?: unknown }): Promise<readonly AppendResult[]>;
	/** Leases due deliveries, the oldest of each target first, targets in turn. */
	claim(request: ClaimRequest): Promise<readonly Claim[]>;
	/** Makes leases end `leaseMs` from now; returns the tokens that are still valid. */
	extend(tokens: readonly string[], leaseMs: number): Promise<readonly string[]>;
	settle(settlements: readonly Settlement[]): Promise<readonly ("ok" | "lost")[]>;
	/** Gives claims back as if they had never been made, where their tokens are valid: due again, the attempt not counted. */
	release(tokens: readonly string[]): Promise<void>;
	query(filter: DeliveryFilter, page: PageRequest): Promise<Page<StoredDelivery>>;
	/** Makes final deliveries pending again, with a new count of attempts and last in their order; returns how many. */
	replay(filter: DeliveryFilter): Promise<number>;
	/** Cancels deliveries that are not final; returns how many. */
	cancel(filter: DeliveryFilter): Promise<number>;
	/** Forgets at most `limit` final deliveries that ended so long ago, and events nobody needs; returns how many. */
	prune(options: { readonly olderThanMs: number; readonly limit: number }): Promise<number>;
	stats(): Promise<StoreStats>;
	/**
	 * How long until something of these groups is claimable or a lease ends; `undefined` when nothing is to come.
	 * What is claimable of targets with capacity 0 does not count.
	 */
	nextDueInMs(request: Pick<ClaimRequest, "groups" | "capacity">): Promise<number | undefined>;
	/**
	 * Calls `listener` when something may have become claimable, or was cancelled; a hint, never a promise. Returns how
	 * to stop.
	 */
	onWake(listener: () => void): () => void;
	close(): Promise<void>;
}

/** What the outbox tells observers; part of the lifecycle signals of the bus. */
export interface OutboxSignals {
	/** An attempt failed; with `retryInMs` another will follow. */
	"attempt:failed": DeliveryInfo & {
		readonly attempt: AttemptRecord;
		readonly retryInMs?: number | undefined;
	};
	/** The target has it. */
	"delivery:delivered": DeliveryInfo & { readonly attempt: AttemptRecord };
	/** The last attempt failed. */
	"delivery:dead": DeliveryInfo & { readonly attempt: AttemptRecord };
	/**
	 * The settlement came too late: the lease had ended, so that another claim may run the delivery again, or the
	 * delivery had been cancelled.
	 */
	"delivery:lost": DeliveryInfo;
}

export interface DeliveryInfo {
	readonly deliveryId: string;
	readonly eventId: string;
	readonly type: string;
	readonly group: string;
	/** Which member of the group: for webhooks the endpoint's id. */
	readonly target: string;
	readonly attempts: number;
}
