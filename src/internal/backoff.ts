/** How long to wait between attempts. */
export interface Backoff {
	/** The delay before the first retry. */
	readonly minDelayMs: number;
	readonly maxDelayMs: number;
	/** Each further delay is this many times the one before. */
	readonly factor: number;
	/** Draw each delay evenly from zero up to its full length, so that many failures do not retry in step. */
	readonly jitter: boolean;
}

/** The delay in milliseconds before retry number `retry`, counted from 1; `random` is in [0, 1). */
export function backoffDelayMs(backoff: Backoff, retry: number, random: number): number {
	// The power overflows to Infinity after a thousand retries, and zero times that is NaN.
	const growth = Math.min(backoff.factor ** (retry - 1), Number.MAX_VALUE);
	const full = Math.min(backoff.maxDelayMs, backoff.minDelayMs * growth);
	return backoff.jitter ? full * random : full;
}
