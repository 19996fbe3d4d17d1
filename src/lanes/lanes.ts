import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred, isThenable } from "../internal/deferred.ts";
import { Fifo } from "../internal/fifo.ts";
import { createGate, type Gate } from "./gate.ts";
import { createPace, type RateLimit } from "./pace.ts";

/** Work for {@link Lanes}. */
export interface LaneJob {
	/** Jobs of one lane run one at a time, in order; jobs without a lane are independent. */
	readonly lane: string | undefined;
}

/** What a run says of its job: `undefined`, it is over; a number, it runs again after so many milliseconds. */
export type RunVerdict = number | undefined;

export interface LanesOptions<Job extends LaneJob> {
	/** At most so many jobs run at once. */
	readonly concurrency: number;
	/** A ceiling shared with other lanes. */
	readonly gate?: Gate | undefined;
	/** How many may start in a time. */
	readonly rateLimit?: RateLimit | undefined;
	readonly clock: Clock;
	/** Runs a job; what it returns is the verdict, or a promise for what `settle` makes it from. Must not throw. */
	run(job: Job): RunVerdict | Promise<unknown>;
	/** The promise of a run has settled: gives the verdict. Must not throw. Default: the value is the verdict. */
	settle?(job: Job, hasFailed: boolean, result: unknown): RunVerdict;
	/** Asked before a job waits to run again; with `false` it is over instead. Default: it may. */
	mayRunAgain?(job: Job): boolean;
}

/**
 * Runs jobs with limits: so many at once, and one at a time per lane.
 *
 * A job that is to run again keeps its lane but gives its slot away until then, so that a backoff of minutes delays
 * what must stay in order and nothing else.
 */
export interface Lanes<Job extends LaneJob> {
	/** Takes a job; it starts in a later microtask at the earliest. */
	push(job: Job): void;
	/** Jobs that do not run now: queued, behind another of their lane, or waiting to run again. */
	readonly size: number;
	readonly running: number;
	readonly isPaused: boolean;
	/** Lets running jobs end and starts no more. */
	pause(): void;
	resume(): void;
	/** Resolves once nothing is queued, waiting or running. */
	idle(): Promise<void>;
	/** Takes out every job that is not running. */
	clear(): Job[];
	/** Takes out a job that has not started: the first of its lane, or one that is in no lane. */
	remove(job: Job): void;
}

