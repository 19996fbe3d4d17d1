import type { BusEvent } from "../event/index.ts";
import { invalidOption } from "../internal/options.ts";

/** What a handler gets beside the data. */
export interface HandlerContext<Event extends BusEvent = BusEvent> {
	readonly event: Event;
	/** Counted from 1. */
	readonly attempt: number;
	/** Fires when the attempt passes its `timeoutMs` and when the bus closes. New for every attempt. */
	readonly signal: AbortSignal;
}

/** What a handler of batches gets beside the list of data. */
export interface BatchContext<Event extends BusEvent = BusEvent> extends Omit<HandlerContext, "event"> {
	/** In the order of the data. */
	readonly events: readonly Event[];
	/**
	 * Fails one event of the batch: it alone is retried or given up, whatever becomes of the others. Once the attempt has
	 * ended nothing can be failed any more: the error goes to `onError`.
	 */
	fail(index: number, error: unknown): void;
}

/** What the attempts of one handler share. */
export interface AttemptHost {
	/** The attempts that run and whose signal somebody has read: no other can tell that it is aborted. */
	readonly watched: Set<Attempt>;
	/** Why the handler was stopped, once it is. */
	stopReason: Error | undefined;
	/** Gets what comes too late to fail anything. */
	report(error: unknown, event: BusEvent): void;
}

/** One run of a handler for one event. Its AbortController is made only for a handler that reads `signal`. */
export class Attempt implements HandlerContext {
	event: BusEvent;
	readonly attempt: number;
	/** Of its time limit. */
	timer: unknown = undefined;
	readonly #host: AttemptHost;
	#isOver = false;
	#controller: AbortController | undefined;
	#abortReason: unknown;

	constructor(event: BusEvent, attempt: number, host: AttemptHost) {
		this.event = event;
		this.attempt = attempt;
		this.#host = host;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			const reason = this.#abortReason ?? this.#host.stopReason;
			if (reason !== undefined) this.#controller.abort(reason);
			else if (!this.#isOver) this.#host.watched.add(this);
		}
		return this.#controller.signal;
	}

	/** What caused the events that are emitted in it. */
	get cause(): BusEvent | undefined {
		return this.event;
	}

	get isOver(): boolean {
		return this.#isOver;
	}

	/** Why this attempt was aborted by itself, as for its time limit; `undefined` while it was not. */
	get abortReason(): unknown {
		return this.#abortReason;
	}

	/** The attempt is over: nothing aborts it any more. */
	end(): void {
		this.#isOver = true;
		if (this.#controller !== undefined) this.#host.watched.delete(this);
	}

	/** Fires the signal because of this attempt alone. */
	abort(reason: Error): void {
		this.#abortReason = reason;
		this.#controller?.abort(reason);
	}

	/** Fires the signal because the handler was stopped. */
	stop(reason: Error): void {
		this.#controller?.abort(reason);
	}
}

/** One run of a handler for a batch of events. */
export class BatchAttempt extends Attempt implements BatchContext {
	readonly events: readonly BusEvent[];
	/** By the event's place in the batch: why it failed. */
	readonly failures: Map<number, unknown> = new Map();
	readonly #report: AttemptHost["report"];

	constructor(events: readonly BusEvent[], attempt: number, host: AttemptHost) {
		super(events[0] as BusEvent, attempt, host);
		this.events = events;
		this.#report = host.report;
	}

	/** None: several events have, and none of them more than the others. */
	override get cause(): undefined {
		return undefined;
	}

	// A function of its own, so that a handler may take it out of the context.
	readonly fail = (index: number, error: unknown): void => {
		if (!Number.isInteger(index) || index < 0 || index >= this.events.length) {
			throw invalidOption("index", `a whole number from 0 to ${this.events.length - 1}`, index);
		}
		if (this.isOver) this.#report(error, this.events[index] as BusEvent);
		else this.failures.set(index, error);
	};
}
