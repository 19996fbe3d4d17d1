import type { Clock } from "../internal/clock.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { checkNumber, checkOptions, invalidOption } from "../internal/options.ts";

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
	/**
	 * Moves the time forward, by at least 0 milliseconds, and fires the timers that come due on the way, in order. Before each and at the end it
	 * lets everything run that is ready, so that what a timer started has set its own timers. Two calls at once move it
	 * one after the other. Rejects with ERR_CALLHOOK_INVALID_OPTION.
	 */
	advance(ms: number): Promise<void>;
	/** Moves the time to the next timer and fires it; answers whether there was one. */
	advanceToNext(): Promise<boolean>;
	/** How many timers are set. */
	readonly timers: number;
}

interface Timer {
	readonly dueAtMs: number;
	readonly callback: () => void;
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
export function fakeClock(options: { readonly now?: number | Date | undefined } = {}): FakeClock {
	checkOptions("fakeClock", options, ["now"]);
	const { now = Date.UTC(2026, 0, 1) } = options;
	let nowMs = typeof now === "number" ? now : now instanceof Date ? now.getTime() : Number.NaN;
	if (!Number.isFinite(nowMs)) throw invalidOption("now", "a Date or milliseconds since 1970", now);
	/** Two that move the clock at once do so one after the other. */
	let last: Promise<unknown> = Promise.resolve();
	let nextId = 1;
	const timers = new Map<number, Timer>();

	function takeDue(untilMs: number): Timer | undefined {
		let dueId: number | undefined;
		let due: Timer | undefined;
		for (const [id, timer] of timers) {
			if (timer.dueAtMs <= untilMs && (due === undefined || timer.dueAtMs < due.dueAtMs)) {
				dueId = id;
				due = timer;
			}
		}
		if (dueId !== undefined) timers.delete(dueId);
		return due;
	}

	async function fire({ dueAtMs, callback }: Timer): Promise<void> {
		nowMs = Math.max(nowMs, dueAtMs);
		callback();
		await letRun();
	}

	function inTurn<Result>(move: () => Promise<Result>): Promise<Result> {
		const moved = last.then(move);
		last = moved.catch(() => undefined);
		return moved;
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
			checkNumber("ms", ms ?? Number.NaN, { min: 0, integer: false });
			return inTurn(async () => {
				const untilMs = nowMs + ms;
				await letRun();
				for (let timer = takeDue(untilMs); timer !== undefined; timer = takeDue(untilMs)) await fire(timer);
				nowMs = untilMs;
				await letRun();
			});
		},
		advanceToNext: () =>
			inTurn(async () => {
				await letRun();
				const timer = takeDue(Number.POSITIVE_INFINITY);
				if (timer !== undefined) await fire(timer);
				return timer !== undefined;
			}),
		get timers() {
			return timers.size;
		},
	};
}
