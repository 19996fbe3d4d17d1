import { CallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import type { AsyncScope } from "../internal/async-scope.ts";
import { backoffDelayMs } from "../internal/backoff.ts";
import { isThenable } from "../internal/deferred.ts";
import { invalidOption } from "../internal/options.ts";
import { createLanes, type Gate, type LaneJob, type Lanes, type RunVerdict } from "../lanes/index.ts";
import { Attempt, type AttemptHost, type HandlerContext } from "./attempt.ts";
import type { BusCore } from "./core.ts";
import type { HandlerSettings } from "./handler-options.ts";
import type { EventQueue, QueuedEvent } from "./plan.ts";

/** What a handler has done so far. */
export interface HandlerStats {
	readonly succeeded: number;
	/** Given up after the last attempt, or stopped. */
	readonly failed: number;
	/** Attempts beyond the first. */
	readonly retried: number;
	readonly running: number;
	/** Queued, behind another event of their key, or waiting for a retry. */
	readonly queued: number;
}

type HandlerFunction = (data: unknown, context: HandlerContext) => unknown;

/** An event on its way through one handler. */
interface Job extends LaneJob {
	readonly event: QueuedEvent;
	/** The handler's place in the plan of the event's type. */
	readonly index: number;
	/** The AsyncLocalStorage context of the emit, which p-queue would lose. */
	readonly scope: AsyncScope;
	attempts: number;
}

/** The jobs of one handler: limits, attempts, time limits and retries. */
export class HandlerQueue implements EventQueue {
	readonly name: string;
	readonly #core: BusCore;
	readonly #handler: HandlerFunction;
	readonly #settings: HandlerSettings;
	readonly #lanes: Lanes<Job>;
	readonly #host: AttemptHost = { watched: new Set(), stopReason: undefined };
	#running = 0;
	#succeeded = 0;
	#failed = 0;
	#retried = 0;

	constructor(core: BusCore, handler: HandlerFunction, settings: HandlerSettings, gate: Gate | undefined) {
		this.name = settings.name;
		this.#core = core;
		this.#handler = handler;
		this.#settings = settings;
		this.#lanes = createLanes({
			concurrency: settings.concurrency,
			gate,
			clock: core.clock,
			run: (job) => this.#run(job),
			mayRunAgain: (job) => this.#mayRunAgain(job),
		});
	}

	get lanes(): Pick<Lanes<never>, "size" | "pause" | "resume" | "idle"> {
		return this.#lanes;
	}

	stats(): HandlerStats {
		return {
			succeeded: this.#succeeded,
			failed: this.#failed,
			retried: this.#retried,
			running: this.#running,
			queued: this.#lanes.size,
		};
	}

	enqueue(event: QueuedEvent, index: number, scope: AsyncScope): void {
		event.beginHandler();
		let lane: string | undefined;
		try {
			lane = this.#laneOf(event);
			// A callback of this very emit, or the key function, has closed the bus.
			if (this.#host.stopReason !== undefined) throw this.#host.stopReason;
		} catch (error) {
			this.#giveUp({ event, index, scope, lane, attempts: 0 }, error);
			return;
		}
		this.#lanes.push({ event, index, scope, lane, attempts: 0 });
	}

	/** Resolves once it has nothing left, an event of the emit in progress included. */
	async finished(): Promise<void> {
		await Promise.resolve();
		await this.#lanes.idle();
	}

	/** Gives up everything that is queued and fires the signals of what runs. */
	abort(reason: CallhookError): void {
		this.#host.stopReason = reason;
		for (const attempt of this.#host.watched) attempt.stop(reason);
		for (const job of this.#lanes.clear()) this.#giveUp(job, reason);
	}

	#laneOf(event: QueuedEvent): string | undefined {
		const key = this.#settings.key?.(event.data, event);
		if (key === undefined || typeof key === "string") return key;
		throw invalidOption("key", "a function that returns a string or undefined", key);
	}

	#run(job: Job): RunVerdict | Promise<RunVerdict> {
		const attempt = new Attempt(job.event, ++job.attempts, this.#host);
		this.#running++;
		const timer = this.#startTimer(job, attempt);
		let result: unknown;
		let isPending: boolean;
		try {
			result = job.scope.runInAsyncScope(this.#handler, undefined, job.event.data, attempt);
			isPending = isThenable(result);
		} catch (error) {
			return this.#endAttempt(job, attempt, timer, true, error);
		}
		if (!isPending) return this.#endAttempt(job, attempt, timer, false, result);
		return Promise.resolve(result).then(
			(value) => this.#endAttempt(job, attempt, timer, false, value),
			(error) => this.#endAttempt(job, attempt, timer, true, error),
		);
	}

	#startTimer(job: Job, attempt: Attempt): unknown {
		const { timeoutMs } = this.#settings;
		if (timeoutMs === undefined) return undefined;
		return this.#core.clock.setTimeout(() => {
			const message = `Handler "${this.name}" took longer than ${timeoutMs} ms`;
			attempt.abort(new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs }));
			const info = { event: job.event, handler: this.name, attempt: attempt.attempt, timeoutMs };
			this.#core.signals.send("handler:timeout", () => info);
		}, timeoutMs);
	}

	/** The function has really settled: only now may its slot and its lane be free. */
	#endAttempt(job: Job, attempt: Attempt, timer: unknown, hasFailed: boolean, result: unknown): RunVerdict {
		this.#running--;
		attempt.end();
		if (timer !== undefined) this.#core.clock.clearTimeout(timer);
		// An attempt that timed out has failed, whatever the function came back with.
		if (attempt.abortReason !== undefined) {
			return this.#retryOrGiveUp(job, attempt.abortReason);
		}
		if (hasFailed) return this.#retryOrGiveUp(job, result);
		this.#succeeded++;
		this.#core.signals.send("handler:succeeded", () => ({
			event: job.event,
			handler: this.name,
			attempts: job.attempts,
		}));
		job.event.completeHandler(job.index, result, job.attempts);
		return undefined;
	}

	#retryOrGiveUp(job: Job, error: unknown): RunVerdict {
		if (
			job.attempts >= this.#settings.attempts ||
			this.#host.stopReason !== undefined ||
			!this.#isWorthRetry(job, error)
		) {
			this.#giveUp(job, error);
			return undefined;
		}
		this.#retried++;
		const delayMs = backoffDelayMs(this.#settings.backoff, job.attempts, Math.random());
		this.#core.signals.send("handler:retry", () => ({
			event: job.event,
			handler: this.name,
			attempt: job.attempts,
			delayMs,
			error,
		}));
		return delayMs;
	}

	#isWorthRetry(job: Job, error: unknown): boolean {
		try {
			return this.#settings.when?.(error) ?? true;
		} catch (whenError) {
			this.#report(whenError, job.event);
			return false;
		}
	}

	/** The bus may have closed since the attempt failed, before its job waited where `abort` finds it. */
	#mayRunAgain(job: Job): boolean {
		const { stopReason } = this.#host;
		if (stopReason === undefined) return true;
		this.#giveUp(job, stopReason);
		return false;
	}

	#giveUp(job: Job, error: unknown): void {
		this.#failed++;
		this.#core.signals.send("handler:failed", () => ({
			event: job.event,
			handler: this.name,
			attempts: job.attempts,
			error,
		}));
		this.#report(error, job.event);
		job.event.failHandler(job.index, error, job.attempts);
	}

	#report(error: unknown, event: BusEvent): void {
		this.#core.report(error, { source: "handler", name: this.name, event });
	}
}
