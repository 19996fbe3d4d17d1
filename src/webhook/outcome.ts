import { isCallhookError } from "../errors.ts";
import { isoTime } from "../internal/iso-time.ts";
import type { AttemptRecord, Settlement } from "../outbox/ports.ts";
import type { SendResult } from "./sender.ts";

/** When the attempts of a delivery are made. */
export interface RetrySchedule {
	/** The delay before each retry, in order; there is one attempt more than delays. */
	readonly delaysMs: readonly number[];
	/** The part of a delay by which it may become longer, at random: 0.2 is up to a fifth. */
	readonly jitter: number;
}

/** The facts of one attempt. */
export interface AttemptFacts {
	readonly number: number;
	readonly startedAtMs: number;
	readonly durationMs: number;
	readonly result: SendResult;
}

/**
 * Decides how a delivery goes on after an attempt. Delivered is 200–299 only: a redirect is a failure and never
 * followed. A refusal by the address guard is final, since asking again changes nothing. `random` is in [0, 1).
 */
export function decideOutcome(
	{ number, startedAtMs, durationMs, result }: AttemptFacts,
	schedule: RetrySchedule,
	random: number,
): Omit<Settlement, "token"> & { readonly attempt: AttemptRecord } {
	const isDelivered = result.kind === "response" && result.status >= 200 && result.status <= 299;
	// Where there is no code, as in undici's HTTPParserError, the name says more than nothing.
	const attempt: AttemptRecord = {
		number,
		startedAt: isoTime(startedAtMs),
		durationMs,
		outcome: isDelivered ? "delivered" : "failed",
		...(result.kind === "response"
			? { status: result.status, responseBody: result.body }
			: { errorCode: result.error.code ?? result.error.name }),
	};
	if (isDelivered) return { to: { state: "delivered" }, attempt };
	const isFinal = result.kind === "error" && isCallhookError(result.error, "ERR_CALLHOOK_URL_REFUSED");
	const delayMs = schedule.delaysMs[number - 1];
	if (isFinal || delayMs === undefined) return { to: { state: "dead" }, attempt };
	// Only ever longer: a receiver that asks for time must not be called earlier than the schedule says.
	return { to: { state: "waiting", retryInMs: delayMs * (1 + schedule.jitter * random) }, attempt };
}
