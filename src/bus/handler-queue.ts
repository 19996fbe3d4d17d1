import type { CallhookError } from "../errors.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
import { invalidOption } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import {
	type Collector,
	createCollector,
	createIntake,
	createLanes,
	type Gate,
	type Intake,
	type Lanes,
	type RunVerdict,
} from "../lanes/index.ts";
import type { BusCore } from "./core.ts";
import type { HandlerSettings } from "./handler-options.ts";
import { Batch, Job } from "./job.ts";
import { JobOutcomes } from "./job-outcomes.ts";
import { type HandlerFunction, JobRunner, jobsOf } from "./job-runner.ts";
import type { EventQueue, QueuedEvent } from "./plan.ts";

/** What a handler has done so far. */
export interface HandlerStats {
	readonly succeeded: number;
	/** Given up after the last attempt, refused by a full queue, or stopped. */
	readonly failed: number;
	/** Attempts beyond the first. */
	readonly retried: number;
	/** Events that a full queue refused or let go, and those whose place a newer one of their key took. */
	readonly dropped: number;
	/** Attempts that run now. */
	readonly running: number;
	/** Events that wait: queued, behind another of their key, for a batch, for a retry, or outside a full queue. */
	readonly queued: number;
}

/** The events of one handler, from `emit` to their outcome. */
export class HandlerQueue implements EventQueue {
	readonly name: string;
	readonly #core: BusCore;
	readonly #settings: HandlerSettings;
	readonly #outcomes: JobOutcomes;
	readonly #runner: JobRunner;
	readonly #lanes: Lanes<Job | Batch, QueuedEvent>;
	readonly #collector: Collector<Job> | undefined;
	readonly #intake: Intake<Job> | undefined;
	/** Until it starts, nothing needs to be known of an event but its place in the line. */
	readonly #isPlain: boolean;
	/** It takes no more events. */
	isEnding = false;
	/** Events inside the queue that do not run. */
	#waiting = 0;
	/** No batch waits to be full any more. */
	#isHurried = false;

