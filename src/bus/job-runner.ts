import { CallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
import { backoffDelayMs } from "../internal/backoff.ts";
import { isThenable } from "../internal/deferred.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import type { RunVerdict } from "../lanes/index.ts";
import {
	Attempt,
	type AttemptHost,
	BatchAttempt,
	type BatchContext,
	type HandlerContext,
} from "./attempt.ts";
import type { BusCore } from "./core.ts";
import { runOnion } from "./handler-onion.ts";
import type { HandlerSettings } from "./handler-options.ts";
import { Batch, type Job } from "./job.ts";
import type { JobOutcomes } from "./job-outcomes.ts";
import { isPermanentError } from "./permanent-error.ts";

export type HandlerFunction = (data: unknown, context: HandlerContext | BatchContext) => unknown;

/** Makes the attempts of one handler: time limits, retries, middleware. */
export class JobRunner {
	readonly host: AttemptHost;
	readonly #core: BusCore;
	readonly #handler: HandlerFunction;
	readonly #settings: HandlerSettings;
	readonly #outcomes: JobOutcomes;
	/** The events of a batch come from different places: it runs in the context of the registration. */
	readonly #batchScope: AsyncScope;
	#running = 0;

	constructor(core: BusCore, handler: HandlerFunction, settings: HandlerSettings, outcomes: JobOutcomes) {
		this.#core = core;
		this.#handler = handler;
		this.#settings = settings;
		this.#outcomes = outcomes;
		this.#batchScope = openAsyncScope();
		const report = (error: unknown, event: BusEvent): void => outcomes.report(error, event);
		this.host = { watched: new Set(), stopReason: undefined, report };
	}

	/** Attempts that run now. */
	get running(): number {
		return this.#running;
	}

	/** Starts an attempt; what it returns goes to {@link settle} when it is a promise, else it is the verdict. */
	run(work: Job | Batch): RunVerdict | Promise<unknown> {
		const attempt = this.#openAttempt(work);
		const scope = this.#scopeOf(work);
		this.#running++;
		let result: unknown;
		try {
			result = scope.runInAsyncScope(this.#invoke, undefined, attempt);
			if (isThenable(result)) return result as Promise<unknown>;
		} catch (error) {
			return this.settle(work, true, error);
		}
		return this.settle(work, false, result);
	}

	/** The function has really settled: only now may its slot and its lane be free. */
	settle(work: Job | Batch, hasFailed: boolean, result: unknown): RunVerdict {
		const attempt = work.attempt as Attempt;
		work.attempt = undefined;
		this.#running--;
		attempt.end();
		if (attempt.timer !== undefined) this.#core.clock.clearTimeout(attempt.timer);
		// An attempt that timed out has failed, whatever the function came back with.
		const isLate = attempt.abortReason !== undefined;
		const error = isLate ? attempt.abortReason : result;
		if (work instanceof Batch)
			return this.#endBatch(work, attempt as BatchAttempt, hasFailed || isLate, error);
		if (hasFailed || isLate) return this.#isLast(work, error) ? undefined : this.#retry(work, error);
		this.#outcomes.succeed(work, result);
		return undefined;
	}

	/** It could not even be tried. */
	fail(job: Job, error: unknown): void {
		if (!this.#isLast(job, error)) this.#retry(job, error);
	}

	/** What a function sets by `enterWith` must not reach the next attempt or the next batch. */
	#scopeOf(work: Job | Batch): AsyncScope {
		if (work instanceof Batch) return this.#batchScope.runInAsyncScope(openAsyncScope, undefined);
		return this.#settings.attempts > 1 ? work.scope.runInAsyncScope(openAsyncScope, undefined) : work.scope;
	}

	#openAttempt(work: Job | Batch): Attempt {
		const number = ++work.attempts;
		if (work instanceof Batch) {
			for (const job of work.jobs) job.attempts = number;
			const events = work.jobs.map(({ event }) => event);
			work.attempt = new BatchAttempt(events, number, this.host);
		} else {
			work.attempt = new Attempt(work.event, number, this.host);
		}
		if (this.#settings.timeoutMs !== undefined)
			this.#startTimer(work, work.attempt, this.#settings.timeoutMs);
		return work.attempt;
	}

	readonly #invoke = (attempt: Attempt): unknown => {
		const { causes, handlerMiddleware } = this.#core;
		return causes.run(attempt, handlerMiddleware.length === 0 ? this.#call : this.#callInMiddleware);
	};

	readonly #callInMiddleware = (attempt: Attempt): Promise<unknown> => {
		const { causes, handlerMiddleware, report } = this.#core;
		const { event } = attempt;
		const { name } = this.#settings;
		return runOnion(
			handlerMiddleware,
			createMiddlewareContext(attempt, name),
			(enriched) => {
				attempt.event = enriched;
				// Once more: it may be behind an `await` of the middleware.
				return causes.run(attempt, this.#call);
			},
			(error) => report(error, { source: "middleware", name, event }),
		);
	};

	readonly #call = (attempt: Attempt): unknown => {
		if (!(attempt instanceof BatchAttempt)) return this.#handler(attempt.event.data, attempt);
		return this.#handler(
			attempt.events.map(({ data }) => data),
			attempt,
		);
	};

	#startTimer(work: Job | Batch, attempt: Attempt, timeoutMs: number): void {
		const { name } = this.#settings;
		attempt.timer = this.#core.clock.setTimeout(() => {
			const message = `Handler "${name}" took longer than ${timeoutMs} ms`;
			attempt.abort(new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs }));
			for (const { event } of jobsOf(work)) {
				const info = { event, handler: name, attempt: attempt.attempt, timeoutMs };
				this.#core.signals.send("handler:timeout", () => info);
			}
		}, timeoutMs);
	}

	/** Each event of a batch ends by itself; those that are worth it go on together. */
	#endBatch(batch: Batch, { failures }: BatchAttempt, hasFailed: boolean, result: unknown): RunVerdict {
		const again: [Job, unknown][] = [];
		for (const [index, job] of batch.jobs.entries()) {
			if (!hasFailed && !failures.has(index)) {
				this.#outcomes.succeed(job, result);
				continue;
			}
			const error = failures.has(index) ? failures.get(index) : result;
			if (!this.#isLast(job, error)) again.push([job, error]);
		}
		batch.jobs = again.map(([job]) => job);
		const [first] = batch.jobs;
		if (first === undefined) return undefined;
		const delayMs = this.#delayMs(batch.attempts);
		for (const [job, error] of again) this.#outcomes.retry(job, error, delayMs);
		return delayMs;
	}

	#retry(job: Job, error: unknown): number {
		const delayMs = this.#delayMs(job.attempts);
		this.#outcomes.retry(job, error, delayMs);
		return delayMs;
	}

	#delayMs(attempts: number): number {
		return backoffDelayMs(this.#settings.backoff, attempts, Math.random());
	}

	/** Gives the job up unless another attempt is due to it. */
	#isLast(job: Job, error: unknown): boolean {
		if (this.host.stopReason !== undefined) this.#outcomes.fail(job, error);
		else if (job.attempts >= this.#settings.attempts || !this.#isWorthRetry(job, error)) {
			this.#outcomes.giveUp(job, error);
		} else return false;
		return true;
	}

	#isWorthRetry(job: Job, error: unknown): boolean {
		try {
			if (isPermanentError(error)) return false;
			return checkSynchronous("retry.when", this.#settings.when?.(error) ?? true);
		} catch (whenError) {
			this.#outcomes.report(whenError, job.event);
			return false;
		}
	}
}

export function jobsOf(work: Job | Batch): readonly Job[] {
	return work instanceof Batch ? work.jobs : [work];
}

function createMiddlewareContext(
	attempt: Attempt,
	handler: string,
): HandlerContext & { readonly handler: string } {
	return {
		handler,
		attempt: attempt.attempt,
		get event() {
			return attempt.event;
		},
		get signal() {
			return attempt.signal;
		},
	};
}
