import { CallhookError } from "../errors.ts";
import type { BusEvent, Pattern } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { onAbort } from "../internal/on-abort.ts";
import { checkDelayMs, checkFunction, checkOptions, checkSignal } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import { PassedEvents } from "./passed-events.ts";
import type { Tap } from "./plan.ts";
import type { Unsubscribe } from "./subscription.ts";

/** Which event to wait for, and how long. */
export interface WaitForOptions<Event extends BusEvent = BusEvent> {
	/** Default: every event that matches. Synchronous; what it throws rejects the promise. */
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

export function createWaiter({ clock, readPattern, tap }: WaiterParts): Waiter {
	const open = new Set<(reason: unknown) => void>();
	const passed = new PassedEvents((take) =>
		// Ahead of those who wait, so that an event they take is among them.
		tap(readPattern("**", "waitFor()"), { take }, Number.POSITIVE_INFINITY),
	);

	return {
		waitFor(text, options = {}) {
			checkOptions("waitFor", options, ["where", "signal", "timeoutMs"]);
			const { where = () => true, signal, timeoutMs } = options;
			checkFunction("where", where);
			checkSignal("signal", signal);
			checkDelayMs("timeoutMs", timeoutMs);
			const pattern = readPattern(text, "waitFor()");
			const isWanted = (event: BusEvent): boolean => checkSynchronous("where", where(event));
			return new Promise((resolve, reject) => {
				signal?.throwIfAborted();
				if (passed.find((event) => pattern.matches(event.type) && isWanted(event), resolve)) return;
				// `where` is the user's code, which may have fired the signal or closed the bus.
				signal?.throwIfAborted();
				readPattern(text, "waitFor()");
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
						if (!isWanted(event)) return;
					} catch (error) {
						return fail(error);
					}
					// `where` is the user's code, which may have ended this wait.
					if (!open.has(fail)) return;
					end();
					passed.endWait(() => resolve(event));
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
			passed.forget();
			const reason = new CallhookError("ERR_CALLHOOK_CLOSED", "The bus is closed", { what: "bus" });
			for (const fail of open) fail(reason);
		},
	};
}

function timeoutError(text: string, timeoutMs: number): CallhookError {
	const message = `No "${text}" came within ${timeoutMs} ms`;
	return new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs });
}
