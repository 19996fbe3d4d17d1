import { createPattern } from "../event/index.ts";
import { checkDelayMs, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { AddressGuardOptions } from "./address-guard.ts";
import type { RetrySchedule } from "./outcome.ts";

/** How a bridge is set up; `forward` is required. */
export interface BridgeOptions {
	/** Patterns of the only event types that may ever leave this process. */
	readonly forward: readonly string[];
	/**
	 * When to try again. Default: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each up to a fifth longer; the
	 * schedule of https://docs.svix.com/retries
	 */
	readonly retry?: Partial<RetrySchedule> | undefined;
	/** Deadline of one attempt, from DNS to the last byte of the response. Default 15,000. */
	readonly timeoutMs?: number | undefined;
	/** At most so many requests at once, over all endpoints. Default 64. */
	readonly concurrency?: number | undefined;
	/** Default `callhook`. */
	readonly userAgent?: string | undefined;
	/** What may be called, beside public addresses over https. */
	readonly network?: AddressGuardOptions | undefined;
}

/** Bridge options that were checked and have their defaults. */
export interface BridgeSettings {
	readonly forward: readonly string[];
	readonly retry: RetrySchedule;
	readonly timeoutMs: number;
	readonly concurrency: number;
	readonly userAgent: string;
	readonly network: AddressGuardOptions | undefined;
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
	const known = ["forward", "retry", "timeoutMs", "concurrency", "userAgent", "network"];
	checkOptions("createWebhookBridge", options, known);
	const {
		forward,
		retry,
		timeoutMs = 15_000,
		concurrency = 64,
		userAgent = "callhook",
		network,
	} = options ?? {};
	if (!isArray(forward) || forward.length === 0) {
		throw invalidOption("forward", "an array with at least one pattern", forward);
	}
	for (const text of forward) createPattern(text, "forward");
	checkOptions("retry", retry, ["delaysMs", "jitter"]);
	const { delaysMs = defaultDelaysMs, jitter = 0.2 } = retry ?? {};
	if (!isArray(delaysMs)) throw invalidOption("retry.delaysMs", "an array of milliseconds", delaysMs);
	for (const [index, delayMs] of delaysMs.entries()) {
		if (delayMs === undefined) throw invalidOption(`retry.delaysMs[${index}]`, "a number", delayMs);
		checkDelayMs(`retry.delaysMs[${index}]`, delayMs);
	}
	checkNumber("retry.jitter", jitter, { min: 0, max: 1, integer: false });
	checkDelayMs("timeoutMs", timeoutMs, 1);
	checkNumber("concurrency", concurrency, { min: 1 });
	// It becomes a header: anything else would make every request fail.
	if (typeof userAgent !== "string" || !/^[\x20-\x7e]+$/.test(userAgent)) {
		throw invalidOption("userAgent", "printable ASCII text", userAgent);
	}
	return {
		forward: [...forward],
		retry: { delaysMs: [...delaysMs], jitter },
		timeoutMs,
		concurrency,
		userAgent,
		network,
	};
}