	constructor(core: BusCore, handler: HandlerFunction, settings: HandlerSettings, gate: Gate | undefined) {
		const { name, concurrency, rateLimit, batch } = settings;
		this.name = name;
		this.#core = core;
		this.#settings = settings;
		this.#outcomes = new JobOutcomes(core, name);
		this.#runner = new JobRunner(core, handler, settings, this.#outcomes);
		this.#lanes = createLanes<Job | Batch, QueuedEvent>({
			...{ concurrency, gate, rateLimit, clock: core.clock },
			open: (queued) => (queued instanceof Job || queued instanceof Batch ? queued : openJob(queued)),
			run: (work) => this.#run(work),
			settle: (work, hasFailed, result) => this.#runner.settle(work, hasFailed, result),
			mayRunAgain: (work) => this.#mayRunAgain(work),
		});
		this.#collector =
			batch && createCollector(batch, core.clock, (jobs) => this.#lanes.push(new Batch(jobs)));
		this.#intake = this.#createIntake();
		this.#isPlain = settings.key === undefined && batch === undefined && settings.queue === undefined;
		core.causes.prepare();
	}

	/** Events that wait. */
	get size(): number {
		return this.#waiting + (this.#intake?.blocked ?? 0);
	}

	get lanes(): Pick<Lanes<never>, "pause" | "resume"> {
		return this.#lanes;
	}

	stats(): HandlerStats {
		const { succeeded, failed, retried, dropped } = this.#outcomes;
		return { succeeded, failed, retried, dropped, running: this.#runner.running, queued: this.size };
	}

	enqueue(event: QueuedEvent, index: number, scope: AsyncScope): void {
		this.#outcomes.begin(event);
		const { host } = this.#runner;
		// The first handler of an event, which has room for one scope.
		if (this.#isPlain && index === 0 && host.stopReason === undefined) {
			event.keepScope(scope);
			this.#waiting++;
			this.#lanes.push(event);
			return;
		}
		let lane: string | undefined;
		try {
			lane = this.#laneOf(event);
		} catch (error) {
			this.#outcomes.giveUp(new Job(event, index, scope, undefined), error);
			return;
		}
		const job = new Job(event, index, scope, lane);
		const { stopReason } = host;
		// A callback of this very emit, or the key function, has closed the bus.
		if (stopReason !== undefined) {
			event.refuseHandler(stopReason);
			this.#outcomes.fail(job, stopReason);
		} else if (this.#intake === undefined) this.#admit(job);
		else this.#intake.push(job, this.#core.causes.isInHandler());
	}

	/** Whether a dead letter is its own. */
	owns(owner: object | undefined): boolean {
		return owner === this.#outcomes;
	}

	/** Takes an event again that it gave up. */
	requeue(event: QueuedEvent): void {
		this.enqueue(event, -1, openAsyncScope());
	}

	/** Resolves once no event waits or runs. */
	idle(): Promise<void> {
		return this.#outcomes.open.idle();
	}

	/** Starts the batch that waits to be full, and each that follows without waiting for that. */
	flush(): void {
		this.#isHurried = true;
		this.#collector?.flush();
	}

	/** Resolves once it has nothing left, an event of the emit in progress included. */
	async finished(): Promise<void> {
		this.isEnding = true;
		await Promise.resolve();
		this.flush();
		await this.idle();
	}

	/** Gives up everything that waits and fires the signals of what runs. */
	abort(reason: CallhookError): void {
		const { host } = this.#runner;
		host.stopReason = reason;
		for (const attempt of host.watched) attempt.stop(reason);
		const waiting = this.#lanes.clear().flatMap(jobsOf);
		waiting.push(...(this.#collector?.clear() ?? []), ...(this.#intake?.clear() ?? []));
		this.#waiting = 0;
		for (const job of waiting) {
			if (job.isOutside) job.event.refuseHandler(reason);
			this.#outcomes.fail(job, reason);
		}
	}

	#createIntake(): Intake<Job> | undefined {
		const { queue } = this.#settings;
		if (queue === undefined) return undefined;
		const { limit, overflow } = queue;
		return createIntake<Job>(queue, {
			size: () => this.#waiting,
			admit: (job) => this.#admit(job),
			remove: (job) => this.#remove(job),
			keyOf: ({ lane }) => lane,
			replace: (waiting, newer) => this.#replace(waiting, newer),
			onBlocked(job) {
				job.isOutside = true;
				job.event.blockHandler();
			},
			onUnblocked(job) {
				job.isOutside = false;
				job.event.unblockHandler();
			},
			onExceeded: ({ event }) => {
				const info = { event, handler: this.name, limit, queued: this.size };
				this.#core.signals.send("handler:exceeded", () => info);
			},
			onDropped: ({ event, index }) => this.#outcomes.drop(event, index, overflow),
			onRejected: (job) => this.#outcomes.reject(job, limit),
		});
	}

	#admit(job: Job): void {
		this.#waiting++;
		const collector = this.#collector;
		if (collector === undefined) return this.#lanes.push(job);
		collector.add(job);
		// Later in this turn, so that what is let in together makes a batch.
		if (this.#isHurried) queueMicrotask(() => collector.flush());
	}

	/** Takes out a job that has not started. */
	#remove(job: Job): void {
		this.#waiting--;
		const { batch } = job;
		if (batch === undefined) {
			if (this.#collector === undefined) this.#lanes.remove(job);
			else this.#collector.remove(job);
			return;
		}
		batch.jobs = batch.jobs.filter((other) => other !== job);
		if (batch.jobs.length === 0) this.#lanes.remove(batch);
	}

	/** A newer event takes the place of one of its key that waits; a dead letter is the older one and goes. */
	#replace(waiting: Job, { event, index, scope }: Job): void {
		const { event: older, index: olderIndex } = waiting;
		if (index < 0 && (olderIndex >= 0 || event.time < older.time)) {
			this.#outcomes.drop(event, index, "coalesce");
			return;
		}
		waiting.event = event;
		waiting.index = index;
		waiting.scope = scope;
		if (waiting.isOutside) {
			event.blockHandler();
			older.unblockHandler();
		}
		this.#outcomes.drop(older, olderIndex, "coalesce");
	}

	#run(work: Job | Batch): RunVerdict | Promise<unknown> {
		if (work instanceof Batch) {
			this.#waiting -= work.jobs.length;
			for (const job of work.jobs) this.#intake?.started(job);
		} else {
			this.#waiting--;
			this.#intake?.started(work);
		}
		return this.#runner.run(work);
	}

	/** The bus may have closed since the attempt failed, before its job waited where `abort` finds it. */
	#mayRunAgain(work: Job | Batch): boolean {
		const { stopReason } = this.#runner.host;
		const jobs = jobsOf(work);
		if (stopReason === undefined) {
			this.#waiting += jobs.length;
			return true;
		}
		for (const job of jobs) this.#outcomes.fail(job, stopReason);
		return false;
	}

	#laneOf(event: QueuedEvent): string | undefined {
		const key = checkSynchronous("key", this.#settings.key?.(event.data, event));
		if (key === undefined || typeof key === "string") return key;
		throw invalidOption("key", "a function that returns a string or undefined", key);
	}
}

/** The job of an event that waited without one, for the first handler of its plan. */
function openJob(event: QueuedEvent): Job {
	return new Job(event, 0, event.takeScope(), undefined);
}