export function createLanes<Job extends LaneJob>(options: LanesOptions<Job>): Lanes<Job> {
	const { clock, run, settle = (_job, _hasFailed, result) => result as RunVerdict } = options;
	const concurrency = Math.min(options.concurrency, options.gate?.concurrency ?? Number.POSITIVE_INFINITY);
	// p-queue costs 5–20 µs a task, so it schedules workers that each run many jobs, and nothing when nothing is limited.
	const gate =
		concurrency === Number.POSITIVE_INFINITY ? undefined : (options.gate ?? createGate(concurrency));
	const pace = options.rateLimit && createPace(options.rateLimit, clock);
	const ready = new Fifo<Job>();
	/** Jobs among the ready ones that were taken out. */
	const removed = new Set<Job>();
	/** An entry for every lane with a job that is ready, running or waiting; the jobs behind it, if any. */
	const lanes = new Map<string, Fifo<Job> | undefined>();
	const waiting = new Map<Job, unknown>();
	let behind = 0;
	let running = 0;
	let workers = 0;
	let isFlushing = false;
	let isPaused = false;
	let paceTimer: unknown;
	let idle: Deferred<void> | undefined;

	function push(job: Job): void {
		if (job.lane === undefined) return makeReady(job);
		if (!lanes.has(job.lane)) {
			lanes.set(job.lane, undefined);
			return makeReady(job);
		}
		let queue = lanes.get(job.lane);
		if (queue === undefined) {
			queue = new Fifo();
			lanes.set(job.lane, queue);
		}
		queue.push(job);
		behind++;
	}

	function makeReady(job: Job): void {
		ready.push(job);
		if (!isPaused) start();
	}

	function start(): void {
		if (paceTimer !== undefined) return;
		if (gate === undefined) {
			if (isFlushing) return;
			isFlushing = true;
			queueMicrotask(flush);
		} else if (workers < concurrency) {
			workers++;
			void gate.add(work);
		}
	}

	function startReady(): void {
		for (let starts = Math.min(ready.size, concurrency); starts > 0; starts--) start();
	}

	/** The next job to run, if one may run now. */
	function take(): Job | undefined {
		skipRemoved();
		if (isPaused || ready.size === 0) return undefined;
		const waitMs = pace?.waitMs() ?? 0;
		if (waitMs > 0) {
			paceTimer ??= clock.setTimeout(() => {
				paceTimer = undefined;
				startReady();
			}, waitMs);
			return undefined;
		}
		pace?.take();
		running++;
		return ready.shift();
	}

	function skipRemoved(): void {
		if (removed.size === 0) return;
		for (let job = ready.peek(); job !== undefined && removed.delete(job); job = ready.peek()) {
			ready.shift();
			releaseLane(job.lane);
		}
	}

	/** One that stays at the head for long, as a retry does while paused, must not keep all that was removed behind it. */
	function sweepRemoved(): void {
		const swept: Job[] = [];
		for (const job of ready.takeAll()) (removed.delete(job) ? swept : ready).push(job);
		for (const { lane } of swept) releaseLane(lane);
	}

	/** Unlimited: starts all that is ready, without a queue. */
	function flush(): void {
		isFlushing = false;
		for (let left = ready.size; left > 0; left--) {
			const job = take();
			if (job === undefined) return;
			const result = run(job);
			if (isThenable(result)) onSettled(job, result, finish);
			else finish(job, result);
		}
	}

	/** Limited: one of at most `concurrency` workers, each running job after job. */
	function work(): Promise<void> {
		// In a microtask, since p-queue may start a task inside `add`, and so inside the `emit` that pushed the job.
		return new Promise((resolve) => queueMicrotask(() => workOn(resolve)));
	}

	/** A loop with callbacks: with `await`, each job would cost two promises more. */
	function workOn(end: () => void): void {
		for (let job = take(); job !== undefined; job = take()) {
			const result = run(job);
			if (isThenable(result)) {
				onSettled(job, result, (settled, verdict) => {
					finish(settled, verdict);
					if (!giveUpSlot(end)) workOn(end);
				});
				return;
			}
			finish(job, result);
			if (giveUpSlot(end)) return;
		}
		workers--;
		end();
	}

	/** Others wait for the shared ceiling: the worker goes back to the end of their line. */
	function giveUpSlot(end: () => void): boolean {
		if (gate === undefined || gate.size === 0) return false;
		void gate.add(work);
		end();
		return true;
	}

	function onSettled(
		job: Job,
		result: PromiseLike<unknown>,
		goOn: (job: Job, verdict: RunVerdict) => void,
	): void {
		// Through Promise.resolve, because a foreign `then` may throw or call back at once.
		Promise.resolve(result).then(
			(value) => goOn(job, settle(job, false, value)),
			(error) => goOn(job, settle(job, true, error)),
		);
	}

	function finish(job: Job, verdict: RunVerdict): void {
		running--;
		if (verdict === undefined || options.mayRunAgain?.(job) === false) releaseLane(job.lane);
		else
			waiting.set(
				job,
				clock.setTimeout(() => runAgain(job), verdict),
			);
		resolveIdle();
	}

	function resolveIdle(): void {
		if (idle === undefined || !isIdle()) return;
		idle.resolve();
		idle = undefined;
	}

	function isIdle(): boolean {
		return running === 0 && countQueued() === 0;
	}

	function runAgain(job: Job): void {
		waiting.delete(job);
		makeReady(job);
	}

	function releaseLane(lane: string | undefined): void {
		if (lane === undefined) return;
		const next = lanes.get(lane)?.shift();
		if (next === undefined) {
			lanes.delete(lane);
		} else {
			behind--;
			makeReady(next);
		}
	}

	function countQueued(): number {
		return ready.size - removed.size + behind + waiting.size;
	}

	return {
		push,
		get size() {
			return countQueued();
		},
		get running() {
			return running;
		},
		get isPaused() {
			return isPaused;
		},
		pause() {
			isPaused = true;
		},
		resume() {
			if (!isPaused) return;
			isPaused = false;
			startReady();
		},
		idle() {
			if (isIdle()) return Promise.resolve();
			idle ??= createDeferred();
			return idle.promise;
		},
		clear() {
			// Ready and waiting jobs hold their lanes; the jobs behind them and behind running ones do not.
			const holders = [...waiting.keys(), ...ready.takeAll()];
			clock.clearTimeout(paceTimer);
			paceTimer = undefined;
			const followers = [...lanes.values()].flatMap((queue) => queue?.takeAll() ?? []);
			for (const timer of waiting.values()) clock.clearTimeout(timer);
			for (const { lane } of holders) if (lane !== undefined) lanes.delete(lane);
			waiting.clear();
			behind = 0;
			const cleared = [...holders, ...followers].filter((job) => !removed.has(job));
			removed.clear();
			resolveIdle();
			return cleared;
		},
		remove(job) {
			const queue = job.lane === undefined ? undefined : lanes.get(job.lane);
			if (queue?.peek() === job) {
				queue.shift();
				behind--;
			} else {
				removed.add(job);
				skipRemoved();
				if (removed.size * 2 > ready.size) sweepRemoved();
			}
			resolveIdle();
		},
	};
}
