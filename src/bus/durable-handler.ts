import { CallhookError } from "../errors.ts";
import { type BusEvent, type Catalog, type Pattern, readBack } from "../event/index.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
import { createDeferred, type Deferred, isThenable } from "../internal/deferred.ts";
import { isoTime } from "../internal/iso-time.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { invalidOption } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import type { Gate, RunVerdict } from "../lanes/index.ts";
import { leaveToNewer, readStoredEvent, type TargetRegistration } from "../outbox/index.ts";
import type { AttemptRecord, Claim, NewDelivery, StoredEvent } from "../outbox/ports.ts";
import type { BusCore } from "./core.ts";
import { DurableOutcomes, type End } from "./durable-outcomes.ts";
import type { HandlerSettings } from "./handler-options.ts";
import type { HandlerStats } from "./handler-queue.ts";
import { Job } from "./job.ts";
import { type HandlerFunction, JobRunner } from "./job-runner.ts";
import { createReplayedEvent } from "./replayed-event.ts";

/** The outbox target of a durable handler. */
export function durableGroup(handler: string): string {
	return `${durablePrefix}${handler}`;
}

export const durablePrefix = "handler:";

// A claim holds an event in memory: without a limit the whole backlog would be.
const defaultConcurrency = 16;
const longestMessage = 2_000;
// Of the event loop: what an aborted request takes to reject, and its handler to end.
const turnsToObey = 5;

/** A handler whose events the outbox keeps until they are done: each attempt is a claim of the store. */
export class DurableHandler {
	readonly name: string;
	readonly #core: BusCore;
	readonly #settings: HandlerSettings;
	readonly #catalog: Pick<Catalog, "get"> | undefined;
	readonly #outcomes: DurableOutcomes;
	readonly #runner: JobRunner;
	/** Those under way. One that is given up rejects, and its claim is left to its lease: the function still runs. */
	readonly #runs = new Set<Deferred<void>>();
	/** Events with a key, on their way into the store. */
	readonly #keyed = new WeakMap<BusEvent, NewDelivery>();
	/** The emit may have been in another process: it runs in the context of the registration. */
	readonly #scope: AsyncScope = openAsyncScope();

	constructor(
		core: BusCore,
		handler: HandlerFunction,
		settings: HandlerSettings,
		catalog: Pick<Catalog, "get"> | undefined,
	) {
		this.name = settings.name;
		this.#core = core;
		this.#settings = settings;
		this.#catalog = catalog;
		this.#outcomes = new DurableOutcomes(core, settings.name);
		this.#runner = new JobRunner(core, handler, settings, this.#outcomes);
		core.causes.prepare();
	}

