import { CallhookError } from "../errors.ts";
import { type BusEvent, createPattern, type EventOf, type MatchingType } from "../event/index.ts";
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

/** The event that `waitFor` resolves with. */
export type AwaitedEvent<Events, Text extends string> = EventOf<Events, MatchingType<Events, Text>>;

/** Waits for single events. */
export interface Waiter {
	waitFor(text: string, options: WaitForOptions | undefined): Promise<BusEvent>;
	/** Rejects every promise that is still open. */
	close(): void;
}

/** What a {@link Waiter} needs of the bus. */
export interface WaiterParts {
	readonly clock: Clock;
	/** Shows every event that matches; checks the pattern. */
	tap(text: string, where: string, target: Tap): Unsubscribe;
}

export function createWaiter({ clock, tap }: WaiterParts): Waiter {
	const open = new Set<(reason: unknown) => void>();
	/**
	 * What was emitted since a promise was resolved in this turn of the event loop: `await waitFor(a); await waitFor(b)`
	 * must not miss a `b` that was emitted behind `a` before the first `await` had gone on.
	 */
	let recent: BusEvent[] | undefined;
	/** For each pattern, how many of the recent events those who waited for it have had. */
	const seen = new Map<string, number>();
	let stopRecording: Unsubscribe | undefined;

	function record(text: string): void {
		if (recent === undefined) {
			recent = [];
			const events = recent;
			stopRecording = tap("**", "waitFor()", { take: (event) => void events.push(event) });
			void nextTurn().then(forget);
		}
		seen.set(text, recent.length);
	}

	function forget(): void {
		stopRecording?.();
		recent = undefined;
		seen.clear();
	}

	function findRecent(text: string, where: (event: BusEvent) => boolean): BusEvent | undefined {
		if (recent === undefined) return undefined;
		const from = seen.get(text) ?? 0;
		const { matches } = createPattern(text, "waitFor()");
		const index = recent.findIndex((event, at) => at >= from && matches(event.type) && where(event));
		if (index < 0) return undefined;
		seen.set(text, index + 1);
		return recent[index];
	}

	return {
		waitFor(text, options = {}) {
			checkOptions("waitFor", options, ["where", "signal", "timeoutMs"]);
			const { where = () => true, signal, timeoutMs } = options;
			checkFunction("where", where);
			checkSignal("signal", signal);
			checkDelayMs("timeoutMs", timeoutMs);
			return new Promise((resolve, reject) => {
				if (signal?.aborted === true) throw signal.reason;
				const found = findRecent(text, where);
				if (found !== undefined) return resolve(found);
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
					end();
					record(text);
					resolve(event);
				};
				const unsubscribe = tap(text, "waitFor()", { take });
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
