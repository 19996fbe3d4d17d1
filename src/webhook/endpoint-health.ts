import type { DisabledReason } from "../outbox/index.ts";

/** How an endpoint does: a circuit breaker, and since when nothing has succeeded. */
export interface EndpointHealth {
	/** How many attempts have failed in a row. */
	readonly failures: number;
	/** Milliseconds since 1970: the first failure behind the last success. */
	readonly failingSinceMs?: number | undefined;
	/** How many warnings were given since then. */
	readonly warnings: number;
	readonly pause?: Pause | undefined;
}

/** Nothing is sent until then; behind it one attempt at a time, until one has succeeded. */
interface Pause {
	readonly untilMs: number;
	readonly reason: "failures" | "retry-after";
	/** How often in a row the circuit has opened: each makes the next pause twice as long. */
	readonly level: number;
}

/** When an endpoint is paused and when it is disabled. */
export interface HealthPolicy {
	/** So many failures in a row open the circuit; `Infinity` for never. */
	readonly failures: number;
	/** The first pause. */
	readonly pauseMs: number;
	readonly maxPauseMs: number;
	/** Without a success for so long it is disabled; `Infinity` for never. */
	readonly disableAfterMs: number;
}

/** What an attempt says of the endpoint. */
export interface AttemptSign {
	readonly isSuccess: boolean;
	readonly nowMs: number;
	/** It asked for so much time. */
	readonly pauseForMs?: number | undefined;
}

/** What became of an endpoint by an attempt. */
export type HealthNews =
	| { readonly kind: "failing"; readonly failingSinceMs: number }
	| { readonly kind: "recovered"; readonly failingSinceMs: number }
	| { readonly kind: "paused"; readonly pause: Pause; readonly forMs: number }
	| { readonly kind: "resumed" }
	| { readonly kind: "disabled"; readonly reason: DisabledReason };

export const healthy: EndpointHealth = { failures: 0, warnings: 0 };

/** A failure that was over so soon is no news. */
const recoveryMs = 60_000;
/** The parts of `disableAfterMs` after which there is a warning. */
const warnAt = [0.5, 0.9];

/** Whether nothing may be sent now. */
export function isPaused({ pause }: EndpointHealth, nowMs: number): boolean {
	return pause !== undefined && nowMs < pause.untilMs;
}

/** The health behind an attempt, and what has changed by it. */
export function afterAttempt(
	health: EndpointHealth,
	sign: AttemptSign,
	policy: HealthPolicy,
): { readonly health: EndpointHealth; readonly news: readonly HealthNews[] } {
	return sign.isSuccess ? afterSuccess(health, sign.nowMs) : afterFailure(health, sign, policy);
}

function afterSuccess(health: EndpointHealth, nowMs: number): ReturnType<typeof afterAttempt> {
	const { failingSinceMs, pause, warnings } = health;
	const news: HealthNews[] = [];
	// An attempt that began before the pause says nothing of what comes behind it.
	const isTrial = pause !== undefined && !isPaused(health, nowMs);
	if (isTrial) news.push({ kind: "resumed" });
	if (failingSinceMs !== undefined && (nowMs - failingSinceMs >= recoveryMs || warnings > 0)) {
		news.push({ kind: "recovered", failingSinceMs });
	}
	if (failingSinceMs === undefined && !isTrial) return { health, news };
	return { health: isTrial || pause === undefined ? healthy : { ...healthy, pause }, news };
}

function afterFailure(
	health: EndpointHealth,
	{ nowMs, pauseForMs }: AttemptSign,
	policy: HealthPolicy,
): ReturnType<typeof afterAttempt> {
	const failures = health.failures + 1;
	const failingSinceMs = Math.min(health.failingSinceMs ?? nowMs, nowMs);
	const failingForMs = nowMs - failingSinceMs;
	const warnings = Math.max(
		health.warnings,
		warnAt.filter((part) => failingForMs >= part * policy.disableAfterMs).length,
	);
	const pause = nextPause(health, failures, { nowMs, pauseForMs }, policy);
	const news: HealthNews[] = [];
	if (failingForMs >= policy.disableAfterMs) {
		news.push({ kind: "disabled", reason: "failing" });
	} else {
		if (warnings > health.warnings) news.push({ kind: "failing", failingSinceMs });
		if (pause !== undefined && pause !== health.pause) {
			news.push({ kind: "paused", pause, forMs: pause.untilMs - nowMs });
		}
	}
	return { health: { failures, failingSinceMs, warnings, pause }, news };
}

/** The longer of what the circuit and the endpoint ask for; never shorter than the one that holds. */
function nextPause(
	{ pause }: EndpointHealth,
	failures: number,
	{ nowMs, pauseForMs = 0 }: Pick<AttemptSign, "nowMs" | "pauseForMs">,
	{ failures: limit, pauseMs, maxPauseMs }: HealthPolicy,
): Pause | undefined {
	const isOpen = pause !== undefined && nowMs < pause.untilMs;
	const before = pause?.level ?? 0;
	// Attempts that were under way when it was paused make it no longer, but by what they are told.
	const isBroken = !isOpen && (failures >= limit || before > 0);
	const brokenMs = isBroken ? Math.min(pauseMs * 2 ** before, maxPauseMs) : 0;
	const forMs = Math.max(brokenMs, pauseForMs);
	if (forMs === 0 || (isOpen && nowMs + forMs <= pause.untilMs)) return pause;
	const reason = pauseForMs >= brokenMs ? "retry-after" : "failures";
	return { untilMs: nowMs + forMs, reason, level: isBroken ? before + 1 : before };
}

/**
 * The health of an endpoint that another process has changed too. A success outweighs what was before it; failures add
 * nothing up, but the longer pause holds.
 */
export function mergeHealth(stored: EndpointHealth | undefined, own: EndpointHealth): EndpointHealth {
	if (stored === undefined || own.failingSinceMs === undefined) return own;
	const longer = (stored.pause?.untilMs ?? 0) > (own.pause?.untilMs ?? 0) ? stored.pause : own.pause;
	return {
		failures: Math.max(stored.failures, own.failures),
		failingSinceMs: Math.min(stored.failingSinceMs ?? own.failingSinceMs, own.failingSinceMs),
		warnings: Math.max(stored.warnings, own.warnings),
		pause: longer,
	};
}
