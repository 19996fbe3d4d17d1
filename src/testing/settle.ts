import { nextTurn } from "../internal/next-turn.ts";

/** The part of a bus that {@link settle} looks at. */
export interface SettlingBus {
	idle(): Promise<void>;
	stats(): { readonly open: number };
}

/**
 * Waits until everything that was emitted, and everything that consumers emitted because of it, at any depth, has ended:
 * callbacks, handlers with their retries, delayed events, appends to the outbox. Moves no clock; a `TestBus` can.
 *
 * @example
 * ```ts
 * bus.emit("order.paid", order);
 * await settle(bus);
 * ```
 */
export async function settle(bus: SettlingBus): Promise<void> {
	// Who awaited the last of it may emit anew.
	for (let quiet = 0; quiet < 3; quiet++) {
		if (bus.stats().open > 0) quiet = 0;
		await bus.idle();
		await nextTurn();
	}
}
