import type { BusEvent } from "../event/index.ts";
import type { EmissionReport } from "./report.ts";

/** One emit and the promises it has kept so far. Each promise is made only when asked for. */
export interface Emission<Event extends BusEvent = BusEvent> {
	readonly event: Event;
	/**
	 * Resolves once the queue of every handler has taken the event; at once where none is full. Rejects with
	 * ERR_CALLHOOK_QUEUE_FULL where one refuses it, and with ERR_CALLHOOK_STOPPED where the bus closed while it waited for
	 * one; it resolves where it was held or delayed, and cancelled. Await it to emit no faster than handlers work.
	 */
	readonly accepted: Promise<void>;
	/**
	 * Resolves once the outbox holds the event; at once where no outbox target takes its type. Rejects with the
	 * store's error; when nobody asks for this promise, the error goes to `onError` only.
	 */
	readonly stored: Promise<void>;
	/** Resolves with a report once every callback and handler has ended. Never rejects. */
	readonly settled: Promise<EmissionReport<Event>>;
	/**
	 * Takes an event back that is delayed or held; returns whether it still was. One that `held.store` has written stays: roll
	 * the transaction back.
	 */
	cancel(): boolean;
}
