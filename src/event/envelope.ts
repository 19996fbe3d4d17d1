/**
 * What happened: one event as every consumer sees it. Read-only; one object is shared by all consumers. On a bus its
 * fields are made when they are read, so a spread copies only some of them: `JSON.stringify` sees them all.
 */
export interface BusEvent<Type extends string = string, Data = unknown> {
	/** Unique; the same in every retry and, as `webhook-id`, in every webhook. */
	readonly id: string;
	readonly type: Type;
	/**
	 * When it happened, RFC 3339 in UTC. Where every consumer is a callback declared with exactly one parameter, such as
	 * `(data) => …`, it is when somebody first reads it, since none of them should see the event.
	 */
	readonly time: string;
	/** Where it happened: the `source` of the bus, as CloudEvents means it. */
	readonly source: string;
	/** What the schema of its type returned. */
	readonly data: Data;
	/** What it belongs to, where order matters: an order's id, a repository. */
	readonly key?: string | undefined;
	/** What it is about, within the source, as CloudEvents means it. */
	readonly subject?: string | undefined;
	/** Shared by all events of one business process. */
	readonly correlationId?: string | undefined;
	/** The id of the event that caused this one. */
	readonly causationId?: string | undefined;
	/** W3C Trace Context. */
	readonly traceparent?: string | undefined;
	/** Free notes for consumers; never part of a webhook's payload. */
	readonly metadata: Readonly<Record<string, unknown>>;
}

/** What may be said of an event when it is emitted; everything has a default. */
export interface EmitOptions {
	/**
	 * Default: a new `evt_…` id. Printable ASCII without `.` and spaces, since it goes into a webhook's signature. The
	 * outbox takes only the first event of each id that it remembers.
	 */
	readonly id?: string | undefined;
	/** Default: now. A text is RFC 3339, with its offset from UTC. */
	readonly time?: string | number | Date | undefined;
	/** Default: the catalog's `key` of this type, if any. */
	readonly key?: string | undefined;
	readonly subject?: string | undefined;
	/** Default: that of the event in whose consumer it is emitted, else that event's id. */
	readonly correlationId?: string | undefined;
	/** Default: the id of the event in whose consumer it is emitted. */
	readonly causationId?: string | undefined;
	/** Default: that of the event in whose consumer it is emitted. */
	readonly traceparent?: string | undefined;
	/** A plain object, of which the event has a copy. */
	readonly metadata?: Readonly<Record<string, unknown>> | undefined;
	/**
	 * The outbox takes only the first event of each key that it remembers; a later one gets no deliveries. Callbacks and
	 * handlers run for both.
	 */
	readonly idempotencyKey?: string | undefined;
	/**
	 * Deliver it so many milliseconds after the emit; until then `emission.cancel()` takes it back. Lost with the process.
	 */
	readonly delayMs?: number | undefined;
	/** The same, at a moment: at once when that has passed. Not together with `delayMs`. */
	readonly at?: string | number | Date | undefined;
}

/** Every field of an event in a plain object. */
export function copyEvent(event: BusEvent): BusEvent {
	const { id, type, time, source, data, key, subject, correlationId, causationId, traceparent, metadata } =
		event;
	return { id, type, time, source, data, key, subject, correlationId, causationId, traceparent, metadata };
}
