import type { BusEvent } from "../event/index.ts";

/** What a handler gets beside the data. */
export interface HandlerContext<Event extends BusEvent = BusEvent> {
	readonly event: Event;
	/** Counted from 1. */
	readonly attempt: number;
	/** Fires when the attempt passes its `timeoutMs` and when the bus closes. New for every attempt. */
	readonly signal: AbortSignal;
}

/** One run of a handler for one event. Its AbortController is made only for a handler that reads `signal`. */
export class Attempt implements HandlerContext {
	readonly event: BusEvent;
	readonly attempt: number;
	#controller: AbortController | undefined;
	#abortReason: unknown;

	constructor(event: BusEvent, attempt: number) {
		this.event = event;
		this.attempt = attempt;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
		}
		return this.#controller.signal;
	}

	/** Why the attempt was aborted; `undefined` while it was not. */
	get abortReason(): unknown {
		return this.#abortReason;
	}

	abort(reason: unknown): void {
		if (this.#abortReason !== undefined) return;
		this.#abortReason = reason;
		this.#controller?.abort(reason);
	}
}
