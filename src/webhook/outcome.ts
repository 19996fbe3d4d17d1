import { isoTime } from "../internal/iso-time.ts";
import type { AttemptRecord, SettleTo } from "../outbox/ports.ts";
import { classifyError } from "./error-class.ts";
import { keepHeaders } from "./kept-headers.ts";
import { readRetryAfter } from "./retry-after.ts";
import type { SendResult } from "./sender.ts";

/** When the attempts of a delivery are made. */
export interface RetrySchedule {
	/** The delay before each retry, in order; there is one attempt more than delays. */
	readonly delaysMs: readonly number[];
	/** The part of a delay by which it may become longer, at random: 0.2 is up to a fifth. */
	readonly jitter: number;
}

/** How outcomes are judged. */
export interface OutcomePolicy {
	readonly schedule: RetrySchedule;
	/** What becomes of a delivery that got a 4xx; not of 408, 425 and 429, which are retried, nor of 410, which is final. */
	readonly clientErrors: "retry" | "final";
	/** The longest `Retry-After` that is obeyed; a longer one counts as this. */
	readonly maxRetryAfterMs: number;
}

/** What a policy is where nobody says otherwise. */
export const defaultOutcomePolicy: Omit<OutcomePolicy, "schedule"> = {
	clientErrors: "retry",
	maxRetryAfterMs: 86_400_000,
};

/** The facts of one attempt. */
export interface AttemptFacts {
	readonly number: number;
	readonly startedAtMs: number;
	readonly durationMs: number;
	/** The time at which `Retry-After` is read: that of the response. */
	readonly nowMs: number;
	/** What was sent, without secrets, for the history. */
	readonly requestHeaders?: Readonly<Record<string, string>> | undefined;
	readonly result: SendResult;
}

/** What an attempt says of its endpoint, beside the delivery. */
export type EndpointVerdict =
	/** It wants no more webhooks: it answered 410, or `webhook-delivery: disable`. */
	| { readonly action: "disable"; readonly reason: "gone" | "asked" }
	/** It wants none for so long. */
	| { readonly action: "pause"; readonly forMs: number };

/** How a delivery goes on, what is logged of its attempt, and what becomes of its endpoint. */
export interface Outcome {
	readonly to: SettleTo;
	readonly attempt: AttemptRecord;
	readonly endpoint?: EndpointVerdict;
}

/** 4xx that blame the moment and not the request. */
const transient = new Set([408, 425, 429]);
/** Statuses whose `Retry-After` is obeyed. */
const throttling = new Set([429, 503]);
/** Errors that would come again: the same refusal, or the same payload. */
const finalClasses: ReadonlySet<string | undefined> = new Set(["refused", "payload"]);

/**
 * Decides how a delivery goes on after an attempt. Pure; `random` is in [0, 1).
 *
 * Delivered is 200–299 only: a redirect is a failure and never followed. `docs/reference/outcomes.md` is the whole table.
 */
export function decideOutcome(facts: AttemptFacts, policy: OutcomePolicy, random: number): Outcome {
	const { result } = facts;
	const isDelivered = result.kind === "response" && result.status >= 200 && result.status <= 299;
	const attempt = recordOf(facts, isDelivered);
	const endpoint = verdictOf(facts, policy);
	const to: SettleTo = isDelivered
		? { state: "delivered" }
		: isFinal(attempt, result, endpoint, policy)
			? { state: "dead" }
			: nextAttempt(facts.number, endpoint, policy.schedule, random);
	return endpoint === undefined ? { to, attempt } : { to, attempt, endpoint };
}

function recordOf(
	{ number, startedAtMs, durationMs, requestHeaders, result }: AttemptFacts,
	isDelivered: boolean,
): AttemptRecord {
	return {
		number,
		startedAt: isoTime(startedAtMs),
		durationMs,
		outcome: isDelivered ? "delivered" : "failed",
		...(requestHeaders && { requestHeaders: keepHeaders(requestHeaders) }),
		...(result.kind === "response"
			? {
					status: result.status,
					responseHeaders: keepHeaders(result.headers),
					responseBody: result.body,
				}
			: {
					// Where there is no code, as in undici's HTTPParserError, the name says more than nothing.
					errorCode: result.error.code ?? result.error.name,
					errorClass: result.errorClass ?? classifyError(result.error),
				}),
	};
}

function verdictOf(
	{ nowMs, result }: AttemptFacts,
	{ maxRetryAfterMs }: OutcomePolicy,
): EndpointVerdict | undefined {
	if (result.kind === "error") return undefined;
	if (result.status === 410) return { action: "disable", reason: "gone" };
	if (isAsked(result, "disable")) return { action: "disable", reason: "asked" };
	if (!throttling.has(result.status)) return undefined;
	const forMs = readRetryAfter(result.headers["retry-after"], nowMs, maxRetryAfterMs) ?? 0;
	return forMs > 0 ? { action: "pause", forMs } : undefined;
}

function isFinal(
	{ errorClass }: AttemptRecord,
	result: SendResult,
	endpoint: EndpointVerdict | undefined,
	{ clientErrors }: OutcomePolicy,
): boolean {
	if (result.kind === "error") return finalClasses.has(errorClass);
	if (endpoint?.action === "disable" || isAsked(result, "abort-message")) return true;
	const blamesRequest = result.status >= 400 && result.status <= 499 && !transient.has(result.status);
	return blamesRequest && clientErrors === "final";
}

function nextAttempt(
	number: number,
	endpoint: EndpointVerdict | undefined,
	{ delaysMs, jitter }: RetrySchedule,
	random: number,
): SettleTo {
	const delayMs = delaysMs[number - 1];
	if (delayMs === undefined) return { state: "dead" };
	// Only ever longer: a receiver that asks for time must not be called earlier than the schedule or it says.
	const retryInMs = delayMs * (1 + jitter * random);
	return {
		state: "waiting",
		retryInMs: endpoint?.action === "pause" ? Math.max(retryInMs, endpoint.forMs) : retryInMs,
	};
}

/** Whether the receiver asks for something in the header `webhook-delivery`, which is a list. */
function isAsked(
	{ headers }: Extract<SendResult, { kind: "response" }>,
	what: "abort-message" | "disable",
): boolean {
	const asked = headers["webhook-delivery"] ?? "";
	return asked
		.toLowerCase()
		.split(",")
		.some((word) => word.trim() === what);
}
