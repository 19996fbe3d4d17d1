import { createPattern } from "../event/index.ts";
import { checkBoolean, checkDelayMs, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { HealthPolicy } from "./endpoint-health.ts";
import { readFunctions, type WebhookFilter, type WebhookTransform } from "./named-functions.ts";
import type { NetworkOptions } from "./network-options.ts";
import type { OutcomePolicy, RetrySchedule } from "./outcome.ts";
import { createSecretBox, type SecretBox } from "./secret-box.ts";
import { whereSchema } from "./where-schema.ts";

/** How a bridge is set up; `forward` is required. */
export interface BridgeOptions {
	/** Patterns of the only event types that may ever leave this process. */
	readonly forward: readonly string[];
	/** Whether this process sends; with `false` it only stores events for others, and manages endpoints. Default true. */
	readonly deliver?: boolean | undefined;
	/**
	 * When to try again. Default: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each up to a fifth longer; the
	 * schedule of https://docs.svix.com/retries
	 */
	readonly retry?: Partial<RetrySchedule> | undefined;
	/**
	 * What becomes of a delivery that got a 4xx: `retry` by the schedule, or `final`. 408, 425 and 429 are always retried,
	 * 410 is always final. Default `retry`.
	 */
	readonly clientErrors?: "retry" | "final" | undefined;
	/** The longest `Retry-After` that is obeyed; a longer one counts as this. Default 86,400,000: a day. */
	readonly maxRetryAfterMs?: number | undefined;
	/** Deadline of one attempt, from DNS to the last byte of the response. Default 15,000. */
	readonly timeoutMs?: number | undefined;
	/**
	 * At most so many requests at once, over all endpoints. Those that have taken longer than a second do not count, up to
	 * 16 times as many, so that endpoints that hang do not keep others waiting. Default 64.
	 */
	readonly concurrency?: number | undefined;
	/** A larger payload is not sent, and its delivery is dead at once. In bytes. Default 1,048,576. */
	readonly maxPayloadBytes?: number | undefined;
	/** When an endpoint that fails gets a pause. `false`: never but for Retry-After. */
	readonly breaker?: Partial<BreakerOptions> | false | undefined;
	/** An endpoint where nothing has succeeded for so long is disabled; Infinity: never. Default 432,000,000: 5 days. */
	readonly disableAfterMs?: number | undefined;
	/**
	 * The path at which an event says whose it is, such as `metadata.tenant` or `data.accountId`: an endpoint with a `tenant`
	 * gets only events that have this tenant there. Default: `tenant` is only for lists.
	 */
	readonly tenantFrom?: string | undefined;
	/** Functions that endpoints may name as their `filter`. */
	readonly filters?: Readonly<Record<string, WebhookFilter>> | undefined;
	/** Functions that endpoints may name as their `transform`. */
	readonly transforms?: Readonly<Record<string, WebhookTransform>> | undefined;
	/**
	 * Encrypts the secrets in the store with AES-256-GCM: 32 bytes in base64 or hex. To replace it, give the new one and
	 * behind it the old ones; the secrets are encrypted anew when their endpoints are next read. Default: not encrypted.
	 */
	readonly secretKey?: string | readonly string[] | undefined;
	/** Emits what happens to webhooks as events of the bus, whose catalog needs `webhookEvents`. Default false. */
	readonly operatorEvents?: boolean | undefined;
	/** A DNS name by which endpoints with `verify: "cloudevents"` know this sender. */
	readonly origin?: string | undefined;
	/** Default `callhook`. */
	readonly userAgent?: string | undefined;
	/** What may be called, beside public addresses over https, and through which proxy. */
	readonly network?: NetworkOptions | undefined;
}

/** A circuit breaker for each endpoint. */
export interface BreakerOptions {
	/** So many failures in a row begin a pause; behind it there is one attempt at a time until one succeeds. Default 5. */
	readonly failures: number;
	/** The first pause, in milliseconds; each that follows without a success is twice as long. Default 30,000. */
	readonly pauseMs: number;
	/** The longest. Default 600,000. */
	readonly maxPauseMs: number;
}

/** Bridge options that were checked and have their defaults. */
export interface BridgeSettings {
	readonly forward: readonly string[];
	readonly deliver: boolean;
	readonly outcomes: OutcomePolicy;
	readonly timeoutMs: number;
	readonly concurrency: number;
	readonly maxPayloadBytes: number;
	readonly health: HealthPolicy;
	readonly tenantFrom: string | undefined;
	readonly filters: ReadonlyMap<string, WebhookFilter>;
	readonly transforms: ReadonlyMap<string, WebhookTransform>;
	readonly box: SecretBox;
	readonly operatorEvents: boolean;
	readonly origin: string | undefined;
	readonly userAgent: string;
	readonly network: NetworkOptions | undefined;
}

/** `Array.isArray`, which would make `any[]` of a readonly array. */
const isArray: (value: unknown) => value is readonly unknown[] = Array.isArray;

const minuteMs = 60_000;
const hourMs = 3_600_000;
const defaultDelaysMs = [
	5_000,
	5 * minuteMs,
	30 * minuteMs,
	2 * hourMs,
	5 * hourMs,
	10 * hourMs,
	10 * hourMs,
];

/**
 * Checks bridge options; throws ERR_CALLHOOK_INVALID_OPTION, ERR_CALLHOOK_INVALID_PATTERN or, for a pattern that is no
 * text, ERR_CALLHOOK_MISSING_NAME.
 */
export function readBridgeOptions(options: BridgeOptions): BridgeSettings {
	checkOptions("createWebhookBridge", options, knownOptions);
	const { forward, network, secretKey, operatorEvents = false, deliver = true } = options ?? {};
	const {
		timeoutMs = 15_000,
		concurrency = 64,
		maxPayloadBytes = 1_048_576,
		userAgent = "callhook",
	} = options ?? {};
	const { origin, tenantFrom, clientErrors = "retry", maxRetryAfterMs = dayMs } = options ?? {};
	if (!isArray(forward) || forward.length === 0) {
		throw invalidOption("forward", "an array with at least one pattern", forward);
	}
	for (const text of forward) createPattern(text, "forward");
	checkBoolean("deliver", deliver);
	checkBoolean("operatorEvents", operatorEvents);
	if (clientErrors !== "retry" && clientErrors !== "final") {
		throw invalidOption("clientErrors", "retry or final", clientErrors);
	}
	checkDelayMs("maxRetryAfterMs", maxRetryAfterMs);
	checkDelayMs("timeoutMs", timeoutMs, 1);
	checkNumber("concurrency", concurrency, { min: 1 });
	checkNumber("maxPayloadBytes", maxPayloadBytes, { min: 1 });
	// It becomes a header: anything else would make every request fail.
	if (typeof userAgent !== "string" || !/^[\x20-\x7e]+$/.test(userAgent)) {
		throw invalidOption("userAgent", "printable ASCII text", userAgent);
	}
	if (tenantFrom !== undefined && !whereSchema.safeParse({ [tenantFrom]: "" }).success) {
		throw invalidOption("tenantFrom", "a path, such as metadata.tenant or data.accountId", tenantFrom);
	}
	if (
		origin !== undefined &&
		(typeof origin !== "string" || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/iu.test(origin))
	) {
		throw invalidOption("origin", "a DNS name, such as hooks.example.com", origin);
	}
	return {
		...{ forward: [...forward], deliver, timeoutMs, concurrency, maxPayloadBytes, operatorEvents, origin },
		outcomes: { schedule: readSchedule(options?.retry), clientErrors, maxRetryAfterMs },
		health: readHealth(options),
		tenantFrom,
		filters: readFunctions<WebhookFilter>("filters", options?.filters),
		transforms: readFunctions<WebhookTransform>("transforms", options?.transforms),
		box: createSecretBox(secretKey),
		...{ userAgent, network },
	};
}

const dayMs = 86_400_000;
const knownOptions: readonly (keyof BridgeOptions)[] = [
	...([
		"forward",
		"deliver",
		"retry",
		"clientErrors",
		"maxRetryAfterMs",
		"timeoutMs",
		"concurrency",
	] as const),
	...([
		"maxPayloadBytes",
		"breaker",
		"disableAfterMs",
		"tenantFrom",
		"filters",
		"transforms",
		"secretKey",
	] as const),
	...(["operatorEvents", "origin", "userAgent", "network"] as const),
];

function readSchedule(retry: Partial<RetrySchedule> | undefined): RetrySchedule {
	checkOptions("retry", retry, ["delaysMs", "jitter"]);
	const { delaysMs = defaultDelaysMs, jitter = 0.2 } = retry ?? {};
	if (!isArray(delaysMs)) throw invalidOption("retry.delaysMs", "an array of milliseconds", delaysMs);
	for (const [index, delayMs] of delaysMs.entries()) {
		if (delayMs === undefined) throw invalidOption(`retry.delaysMs[${index}]`, "a number", delayMs);
		checkDelayMs(`retry.delaysMs[${index}]`, delayMs);
	}
	checkNumber("retry.jitter", jitter, { min: 0, max: 1, integer: false });
	return { delaysMs: [...delaysMs], jitter };
}

function readHealth({ breaker = {}, disableAfterMs = 5 * dayMs }: BridgeOptions): HealthPolicy {
	checkNumber("disableAfterMs", disableAfterMs, { min: 1, integer: false, infinity: true });
	if (breaker === false) {
		return { failures: Number.POSITIVE_INFINITY, pauseMs: 0, maxPauseMs: 0, disableAfterMs };
	}
	checkOptions("breaker", breaker, ["failures", "pauseMs", "maxPauseMs"]);
	const { failures = 5, pauseMs = 30_000 } = breaker;
	checkNumber("breaker.failures", failures, { min: 1 });
	checkDelayMs("breaker.pauseMs", pauseMs, 1);
	const { maxPauseMs = Math.max(600_000, pauseMs) } = breaker;
	checkDelayMs("breaker.maxPauseMs", maxPauseMs, 1);
	if (maxPauseMs < pauseMs)
		throw invalidOption("breaker.maxPauseMs", `at least breaker.pauseMs (${pauseMs})`, maxPauseMs);
	return { failures, pauseMs, maxPauseMs, disableAfterMs };
}
