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
	/** The version of the data's schema, where the catalog has more than one. */
	readonly version?: number | undefined;
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

/**
 * What kind of thing went wrong where there was no response: `dns`, `connect`, `tls`, `timeout`, `reset` (the connection
 * broke), `protocol` (what came back is no HTTP), `refused` by the address guard, `proxy` (the egress proxy), `stopped` from
 * here, `payload`, `transform`, `filter` (nothing could be sent), `other`.
 */
export type ErrorClass =
	| "dns"
	| "connect"
	| "tls"
	| "timeout"
	| "reset"
	| "protocol"
	| "refused"
	| "proxy"
	| "stopped"
	| "payload"
	| "transform"
	| "filter"
	| "other";

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
	/** What kind of error that is; of webhooks only. */
	readonly errorClass?: ErrorClass | undefined;
	/** The message of that error. */
	readonly error?: string | undefined;
	/** What was sent, names in lower case, without secrets; as many as fit into 8,192 bytes. */
	readonly requestHeaders?: Readonly<Record<string, string>> | undefined;
	/** What came back, names in lower case, without cookies; as many as fit into 8,192 bytes. */
	readonly responseHeaders?: Readonly<Record<string, string>> | undefined;
	/** The first 16,384 bytes of the response, decompressed. */
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
	readonly orderKey?: string | undefined;
	/** The delivery of the same target and order key that has to end first; absent in a final state. */
	readonly blockedBy?: string | undefined;
	readonly attempts: readonly AttemptRecord[];
	/** RFC 3339, UTC. */
	readonly addedAt: string;
	/** RFC 3339, UTC; when it may be claimed next. Absent in a final state. */
	readonly nextAttemptAt?: string | undefined;
	/** RFC 3339, UTC; when it came to its final state. */
	readonly endedAt?: string | undefined;
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
	/** How many of its claims, since it was last replayed, ended by their lease: perhaps it kills who runs it. */
	readonly crashes: number;
	readonly event: StoredEvent;
	/** The store found the event damaged: it must not be delivered. */
	readonly damage?: Error | undefined;
}

/** What may be claimed of one group. */
export interface GroupRequest {
	/** At most so many claims. */
	readonly limit: number;
	/** At most so many of one target… */
	readonly limitPerTarget: number;
	/** …or so many of the targets named here; 0 passes a target over. */
	readonly capacity: ReadonlyMap<string, number>;
}

/** The groups that a process can run, by name. */
export type GroupRequests = ReadonlyMap<string, GroupRequest>;

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
	/** Of all groups whose names begin so. */
	readonly groupPrefix?: string | undefined;
	readonly target?: string | undefined;
	readonly type?: string | undefined;
	readonly state?: DeliveryState | undefined;
	/** Added at or after this moment, RFC 3339. */
	readonly since?: string | undefined;
	/** Added before this moment, RFC 3339. */
	readonly until?: string | undefined;
}

/** Which final deliveries, or events, to forget; everything given must agree. */
export interface PruneRequest {
	readonly filter?: DeliveryFilter | undefined;
	/** Those that ended longer ago than this. Default: all. */
	readonly olderThanMs?: number | undefined;
	/** Not the newest so many of them, by their end. Default 0. */
	readonly keep?: number | undefined;
	/** At most so many, the oldest first, so that it does not take long. */
	readonly limit: number;
}

export interface StoreStats {
	/** How many deliveries of each target are in each state. */
	readonly targets: readonly TargetStats[];
}

export interface TargetStats {
	readonly group: string;
	readonly target: string;
	readonly states: Readonly<Record<DeliveryState, number>>;
}

/** Picks events that the store has; every field given must agree. */
export interface EventFilter {
	/** Added at or after this moment, RFC 3339. */
	readonly since?: string | undefined;
	/** Added before this moment, RFC 3339. */
	readonly until?: string | undefined;
	/** Only those that have no delivery to this target, in whatever state. */
	readonly missingAt?: { readonly group: string; readonly target: string } | undefined;
}

/** More deliveries of an event that the store has. */
export interface AddedDeliveries {
	readonly eventId: string;
	readonly deliveries: readonly NewDelivery[];
}

/** An endpoint to be kept: an id, whose it is, and a document that only the webhook bridge understands. */
export interface NewEndpointRecord {
	readonly id: string;
	readonly tenant?: string | undefined;
	readonly document: string;
}

/** An endpoint as a store keeps it. */
export interface EndpointRecord extends NewEndpointRecord {
	/** Given by the store with each change; higher than that of any change, of any endpoint, committed before. */
	readonly revision: number;
}

/** What became of an endpoint. */
export interface EndpointChange {
	readonly id: string;
	readonly revision: number;
	/** `undefined`: it was deleted. */
	readonly record: EndpointRecord | undefined;
}

