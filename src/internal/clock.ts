/** Where Callhook reads the time and sets timers. Injectable, so that tests advance it by hand. */
export interface Clock {
	/** Milliseconds since the Unix epoch. */
	now(): number;
	/** Calls `callback` once after `delayMs` milliseconds; the result goes to `clearTimeout`. */
	setTimeout(callback: () => void, delayMs: number): unknown;
	clearTimeout(timer: unknown): void;
}

/** Where that can be said, lets a process end although a timer is set; returns the timer. */
export function unref(timer: unknown): unknown {
	(timer as { unref?(): void } | undefined)?.unref?.();
	return timer;
}

// Timers of Node and browsers hold the delay in a signed 32-bit integer and fire at once above it.
const longestTimerMs = 2_147_483_647;

/** The machine's own clock. A delay longer than 24.8 days is cut to that: who waits longer asks again. */
export const systemClock: Clock = {
	now: () => Date.now(),
	setTimeout: (callback, delayMs) => setTimeout(callback, Math.min(delayMs, longestTimerMs)),
	clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};
