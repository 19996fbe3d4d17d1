import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { Fifo } from "../internal/fifo.ts";
import { whenSettled } from "../internal/thenable.ts";
import { createGate } from "./gate.ts";
import type { LaneJob, LanesOptions, RunVerdict } from "./lanes-options.ts";
import { createPace, type RateLimit } from "./pace.ts";

/**
 * Runs jobs with limits: so many at once, and one at a time per lane.
 *
 * A job that is to run again keeps its lane but gives its slot away until then, so that a backoff of minutes delays
 * what must stay in order and nothing else.
 */
export interface Lanes<Job extends LaneJob, Queued extends LaneJob = Job> {
	/** Takes a job; it starts in a later microtask at the earliest. */
	push(job: Queued | Job): void;
	/** Jobs that do not run now: queued, behind another of their lane, or waiting to run again. */
	readonly size: number;
	readonly running: number;
	readonly isPaused: boolean;
	/** How many jobs the rate limit lets start now, and how long until the next one may. */
	readonly allowance: { readonly count: number; readonly inMs: number };
	/** Changes how many jobs may run at once, where that was limited from the start; those that run go on. */
	setConcurrency(concurrency: number): void;
	/** Changes how many jobs may start in a time; those that have started count. */
	setRateLimit(rateLimit: RateLimit | undefined): void;
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

export function createLanes<Job extends LaneJob, Queued extends LaneJob = Job>(
	options: LanesOptions<Job, Queued>,
): Lanes<Job, Queued> {
	const { clock, run, slow, settle = (_job, _hasFailed, result) => result as RunVerdict } = options;
	const { open = (queued) => queued as Job } = options;
	const ceiling = options.gate?.concurrency ?? Number.POSITIVE_INFINITY;
	let concurrency = Math.min(options.concurrency, ceiling);
	// p-queue costs 5–20 µs a task, so it schedules workers that each run many jobs, and nothing when nothing is limited.
	const gate =
		concurrency === Number.POSITIVE_INFINITY ? undefined : (options.gate ?? createGate(concurrency));
	let pace = options.rateLimit && createPace(options.rateLimit, clock);
	const ready = new Fifo<Queued | Job>();
	/** Jobs among the ready ones that were taken out. */
	const removed = new Set<Queued | Job>();
	/** An entry for every lane with a job that is ready, running or waiting; the jobs behind it, if any. */
	const lanes = new Map<string, Fifo<Queued | Job> | undefined>();
	const waiting = new Map<Job, unknown>();
	let behind = 0;
	let running = 0;
	let workers = 0;
	let isFlushing = false;
	let isPaused = false;
	let paceTimer: unknown;
	let idle: Deferred<void> | undefined;

	function push(job: Queued | Job): void {
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

	function makeReady(job: Queued | Job): void {
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
		return open(ready.shift() as Queued | Job);
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
		const swept: (Queued | Job)[] = [];
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
			if (isPromise(result)) finishOnceSettled(job, result);
			else finish(job, result);
		}
	}

	/** Limited: one of at most `concurrency` workers, each running job after job. */
	function work(): Promise<void> {
		return new Promise((end) => {
			let current: Job;
			let slowTimer: unknown;
			let hasSlot = true;
			// Made once, not for each job; with `await`, each would cost a promise more where anybody has async hooks.
			const goOnWith = (hasFailed: boolean, result: unknown): void => {
				if (slow !== undefined) clock.clearTimeout(slowTimer);
				if (!hasSlot) slow?.end();
				finish(current, settle(current, hasFailed, result));
				if (!hasSlot) lineUp();
				else if (!giveUpSlot(end)) goOn();
			};
			const onValue = (value: unknown): void => goOnWith(false, value);
			const onError = (error: unknown): void => goOnWith(true, error);
			// Asked again as long as it may not: others that gave theirs away may have ended.
			const onSlow = (): void => {
				if (slow?.begin() !== true) return watchSlow();
				hasSlot = false;
				end();
			};
			const watchSlow = (): void => {
				if (slow !== undefined) slowTimer = clock.setTimeout(onSlow, slow.afterMs);
			};
			const goOn = (): void => {
				for (let job = take(); job !== undefined; job = take()) {
					const result = run(job);
					if (isPromise(result)) {
						current = job;
						watchSlow();
						whenSettled(result, onValue, onError);
						return;
					}
					finish(job, result);
					if (giveUpSlot(end)) return;
				}
				workers--;
				end();
			};
			// In a microtask, since p-queue may start a task inside `add`, and so inside the `emit` that pushed the job.
			queueMicrotask(goOn);
		});
	}

	/** A worker without a slot waits for one, unless there are too many. */
	function lineUp(): void {
		if (workers > concurrency) workers--;
		else void gate?.add(work);
	}

	/** Others wait for the shared ceiling: the worker goes back to the end of their line. One too many ends. */
	function giveUpSlot(end: () => void): boolean {
		if (gate === undefined || (gate.size === 0 && workers <= concurrency)) return false;
		lineUp();
		end();
		return true;
	}

	function finishOnceSettled(job: Job, result: Promise<unknown>): void {
		whenSettled(
			result,
			(value) => finish(job, settle(job, false, value)),
			(error) => finish(job, settle(job, true, error)),
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
		get allowance() {
			const inMs = pace?.waitMs() ?? 0;
			return { count: pace?.free() ?? Number.POSITIVE_INFINITY, inMs };
		},
		setConcurrency(wanted) {
			concurrency = Math.min(wanted, ceiling);
			if (gate !== undefined && options.gate === undefined) gate.concurrency = concurrency;
			startReady();
		},
		setRateLimit(rateLimit) {
			pace = rateLimit && createPace(rateLimit, clock, pace?.starts());
			clock.clearTimeout(paceTimer);
			paceTimer = undefined;
			startReady();
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
			const cleared = [...holders, ...followers].filter((job) => !removed.has(job)).map(open);
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

/** Does not ask for `then`: that may be a getter, which throws when it is asked again. */
function isPromise(result: RunVerdict | Promise<unknown>): result is Promise<unknown> {
	return typeof result === "object";
}
