import type { SettleTo } from "../outbox/ports.ts";
import type { Job } from "./job.ts";
import { JobOutcomes } from "./job-outcomes.ts";

/** How an attempt ended, for the store. */
export interface End {
	readonly to: SettleTo;
	readonly error?: unknown;
}

/** The outcomes of a durable handler: each attempt is a job of its own, and the store keeps what comes of it. */
export class DurableOutcomes extends JobOutcomes {
	readonly #ends = new WeakMap<Job, End>();

	/** `undefined` where the handler was stopped. */
	endOf(job: Job): End | undefined {
		return this.#ends.get(job);
	}

	override succeed(job: Job, value: unknown): void {
		this.#ends.set(job, { to: { state: "delivered" } });
		super.succeed(job, value);
	}

	override retry(job: Job, error: unknown, delayMs: number): void {
		this.#ends.set(job, { to: { state: "waiting", retryInMs: delayMs }, error });
		super.retry(job, error, delayMs);
		job.event.completeHandler(job.index, undefined, job.attempts);
		this.open.end();
	}

	/** The dead letter is in the store. */
	override giveUp(job: Job, error: unknown): void {
		this.#ends.set(job, { to: { state: "dead" }, error });
		this.fail(job, error);
	}
}
