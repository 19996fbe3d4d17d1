import { CallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import { isoTime } from "../internal/iso-time.ts";
import type { Overflow } from "../lanes/index.ts";
import type { BusCore } from "./core.ts";
import type { Job } from "./job.ts";
import { OpenWork } from "./open-work.ts";
import type { QueuedEvent } from "./plan.ts";

// More would only repeat themselves; a retry without end must not grow its job without end.
const keptFailures = 20;

/** Writes down what becomes of the jobs of one handler, and tells whom it concerns. */
export class JobOutcomes {
	/** The jobs that have no outcome yet. */
	readonly open: OpenWork = new OpenWork();
	readonly #core: BusCore;
	readonly #handler: string;
	succeeded = 0;
	failed = 0;
	retried = 0;
	dropped = 0;

	constructor(core: BusCore, handler: string) {
		this.#core = core;
		this.#handler = handler;
	}

	/** The handler got an event; a job of it will end in one of the ways below. */
	begin(event: QueuedEvent): void {
		this.open.begin();
		event.beginHandler();
	}

	succeed(job: Job, value: unknown): void {
		const { event, attempts } = job;
		this.succeeded++;
		this.#core.signals.send("handler:succeeded", () => ({ event, handler: this.#handler, attempts }));
		event.completeHandler(job.index, value, attempts);
		this.open.end();
	}

	/** An attempt failed and another will follow. */
	retry(job: Job, error: unknown, delayMs: number): void {
		const { event, attempts } = job;
		this.retried++;
		this.#keepFailure(job, error);
		this.#core.signals.send("handler:retry", () => ({
			...{ event, handler: this.#handler, attempt: attempts, delayMs, error },
		}));
	}

	/** The handler could not do it: the job becomes a dead letter. */
	giveUp(job: Job, error: unknown): void {
		this.#keepFailure(job, error);
		const { event, attempts, failures = [] } = job;
		this.#core.deadLetters.add({ event, handler: this.#handler, attempts, failures }, this);
		this.fail(job, error);
	}

	/** The handler will not do it. */
	fail(job: Job, error: unknown): void {
		const { event, attempts } = job;
		this.failed++;
		this.#core.signals.send("handler:failed", () => ({ event, handler: this.#handler, attempts, error }));
		this.report(error, event);
		event.failHandler(job.index, error, attempts);
		this.open.end();
	}

	/** A full queue has no room for it. */
	reject(job: Job, limit: number): void {
		const message = `The queue of handler "${this.#handler}" is full: ${limit} events wait`;
		const error = new CallhookError("ERR_CALLHOOK_QUEUE_FULL", message, { handler: this.#handler, limit });
		this.dropped++;
		this.#sendDropped(job.event, "reject");
		job.event.refuseHandler(error);
		this.fail(job, error);
	}

	/** It went, or did not come in, because the queue was full. */
	drop(event: QueuedEvent, index: number, overflow: Overflow): void {
		this.dropped++;
		this.#sendDropped(event, overflow);
		event.dropHandler(index, overflow);
		this.open.end();
	}

	report(error: unknown, event: BusEvent): void {
		this.#core.report(error, { source: "handler", name: this.#handler, event });
	}

	#sendDropped(event: BusEvent, overflow: Overflow): void {
		this.#core.signals.send("handler:dropped", () => ({ event, handler: this.#handler, overflow }));
	}

	#keepFailure(job: Job, error: unknown): void {
		job.failures ??= [];
		if (job.failures.length >= keptFailures) job.failures.shift();
		job.failures.push({ at: isoTime(this.#core.clock.now()), error });
	}
}
