import { CallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import type { Overflow } from "../lanes/index.ts";
import type { HandlerSubscription } from "./handler-subscription.ts";
import type { Unsubscribe } from "./subscription.ts";

/** How one consumer ended. */
export type ConsumerOutcome<Value = unknown> = {
	readonly kind: "callback" | "handler";
	/** The handler's name; for a callback, the pattern it was registered with. */
	readonly name: string;
	/** How often it was run. */
	readonly attempts: number;
} & (
	| { readonly status: "fulfilled"; readonly value: Value }
	| { readonly status: "rejected"; readonly error: unknown }
	/** A full queue let it go, as its `overflow` says; no failure. */
	| { readonly status: "dropped"; readonly overflow: Overflow }
);

/** What became of an event in this process, once all callbacks and handlers have ended. */
export interface EmissionReport<Event extends BusEvent = BusEvent> {
	readonly event: Event;
	/**
	 * `vetoed`: a middleware around `emit` kept it from every consumer; `cancelled`: it was cancelled or discarded while it
	 * waited to be delivered.
	 */
	readonly state: "delivered" | "vetoed" | "cancelled";
	/** One entry for each consumer: callbacks in the order they ran, then handlers. */
	readonly outcomes: readonly ConsumerOutcome[];
	/** Whether no consumer failed. */
	readonly ok: boolean;
	/** The outcomes with status `rejected`. */
	readonly failed: readonly (ConsumerOutcome & { readonly status: "rejected" })[];
	/** How a callback or handler of yours ended, with what it returned; `undefined` when it did not get the event. */
	outcomeOf<Result>(
		subscription: Unsubscribe<Result> | HandlerSubscription<Result>,
	): ConsumerOutcome<Result> | undefined;
	/** Throws ERR_CALLHOOK_EMISSION_FAILED, with all errors in its `cause`, when a consumer failed. */
	throwIfFailed(): void;
}

/** Makes a report; the outcomes are put together only when somebody reads them. */
export function createReport(
	event: BusEvent,
	state: EmissionReport["state"],
	failures: number,
	subscriptions: readonly object[],
	readOutcomes: () => readonly ConsumerOutcome[],
): EmissionReport {
	return new LazyReport(event, state, failures, subscriptions, readOutcomes);
}

class LazyReport implements EmissionReport {
	readonly event: BusEvent;
	readonly state: EmissionReport["state"];
	readonly ok: boolean;
	readonly #subscriptions: readonly object[];
	readonly #readOutcomes: () => readonly ConsumerOutcome[];
	#outcomes: readonly ConsumerOutcome[] | undefined;

	constructor(
		event: BusEvent,
		state: EmissionReport["state"],
		failures: number,
		subscriptions: readonly object[],
		readOutcomes: () => readonly ConsumerOutcome[],
	) {
		this.event = event;
		this.state = state;
		this.ok = failures === 0;
		this.#subscriptions = subscriptions;
		this.#readOutcomes = readOutcomes;
	}

	get outcomes(): readonly ConsumerOutcome[] {
		this.#outcomes ??= this.#readOutcomes();
		return this.#outcomes;
	}

	get failed(): EmissionReport["failed"] {
		return this.outcomes.filter((outcome) => outcome.status === "rejected");
	}

	outcomeOf<Result>(
		subscription: Unsubscribe<Result> | HandlerSubscription<Result>,
	): ConsumerOutcome<Result> | undefined {
		const index = this.#subscriptions.indexOf(subscription);
		return index < 0 ? undefined : (this.outcomes[index] as ConsumerOutcome<Result> | undefined);
	}

	throwIfFailed(): void {
		if (this.ok) return;
		const { failed, event } = this;
		const names = failed.map(({ kind, name }) => `${kind} ${name}`).join(", ");
		throw new CallhookError(
			"ERR_CALLHOOK_EMISSION_FAILED",
			`${failed.length} of ${this.outcomes.length} consumers of "${event.type}" failed: ${names}`,
			{ type: event.type, failed: failed.length },
			{ cause: new AggregateError(failed.map(({ error }) => error)) },
		);
	}
}
