import { type BusEvent, checkName } from "../event/index.ts";
import type { Backoff } from "../internal/backoff.ts";
import {
	checkDelayMs,
	checkFunction,
	checkNumber,
	checkOptions,
	invalidOption,
} from "../internal/options.ts";
import {
	type BatchBounds,
	type BatchOptions,
	overflows,
	type QueueBounds,
	type QueueOptions,
	type RateLimit,
} from "../lanes/index.ts";

/** How a handler repeats failed attempts. */
export interface RetryOptions {
	/** Attempts in all, the first one counted. Default 5. */
	readonly attempts?: number | undefined;
	/** Delay before the first retry. Default 200. */
	readonly minDelayMs?: number | undefined;
	/** No delay is longer. Default 30,000. */
	readonly maxDelayMs?: number | undefined;
	/** Each further delay is this many times the one before. Default 2. */
	readonly factor?: number | undefined;
	/** Draw each delay evenly between zero and its full length. Default true. */
	readonly jitter?: boolean | undefined;
	/** Answers whether an error is worth another attempt. Default: every error is. */
	readonly when?: ((error: unknown) => boolean) | undefined;
}

/** How a handler runs. With `batch`, `concurrency`, `timeoutMs` and `rateLimit` are about batches, `queue` about events. */
export interface HandleOptions<
	Data = unknown,
	Event extends BusEvent = BusEvent,
	Batch extends BatchOptions | undefined = undefined,
> {
	/** Names the handler in reports, errors and signals. Default: the function's name, else its pattern. */
	readonly name?: string | undefined;
	/** At most so many attempts run at once; a whole number of at least 1. Default: no limit. */
	readonly concurrency?: number | undefined;
	/**
	 * At most one event of each key at a time, in the order of emit, other keys beside it. An event whose key is
	 * `undefined` is independent. A function that throws fails its event.
	 */
	readonly key?: Batch extends BatchOptions
		? undefined
		: ((data: Data, event: Event) => string | undefined) | undefined;
	/** An attempt that takes longer has failed: its signal fires, and it holds its slot and key until it settles. */
	readonly timeoutMs?: number | undefined;
	/** Default: one attempt, and five of a durable handler. Between attempts the key is held, the slot is not. */
	readonly retry?: RetryOptions | undefined;
	/**
	 * Keeps its events in the outbox until they are done, so that they survive the process: at least once each, also when
	 * the process dies in the middle of an attempt, which counts as one. Needs a store and a `name`; data is read back from
	 * JSON and validated again, so its schema must take what it once returned. Default false.
	 */
	readonly durable?: boolean | undefined;
	/**
	 * Names that a durable handler had before, under which the store may still have events for it. Order and limits per key
	 * hold among the events of one name.
	 */
	readonly formerNames?: readonly string[] | undefined;
	/** Bounds what waits. Default: no limit. */
	readonly queue?: QueueOptions | undefined;
	/** At most so many attempts start in any so many milliseconds. Default: no limit. */
	readonly rateLimit?: RateLimit | undefined;
	/** The handler gets lists: the data of several events, and a context with all of them. Not together with `key`. */
	readonly batch?: Batch | undefined;
}

/** Handler options that were checked and have their defaults. */
export interface HandlerSettings {
	readonly name: string;
	readonly concurrency: number;
	readonly key: ((data: unknown, event: BusEvent) => unknown) | undefined;
	readonly timeoutMs: number | undefined;
	readonly attempts: number;
	readonly backoff: Backoff;
	readonly when: ((error: unknown) => boolean) | undefined;
	readonly queue: QueueBounds | undefined;
	readonly rateLimit: RateLimit | undefined;
	readonly batch: BatchBounds | undefined;
	readonly durable: boolean;
	readonly formerNames: readonly string[];
}

const knownOptions: readonly (keyof HandleOptions)[] = [
	...(["name", "concurrency", "key", "timeoutMs", "retry", "queue", "rateLimit", "batch"] as const),
	...(["durable", "formerNames"] as const),
];