export interface EndpointRecords {
	/**
	 * Keeps a record; with `ifRevision` only where it still has that revision, 0 for one that is not there. Returns the
	 * new revision, or `undefined` where it changed nothing.
	 */
	put(record: NewEndpointRecord, ifRevision?: number): Promise<number | undefined>;
	get(id: string): Promise<EndpointRecord | undefined>;
	/** Oldest first; of one tenant, where it is given. */
	list(page: PageRequest & { readonly tenant?: string | undefined }): Promise<Page<EndpointRecord>>;
	/** Whether there was one. Its unfinished deliveries are cancelled in the same commit. */
	delete(id: string): Promise<boolean>;
	/**
	 * What has changed since a revision, of each endpoint the last change, in their order, at most `limit`. None is
	 * missed: a change with a lower revision is never committed after one with a higher. `tx` is the caller's transaction,
	 * as of `append`: who holds it may hold the last connection of a pool, so it is read on that.
	 */
	changes(
		since: number,
		limit: number,
		options?: { readonly tx?: unknown },
	): Promise<readonly EndpointChange[]>;
}

/** The right to work on a received message, until its lease ends. */
export interface Receipt {
	readonly key: string;
	/** Fences the claim: a later claim of the same key has another token. */
	readonly token: string;
}

export type ReceiptClaim =
	| { readonly state: "claimed"; readonly receipt: Receipt }
	/** Another works on it; its lease ends in so many milliseconds. */
	| { readonly state: "busy"; readonly freeInMs: number }
	/** It was confirmed, and is still remembered. */
	| { readonly state: "done" };

/** The messages that came in, by key: of each, one run succeeds. Calls with a token that no longer holds change nothing. */
export interface Receipts {
	/** Leases a key that is not done and that nobody holds: of parallel claims one succeeds, in all processes. */
	claim(key: string, leaseMs: number): Promise<ReceiptClaim>;
	/** Makes the lease end `leaseMs` from now; whether it was still held. */
	extend(receipt: Receipt, leaseMs: number): Promise<boolean>;
	/** Remembers the key as done for so long; whether it was still held. */
	confirm(receipt: Receipt, keepForMs: number): Promise<boolean>;
	/** Gives the key back as if it had never been claimed; whether it was still held. */
	release(receipt: Receipt): Promise<boolean>;
	/** Forgets keys whose time is over, at most `limit`; returns how many. They are free without it, too. */
	prune(limit: number): Promise<number>;
}

/** What a store can promise. */
export interface StoreCapabilities {
	/** What a stored event survives: nothing, the end of the process, or the loss of power. */
	readonly durability: "memory" | "process" | "power";
	/** Whether `append` can take part in the caller's transaction. */
	readonly transactions: boolean;
	/** Whether other processes may use the store at the same time: none, to append while one delivers, or in every way. */
	readonly sharing: "none" | "append" | "full";
}

export interface OutboxStore {
	readonly capabilities: StoreCapabilities;
	readonly endpoints: EndpointRecords;
	readonly receipts: Receipts;
	/**
	 * Keeps events with their deliveries, all or none; resolves after the commit. `tx` is the caller's transaction;
	 * a store that can take part in none rejects it with ERR_CALLHOOK_INVALID_OPTION.
	 */
	append(events: readonly NewEvent[], options?: { readonly tx?: unknown }): Promise<readonly AppendResult[]>;
	/** Leases due deliveries, the oldest of each target first, the targets of a group in turn. */
	claim(groups: GroupRequests, leaseMs: number): Promise<readonly Claim[]>;
	/** Makes leases end `leaseMs` from now; returns the tokens that are still valid. */
	extend(tokens: readonly string[], leaseMs: number): Promise<readonly string[]>;
	settle(settlements: readonly Settlement[]): Promise<readonly ("ok" | "lost")[]>;
	/**
	 * Gives claims back as if they had never been made, where their tokens are valid: the attempt not counted, and due
	 * again after `delayMs`, which is 0 by default.
	 */
	release(tokens: readonly string[], delayMs?: number): Promise<void>;
	query(filter: DeliveryFilter, page: PageRequest): Promise<Page<StoredDelivery>>;
	/** Makes final deliveries pending again, with a new count of attempts and last in their order; returns how many. */
	replay(filter: DeliveryFilter): Promise<number>;
	/** Cancels deliveries that are not final; returns how many. */
	cancel(filter: DeliveryFilter): Promise<number>;
	/** The events with these ids that it still has and that are not damaged, in no order. */
	getEvents(ids: readonly string[]): Promise<readonly StoredEvent[]>;
	/** The events it still has and that are not damaged, oldest first. */
	listEvents(filter: EventFilter, page: PageRequest): Promise<Page<StoredEvent>>;
	/** Adds deliveries of events that it still has, except to targets that have one; returns how many it added. */
	addDeliveries(added: readonly AddedDeliveries[]): Promise<number>;
	/** Forgets final deliveries, and with the last one of an event the event; returns how many deliveries. */
	prune(request: PruneRequest): Promise<number>;
	/** Forgets events without deliveries, whose end is when they had none any more; returns how many. */
	pruneEvents(request: Omit<PruneRequest, "filter">): Promise<number>;
	stats(): Promise<StoreStats>;
	/**
	 * How long until something of these groups is claimable or a lease ends; `undefined` when nothing is to come.
	 * What is claimable of targets with capacity 0 does not count.
	 */
	nextDueInMs(groups: GroupRequests): Promise<number | undefined>;
	/**
	 * Calls `listener` when something may have become claimable or was cancelled, or an endpoint has changed; a hint, never a
	 * promise. Returns how to stop.
	 */
	onWake(listener: () => void): () => void;
	close(): Promise<void>;
}
