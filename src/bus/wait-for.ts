import { CallhookError } from "../errors.ts";
import type { BusEvent, Pattern } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { onAbort } from "../internal/on-abort.ts";
import { checkDelayMs, checkFunction, checkOptions, checkSignal } from "../internal/options.ts";
import type { Tap } from "./plan.ts";
import type { Unsubscribe } from "./subscription.ts";

/** Which event to wait for, and how long. */
export interface WaitForOptions<Event extends BusEvent = BusEvent> {
	/** Default: every event that matches. What it throws rejects the promise. */
	readonly where?: ((event: Event) => boolean) | undefined;
	/** Rejects the promise with its reason. */
	readonly signal?: AbortSignal | undefined;
	/** Rejects the promise with ERR_CALLHOOK_TIMEOUT. Default: no limit. */
	readonly timeoutMs?: number | undefined;
}

/** Waits for single events. */
export interface Waiter {
	waitFor(text: string, options: WaitForOptions | undefined): Promise<BusEvent>;
	/** Rejects every promise that is still open. */
	close(): void;
}

/** What a {@link Waiter} needs of the bus. */
export interface WaiterParts {
	readonly clock: Clock;
	/** Checks a pattern; throws when the bus is closed. */
	readPattern(text: string, where: string): Pattern;
	/** Shows every event that matches, to those of higher priority first. */
	tap(pattern: Pattern, target: Tap, priority?: number): Unsubscribe;
}

/** An event that has passed, and those behind it. */
interface Passed {
	/** `undefined` where a recording begins. */
	readonly event: BusEvent | undefined;
	next: Passed | undefined;
}

export function createWaiter({ clock, readPattern, tap }: WaiterParts): Waiter {
	const open = new Set<(reason: unknown) => void>();
	/**
	 * The last event that has passed. Recorded from when a promise is resolved to the next turn of the event loop, since
	 * `await waitFor(a); await waitFor(b)` must not miss a `b` that was emitted behind `a` before the first `await` had
	 * gone on.
	 */
	let last: Passed | undefined;
	let stopRecording: Unsubscribe | undefined;
	/** The event up to which the code that goes on now has seen all. */
	let seen: Passed | undefined;

	/** Begins a recording, unless there is one. */
	function record(): Passed {
		if (last === undefined) {
			last = { event: undefined, next: undefined };
			const take = (event: BusEvent): void => {
				if (last !== undefined) last = last.next = { event, next: undefined };
			};
			// Ahead of those who wait, so that an event they take is in the recording.
			stopRecording = tap(readPattern("**", "waitFor()"), { take }, Number.POSITIVE_INFINITY);
			void nextTurn().then(forget);
		}
		return last;
	}

	function forget(): void {
		stopRecording?.();
		last = undefined;
		seen = undefined;
	}

	/** Runs right ahead of the code that awaits a promise which is resolved now. */
	function willHaveSeen(passed: Passed): void {
		queueMicrotask(() => {
			seen = passed;
		});
	}

	function findPassed({ matches }: Pattern, where: (event: BusEvent) => boolean): Passed | undefined {
		let passed = seen?.next;
		while (passed?.event !== undefined && !(matches(passed.event.type) && where(passed.event))) {
			passed = passed.next;
		}
		return passed;
	}

	return {
		waitFor(text, options = {}) {
			checkOptions("waitFor", options, ["where", "signal", "timeoutMs"]);
			const { where = () => true, signal, timeoutMs } = options;
			checkFunction("where", where);
			checkSignal("signal", signal);
			checkDelayMs("timeoutMs", timeoutMs);
			const pattern = readPattern(text, "waitFor()");
			return new Promise((resolve, reject) => {
				if (signal?.aborted === true) throw signal.reason;
				const passed = findPassed(pattern, where);
				if (passed !== undefined) {
					willHaveSeen(passed);
					return resolve(passed.event as BusEvent);
				}
				const end = (): void => {
					unsubscribe();
					stopListening?.();
					clock.clearTimeout(timer);
					open.delete(fail);
				};
				const fail = (reason: unknown): void => {
					end();
					reject(reason);
				};
				const take = (event: BusEvent): void => {
					try {
						if (!where(event)) return;
					} catch (error) {
						return fail(error);
					}
					// `where` is the user's code, which may have ended this wait.
					if (!open.has(fail)) return;
					end();
					willHaveSeen(record());
					resolve(event);
				};
				const unsubscribe = tap(pattern, { take });
				open.add(fail);
				const stopListening = signal && onAbort(signal, () => fail(signal.reason));
				const timer =
					timeoutMs === undefined
						? undefined
						: clock.setTimeout(() => fail(timeoutError(text, timeoutMs)), timeoutMs);
			});
		},
		close() {
			forget();
			const reason = new CallhookError("ERR_CALLHOOK_CLOSED", "The bus is closed", { what: "bus" });
			for (const fail of open) fail(reason);
		},
	};
}

function timeoutError(text: string, timeoutMs: number): CallhookError {
	const message = `No "${text}" came within ${timeoutMs} ms`;
	return new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs });
}
