import type { Clock } from "../internal/clock.ts";
import { nextTurn } from "../internal/next-turn.ts";

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
	/**
	 * Moves the time forward and fires the timers that come due on the way, in order. Before each and at the end it
	 * lets everything run that is ready, so that what a timer started has set its own timers.
	 */
	advance(ms: number): Promise<void>;
	/** Moves the time to the next timer and fires it; answers whether there was one. */
	advanceToNext(): Promise<boolean>;
	/** How many timers are set. */
	readonly timers: number;
}

// A delivery takes four: its event is stored, it is claimed, it is settled, and the next due time is asked for.
const turns = 6;

/** Lets everything run that is ready, and what that makes ready: some turns of the event loop. */
async function letRun(): Promise<void> {
	for (let left = turns; left > 0; left--) await nextTurn();
}

/**
 * Makes a clock for tests: retries, delays and time limits happen at once, in a fixed order.
 *
 * @example
 * ```ts
 * const clock = fakeClock();
 * const bus = createBus({ clock });
 * await clock.advance(30_000);
 * ```
 */
export function fakeClock(options: { readonly now?: number | Date } = {}): FakeClock {
	let nowMs = new Date(options.now ?? "2026-01-01T00:00:00Z").getTime();
	let nextId = 1;
	const timers = new Map<number, { readonly dueAtMs: number; readonly callback: () => void }>();

	function takeDue(untilMs: number): { readonly dueAtMs: number; readonly callback: () => void } | undefined {
		let dueId: number | undefined;
		let due: { readonly dueAtMs: number; readonly callback: () => void } | undefined;
		for (const [id, timer] of timers) {
			if (timer.dueAtMs <= untilMs && (due === undefined || timer.dueAtMs < due.dueAtMs)) {
				dueId = id;
				due = timer;
			}
		}
		if (dueId !== undefined) timers.delete(dueId);
		return due;
	}

	return {
		now: () => nowMs,
		setTimeout(callback, delayMs) {
			const id = nextId++;
			timers.set(id, { dueAtMs: nowMs + Math.max(0, delayMs), callback });
			return id;
		},
		clearTimeout(timer) {
			timers.delete(timer as number);
		},
		async advance(ms) {
			const untilMs = nowMs + ms;
			await letRun();
			for (let timer = takeDue(untilMs); timer !== undefined; timer = takeDue(untilMs)) {
				nowMs = Math.max(nowMs, timer.dueAtMs);
				timer.callback();
				await letRun();
			}
			nowMs = untilMs;
			await letRun();
		},
		async advanceToNext() {
			await letRun();
			const timer = takeDue(Number.POSITIVE_INFINITY);
			if (timer === undefined) return false;
			nowMs = Math.max(nowMs, timer.dueAtMs);
			timer.callback();
			await letRun();
			return true;
		},
		get timers() {
			return timers.size;
		},
	};
}
