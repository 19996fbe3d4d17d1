import type { BusEvent } from "../event/index.ts";
import type { Page, PageRequest } from "../internal/page.ts";

/** A failed attempt, as a dead letter tells it. */
export interface AttemptFailure {
	/** RFC 3339, UTC. */
	readonly at: string;
	readonly error: unknown;
}

/** An event that a handler gave up. */
export interface DeadLetter {
	readonly id: string;
	readonly event: BusEvent;
	readonly handler: string;
	readonly attempts: number;
	/** The last 20 at most, oldest first. */
	readonly failures: readonly AttemptFailure[];
	/** When it was given up, RFC 3339, UTC. */
	readonly deadAt: string;
}

/** Picks dead letters; everything given must agree. */
export interface DeadLetterFilter {
	/** Those with one of these ids. */
	readonly ids?: readonly string[] | undefined;
	/** Those of the handlers with this name. */
	readonly handler?: string | undefined;
	/** Those of this event type. */
	readonly type?: string | undefined;
	/** Given up at or after this moment. */
	readonly since?: string | Date | undefined;
	/** Given up before this moment. */
	readonly until?: string | Date | undefined;
	/** Those for which it answers true. */
	readonly where?: ((letter: DeadLetter) => boolean) | undefined;
}

/** What handlers gave up: kept in memory, the oldest forgotten when there are too many. */
export interface DeadLetters {
	/** Newest first. Throws ERR_CALLHOOK_INVALID_OPTION, as the others do. */
	list(filter?: DeadLetterFilter & PageRequest): Promise<Page<DeadLetter>>;
	/**
	 * Queues the events anew for their handlers, with a new count of attempts; returns how many are queued then. A letter
	 * whose handler is gone stays, and one whose event a full queue refuses or drops, now or later, comes back as it was;
	 * with `coalesce` a newer event that waits takes its place for good. What becomes of it changes no report that was
	 * made before. Rejects with ERR_CALLHOOK_CLOSED when the bus was drained or closed.
	 */
	replay(filter?: DeadLetterFilter): Promise<number>;
	/** Forgets them; returns how many. */
	discard(filter?: DeadLetterFilter): Promise<number>;
}

/** The dead letters as the handlers of the bus see them. */
export interface DeadLetterBox extends DeadLetters {
	/** `owner` gets it again, as long as it is there; then any handler of its name. */
	add(letter: Pick<DeadLetter, "event" | "handler" | "attempts" | "failures">, owner: object): void;
}
