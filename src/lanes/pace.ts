import type { Clock } from "../internal/clock.ts";
import { Fifo } from "../internal/fifo.ts";

/** At most `count` starts in any `perMs` milliseconds. */
export interface RateLimit {
	readonly count: number;
	readonly perMs: number;
}

/** Keeps starts to a {@link RateLimit}. */
export interface Pace {
	/** How long until the next start may be; 0 when it may be now. */
	waitMs(): number;
	/** Counts a start. */
	take(): void;
}

/** A sliding window: exact at any moment, for one number in memory for each start in the window. */
export function createPace({ count, perMs }: RateLimit, clock: Clock): Pace {
	const starts = new Fifo<number>();
	return {
		waitMs() {
			const now = clock.now();
			for (let first = starts.peek(); first !== undefined; first = starts.peek()) {
				const waitMs = first + perMs - now;
				// A start in the future is one before the clock was set back: forgotten too, or nothing would start for long.
				if (waitMs > 0 && first <= now) return starts.size < count ? 0 : waitMs;
				starts.shift();
			}
			return 0;
		},
		take: () => starts.push(clock.now()),
	};
}
