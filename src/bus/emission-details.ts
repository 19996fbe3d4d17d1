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

/** What hardly any emission needs. */
class Rarities {
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
	/** Takes it out of where it waits to be delivered. */
	leave: (() => void) | undefined;
	isStored = false;
	/** Resolves `stored` of an event that waits to be delivered. */
	storing: Deferred<unknown> | undefined;
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
	settled: Deferred<EmissionReport> | undefined;
	stored: Promise<unknown> | undefined;
	rarities: Rarities | undefined;

	constructor(options: EmitOptions | undefined) {
		this.options = options;
	}

	ensureRarities(): Rarities {
		this.rarities ??= new Rarities();
		return this.rarities;
	}

	/** The ids that come from the cause. */
	letGoOfCause(): Pick<Rarities, "causationId" | "correlationId" | "traceparent"> | undefined {
		const { rarities } = this;
		if (rarities?.cause !== undefined) {
			const { id, correlationId = id, traceparent } = rarities.cause;
			rarities.causationId = id;
			rarities.correlationId = correlationId;
			rarities.traceparent = traceparent;
			rarities.cause = undefined;
		}
		return rarities;
	}

	whenAccepted(): Promise<void> {
		const { rarities } = this;
		if (rarities?.refusal !== undefined) return Promise.reject(rarities.refusal);
		if (rarities === undefined || rarities.blocked === 0) return Promise.resolve();
		rarities.accepted ??= createDeferred();
		return rarities.accepted.promise;
	}

	block(): void {
		this.ensureRarities().blocked++;
	}

	unblock(): void {
		const rarities = this.ensureRarities();
		rarities.blocked--;
		if (rarities.blocked === 0) rarities.accepted?.resolve();
	}

	refuse(error: Error): void {
		const rarities = this.ensureRarities();
		rarities.refusal ??= error;
		rarities.accepted?.reject(rarities.refusal);
	}

	/** It will be delivered later; returns whether it does not wait already. */
	wait(leave: () => void): boolean {
		const rarities = this.ensureRarities();
		rarities.leave = leave;
		if (rarities.storing !== undefined) return false;
		this.block();
		rarities.storing = createDeferred();
		this.stored = rarities.storing.promise;
		void this.stored.catch(() => undefined);
		return true;
	}

	/** Takes it out of where it waits; answers whether it waited. */
	leave(): boolean {
		const { rarities } = this;
		if (rarities?.leave === undefined) return false;
		rarities.leave();
		rarities.leave = undefined;
		return true;
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
