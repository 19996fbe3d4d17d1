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
	/** How many starts may be now. */
	free(): number;
	/** Counts a start. */
	take(): void;
	/** When the starts in the window were, in their order. */
	starts(): readonly number[];
}

/** A sliding window: exact at any moment, for one number in memory for each start in the window. */
export function createPace({ count, perMs }: RateLimit, clock: Clock, before: readonly number[] = []): Pace {
	const starts = new Fifo<number>();
	for (const start of before) starts.push(start);

	/** How long until the earliest start in the window leaves it. */
	function forget(): number {
		const now = clock.now();
		for (let first = starts.peek(); first !== undefined; first = starts.peek()) {
			const waitMs = first + perMs - now;
			// A start in the future is one before the clock was set back: forgotten too, or nothing would start for long.
			if (waitMs > 0 && first <= now) return waitMs;
			starts.shift();
		}
		return 0;
	}

	return {
		waitMs() {
			const waitMs = forget();
			return starts.size < count ? 0 : waitMs;
		},
		free() {
			forget();
			return Math.max(0, count - starts.size);
		},
		take: () => starts.push(clock.now()),
		starts() {
			const all = starts.takeAll();
			for (const start of all) starts.push(start);
			return all;
		},
	};
}
