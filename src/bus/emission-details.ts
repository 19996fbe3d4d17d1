import type { BusEvent, EmitOptions } from "../event/index.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import type { Overflow } from "../lanes/index.ts";
import type { Metadata } from "./middleware.ts";
import type { ConsumerOutcome, EmissionReport } from "./report.ts";

/** How a consumer failed; kept apart from anything a consumer may return. */
export class Failure {
	readonly error: unknown;
	constructor(error: unknown) {
		this.error = error;
	}
}

/** The overflow policy that cost a handler the event. */
export class Drop {
	readonly overflow: Overflow;
	constructor(overflow: Overflow) {
		this.overflow = overflow;
	}
}

/** All of an emission that most emits never need; made when the first of it is. */
export class Details {
	readonly options: EmitOptions | undefined;
	id: string | undefined;
	/** By consumer: what it returned, its Failure or its Drop; callbacks first, then handlers. */
	results: unknown[] | undefined;
	/** By handler: how often it ran, where that was not once. */
	attempts: number[] | undefined;
	failures = 0;
	/** What the emit was made in; let go once its ids are read, or a chain of events would hold all before it. */
	cause: BusEvent | undefined;
	causationId: string | undefined;
	correlationId: string | undefined;
	traceparent: string | undefined;
	/** What middleware added. */
	metadata: Metadata | undefined;
	state: EmissionReport["state"] = "delivered";
	/** Full queues outside of which it waits. */
	blocked = 0;
	refusal: Error | undefined;
	accepted: Deferred<void> | undefined;
	settled: Deferred<EmissionReport> | undefined;
	stored: Promise<unknown> | undefined;
	/** Takes it out of where it waits to be delivered. */
	leave: (() => void) | undefined;
	/** Resolves `stored` of an event that waits to be delivered. */
	storing: Deferred<unknown> | undefined;

	constructor(options: EmitOptions | undefined) {
		this.options = options;
	}

	/** The ids that come from the cause. */
	letGoOfCause(): this {
		if (this.cause !== undefined) {
			const { id, correlationId = id, traceparent } = this.cause;
			this.causationId = id;
			this.correlationId = correlationId;
			this.traceparent = traceparent;
			this.cause = undefined;
		}
		return this;
	}

	whenAccepted(): Promise<void> {
		if (this.refusal !== undefined) return Promise.reject(this.refusal);
		if (this.blocked === 0) return Promise.resolve();
		this.accepted ??= createDeferred();
		return this.accepted.promise;
	}

	block(): void {
		this.blocked++;
	}

	unblock(): void {
		this.blocked--;
		if (this.blocked === 0) this.accepted?.resolve();
	}

	refuse(error: Error): void {
		this.refusal ??= error;
		this.accepted?.reject(this.refusal);
	}
}

/** What became of an event at one consumer. */
export function outcomeOf(
	kind: ConsumerOutcome["kind"],
	name: string,
	attempts: number,
	result: unknown,
): ConsumerOutcome {
	if (result instanceof Failure) return { kind, name, attempts, status: "rejected", error: result.error };
	if (result instanceof Drop) return { kind, name, attempts, status: "dropped", overflow: result.overflow };
	return { kind, name, attempts, status: "fulfilled", value: result };
}
