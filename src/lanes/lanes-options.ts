import type { Clock } from "../internal/clock.ts";
import type { Gate } from "./gate.ts";
import type { RateLimit } from "./pace.ts";

/** Work for lanes. */
export interface LaneJob {
	/** Jobs of one lane run one at a time, in order; jobs without a lane are independent. */
	readonly lane?: string | undefined;
}

/** What a run says of its job: `undefined`, it is over; a number, it runs again after so many milliseconds. */
export type RunVerdict = number | undefined;

/** Frees the slots of a shared ceiling that jobs hold for long, so that who hangs does not keep others waiting. */
export interface SlowJobs {
	/** How long a job may hold its slot. */
	readonly afterMs: number;
	/** A job has run for so long: answers whether its slot may go to another. */
	begin(): boolean;
	/** A job that gave its slot away has ended. */
	end(): void;
}

export interface LanesOptions<Job extends LaneJob, Queued extends LaneJob = Job> {
	/** At most so many jobs run at once. */
	readonly concurrency: number;
	/** A ceiling shared with other lanes. */
	readonly gate?: Gate | undefined;
	/** Makes the ceiling one of jobs that have not run for long. Default: it is one of all. */
	readonly slow?: SlowJobs | undefined;
	/** How many may start in a time. */
	readonly rateLimit?: RateLimit | undefined;
	readonly clock: Clock;
	/**
	 * Makes the job of what was pushed, when it is to start: what waits may be something smaller, for a backlog costs by its
	 * size. A job that runs again comes here once more. Must not throw. Default: what was pushed is the job.
	 */
	open?(queued: Queued | Job): Job;
	/** Runs a job; what it returns is the verdict, or a promise for what `settle` makes it from. Must not throw. */
	run(job: Job): RunVerdict | Promise<unknown>;
	/** The promise of a run has settled: gives the verdict. Must not throw. Default: the value is the verdict. */
	settle?(job: Job, hasFailed: boolean, result: unknown): RunVerdict;
	/** Asked before a job waits to run again; with `false` it is over instead. Default: it may. */
	mayRunAgain?(job: Job): boolean;
}