/** Checks handler options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readHandleOptions(
	options: HandleOptions<never, never> | undefined,
	fallbackName: string,
): HandlerSettings {
	checkOptions("handle", options, knownOptions);
	const {
		name = fallbackName,
		concurrency = Number.POSITIVE_INFINITY,
		key,
		timeoutMs,
		retry,
		queue,
		rateLimit,
		batch,
		durable = false,
		formerNames = [],
	} = options ?? {};
	checkName(name, "handle()", "handler name");
	checkNumber("concurrency", concurrency, { min: 1, infinity: true });
	checkFunction("key", key);
	checkDelayMs("timeoutMs", timeoutMs, 1);
	const batches = readBatch(batch);
	const limits = {
		queue: readQueue(queue, key !== undefined, batches),
		rateLimit: readRateLimit(rateLimit),
		batch: batches,
	};
	if (batch !== undefined && key !== undefined) {
		throw invalidOption("key", "left out, since a batch holds events of many keys", key);
	}
	checkDurable(options, durable, formerNames);
	checkOptions("retry", retry, ["attempts", "minDelayMs", "maxDelayMs", "factor", "jitter", "when"]);
	const {
		attempts = 5,
		minDelayMs = 200,
		maxDelayMs = 30_000,
		factor = 2,
		jitter = true,
		when,
	} = retry ?? {};
	checkNumber("retry.attempts", attempts, { min: 1 });
	checkDelayMs("retry.minDelayMs", minDelayMs);
	checkDelayMs("retry.maxDelayMs", maxDelayMs);
	if (maxDelayMs < minDelayMs) {
		const expected = `at least retry.minDelayMs (${minDelayMs}), with a default of 30000`;
		throw invalidOption("retry.maxDelayMs", expected, maxDelayMs);
	}
	checkNumber("retry.factor", factor, { min: 1, integer: false });
	if (typeof jitter !== "boolean") throw invalidOption("retry.jitter", "a boolean", jitter);
	checkFunction("retry.when", when);
	return {
		name,
		concurrency,
		key: key as HandlerSettings["key"],
		timeoutMs,
		attempts: retry === undefined && !durable ? 1 : attempts,
		backoff: { minDelayMs, maxDelayMs, factor, jitter },
		...{ when, durable, formerNames },
		...limits,
	};
}

/** What a durable handler cannot do without, and what the outbox does in its place. */
function checkDurable(
	options: HandleOptions<never, never> | undefined,
	durable: unknown,
	formerNames: unknown,
): void {
	if (typeof durable !== "boolean") throw invalidOption("durable", "a boolean", durable);
	if (!Array.isArray(formerNames)) throw invalidOption("formerNames", "an array of names", formerNames);
	for (const formerName of formerNames) checkName(formerName, "handle()", "former handler name");
	if (!durable) {
		if (formerNames.length > 0) throw invalidOption("durable", "true with formerNames", durable);
		return;
	}
	checkName(options?.name, "handle()", "name of a durable handler");
	for (const option of ["queue", "batch"] as const) {
		const value = options?.[option];
		if (value !== undefined) {
			throw invalidOption(
				option,
				"left out with durable: the outbox is the queue, one event at a time",
				value,
			);
		}
	}
}

function readQueue(
	queue: QueueOptions | undefined,
	hasKey: boolean,
	batch: BatchBounds | undefined,
): QueueBounds | undefined {
	if (queue === undefined) return undefined;
	checkOptions("queue", queue, ["limit", "overflow"]);
	const { limit, overflow = "block" } = queue;
	checkGiven("queue.limit", limit);
	checkNumber("queue.limit", limit, { min: 1 });
	if (!overflows.includes(overflow))
		throw invalidOption("queue.overflow", `one of ${overflows.join(", ")}`, overflow);
	if (overflow === "coalesce" && batch !== undefined) {
		throw invalidOption("queue.overflow", "another with batch, since events coalesce by key", overflow);
	}
	if (batch !== undefined && limit < batch.size) {
		throw invalidOption("queue.limit", `at least batch.size (${batch.size})`, limit);
	}
	if (overflow === "coalesce" && !hasKey) {
		throw invalidOption("key", "given, since events coalesce by their key", undefined);
	}
	return { limit, overflow };
}

function readRateLimit(rateLimit: RateLimit | undefined): RateLimit | undefined {
	if (rateLimit === undefined) return undefined;
	checkOptions("rateLimit", rateLimit, ["count", "perMs"]);
	const { count, perMs } = rateLimit;
	checkGiven("rateLimit.count", count);
	checkNumber("rateLimit.count", count, { min: 1 });
	checkGiven("rateLimit.perMs", perMs);
	checkDelayMs("rateLimit.perMs", perMs, 1);
	return { count, perMs };
}

function readBatch(batch: BatchOptions | undefined): BatchBounds | undefined {
	if (batch === undefined) return undefined;
	checkOptions("batch", batch, ["size", "waitMs"]);
	const { size, waitMs = 20 } = batch;
	checkGiven("batch.size", size);
	checkNumber("batch.size", size, { min: 1, max: 100_000 });
	checkDelayMs("batch.waitMs", waitMs);
	return { size, waitMs };
}

function checkGiven(option: string, value: unknown): void {
	if (value === undefined) throw invalidOption(option, "a whole number", value);
}
