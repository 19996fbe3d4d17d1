import type { Clock } from "../internal/clock.ts";

/** A signal that fires when the time is up, unless it is cleared before. */
export interface Deadline {
	readonly signal: AbortSignal;
	clear(): void;
}

export function createDeadline(clock: Clock, timeoutMs: number): Deadline {
	const controller = new AbortController();
	const timer = clock.setTimeout(() => controller.abort(), timeoutMs);
	return { signal: controller.signal, clear: () => clock.clearTimeout(timer) };
}
