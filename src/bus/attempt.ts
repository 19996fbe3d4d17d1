import type { BusEvent } from "../event/index.ts";

/** What a handler gets beside the data. */
export interface HandlerContext<Event extends BusEvent = BusEvent> {
	readonly event: Event;
	/** Counted from 1. */
	readonly attempt: number;
	/** Fires when the attempt passes its `timeoutMs` and when the bus closes. New for every attempt. */
	readonly signal: AbortSignal;
}

/** What the attempts of one handler share. */
export interface AttemptHost {
	/** The attempts that run and whose signal somebody has read: no other can tell that it is aborted. */
	readonly watched: Set<Attempt>;
	/** Why the handler was stopped, once it is. */
	stopReason: Error | undefined;
}

/** One run of a handler for one event. Its AbortController is made only for a handler that reads `signal`. */
export class Attempt implements HandlerContext {
	readonly event: BusEvent;
	readonly attempt: number;
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