	/** What the outbox has to know to run it. */
	target({ text }: Pattern, gate: Gate | undefined): TargetRegistration {
		const { name, formerNames, rateLimit } = this.#settings;
		const limit = Math.min(this.#settings.concurrency, gate?.concurrency ?? Number.POSITIVE_INFINITY);
		const concurrency = limit === Number.POSITIVE_INFINITY ? defaultConcurrency : limit;
		const group = durableGroup(name);
		return {
			...{ name: group, accepts: [text], concurrency, gate, targets: [name] },
			// A claim counts an attempt: what has not begun must not lose one when another event kills the process.
			claimsPerSlot: 1,
			// It runs whatever code in this process; webhooks do not.
			isIsolated: true,
			formerNames: formerNames.map(durableGroup),
			concurrencyOf: () => concurrency,
			rateLimitOf: () => rateLimit,
			route: (event) => [this.#deliveryOf(event)],
			run: (claim) => this.#run(claim),
			abort: () =>
				this.abort(new CallhookError("ERR_CALLHOOK_STOPPED", "The bus was closed", { what: "bus" })),
		};
	}

	/** It is emitted now: its key is of its data as they are, which callbacks may change before it is stored. */
	take(event: BusEvent): void {
		this.#deliveryOf(event);
	}

	stats(): Omit<HandlerStats, "queued"> {
		const { succeeded, failed, retried, dropped } = this.#outcomes;
		return { succeeded, failed, retried, dropped, running: this.#runner.running };
	}

	/** Fires the signals of what runs, and soon waits no longer for functions that ignore theirs. */
	abort(reason: CallhookError): void {
		const { host } = this.#runner;
		host.stopReason ??= reason;
		for (const attempt of host.watched) attempt.stop(reason);
		void this.#abandonSoon(reason);
	}

	async #abandonSoon(reason: CallhookError): Promise<void> {
		for (let turns = 0; turns < turnsToObey; turns++) await nextTurn();
		for (const run of this.#runs) run.reject(reason);
	}

	#deliveryOf(event: BusEvent): NewDelivery {
		const { key } = this.#settings;
		let delivery = this.#keyed.get(event);
		if (delivery !== undefined) return delivery;
		delivery = { group: durableGroup(this.name), target: this.name };
		if (key === undefined) return delivery;
		try {
			const orderKey: unknown = checkSynchronous("key", key(event.data, event));
			if (typeof orderKey === "string") delivery = { ...delivery, orderKey };
			else if (orderKey !== undefined)
				throw invalidOption("key", "a function that returns a string or undefined", orderKey);
		} catch (error) {
			// Better out of order than lost.
			this.#outcomes.report(error, event);
		}
		this.#keyed.set(event, delivery);
		return delivery;
	}

	async #run(claim: Claim): ReturnType<TargetRegistration["run"]> {
		const { clock, work } = this.#core;
		const startedAtMs = clock.now();
		const left = this.#isNewer(claim.event) ? leaveToNewer(claim.event, startedAtMs) : undefined;
		if (left !== undefined) return left;
		const event = createReplayedEvent(readStoredEvent(claim.event), work, () => undefined);
		// A scope of its own, in which the handler may enter contexts of its own.
		const scope = this.#scope.runInAsyncScope(openAsyncScope, undefined);
		const job = new Job(event, -1, scope, undefined);
		job.attempts = claim.attempt - 1;
		this.#outcomes.begin(event);
		const run = createDeferred<void>();
		this.#runs.add(run);
		try {
			this.#attempt(job, claim).then(run.resolve, run.reject);
			await run.promise;
		} finally {
			this.#runs.delete(run);
		}
		const end = this.#outcomes.endOf(job);
		if (end === undefined) return undefined;
		const times = { startedAt: isoTime(startedAtMs), durationMs: clock.now() - startedAtMs };
		return { to: end.to, attempt: { number: claim.attempt, ...times, ...describeEnd(end) } };
	}

	#isNewer({ type, version = 1 }: StoredEvent): boolean {
		const definition = this.#catalog?.get(type);
		return definition !== undefined && version > (definition.version ?? 1);
	}

	async #attempt(job: Job, claim: Claim): Promise<void> {
		const { attempts } = this.#settings;
		if (claim.attempt > attempts) {
			const message = `${attempts === 1 ? "The attempt" : `Each of ${attempts} attempts`} of handler "${this.name}" at event "${claim.event.id}" ended without an outcome: its process died, or its lease ended`;
			this.#outcomes.giveUp(job, new CallhookError("ERR_CALLHOOK_CRASHED", message, { attempts }));
			return;
		}
		try {
			const { type, version } = claim.event;
			const data = readBack(type, this.#catalog?.get(type), job.event.data, version);
			Object.defineProperty(job.event, "data", { value: data, enumerable: true });
		} catch (error) {
			job.attempts++;
			this.#runner.fail(job, error);
			return;
		}
		const result: RunVerdict | Promise<unknown> = this.#runner.run(job);
		if (!isThenable(result)) return;
		await Promise.resolve(result).then(
			(value) => this.#runner.settle(job, false, value),
			(error) => this.#runner.settle(job, true, error),
		);
	}
}

function describeEnd({ to, error }: End): Pick<AttemptRecord, "outcome" | "errorCode" | "error"> {
	if (to.state === "delivered") return { outcome: "delivered" };
	// Reading an error runs code of its own, and whatever it is, the attempt has to be written down.
	try {
		const fields: Partial<Record<"code" | "name" | "message", unknown>> =
			error instanceof Error ? error : { message: error };
		const { code, name, message } = fields;
		const errorCode = [code, name].find((text) => typeof text === "string");
		return { outcome: "failed", errorCode, error: String(message).slice(0, longestMessage) };
	} catch {
		return { outcome: "failed", error: "an error that cannot be read" };
	}
}
