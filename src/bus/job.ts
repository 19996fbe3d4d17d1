import type { AsyncScope } from "../internal/async-scope.ts";
import type { LaneJob } from "../lanes/index.ts";
import type { Attempt, BatchAttempt } from "./attempt.ts";
import type { AttemptFailure } from "./dead-letter.ts";
import type { QueuedEvent } from "./plan.ts";

/** An event on its way through one handler. */
export class Job implements LaneJob {
	readonly lane: string | undefined;
	/** Changes only while it waits, where a newer event of its key takes its place. */
	event: QueuedEvent;
	/** The handler's place in the plan of the event's type; -1 for a dead letter, which no plan has a place for. */
	index: number;
	/** The AsyncLocalStorage context of the emit, which p-queue would lose. */
	scope: AsyncScope;
	attempts = 0;
	/** The last of its failures; most jobs never have one. */
	failures: AttemptFailure[] | undefined = undefined;
	/** The attempt that runs. */
	attempt: Attempt | undefined = undefined;
	/** The batch it waits or runs in. */
	batch: Batch | undefined = undefined;
	/** Whether it waits outside a full queue. */
	isOutside = false;

	constructor(event: QueuedEvent, index: number, scope: AsyncScope, lane: string | undefined) {
		this.event = event;
		this.index = index;
		this.scope = scope;
		this.lane = lane;
	}
}

/** Events that a handler gets together. */
export class Batch implements LaneJob {
	readonly lane = undefined;
	jobs: readonly Job[];
	attempts = 0;
	attempt: BatchAttempt | undefined = undefined;

	constructor(jobs: readonly Job[]) {
		this.jobs = jobs;
		for (const job of jobs) job.batch = this;
	}
}
