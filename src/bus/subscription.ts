import type { Pattern } from "../event/index.ts";
import type { HandlerQueue } from "./handler-queue.ts";

/** Ends a subscription. Calling it again does nothing; `using` calls it at the end of the block. */
export interface Unsubscribe {
	(): void;
	[Symbol.dispose](): void;
}

/** One registration, of a callback or of a handler, as the registry keeps it. */
export interface Subscription {
	readonly pattern: Pattern;
	/** Higher runs earlier; equal ones run in the order of registration. */
	readonly priority: number;
	readonly order: number;
	/** What the user passed, for `off`. */
	readonly callback: unknown;
	/** What to do for an event: call this in line, or queue a job there. */
	readonly target: ((data: unknown, event: unknown) => unknown) | HandlerQueue;
}

// Where a runtime lacks the symbol, the well-known polyfills register it under this name.
const dispose: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as never);

/** Makes the handle for a function that ends a subscription; it is called once at most. */
export function createUnsubscribe(end: () => void): Unsubscribe {
	let isActive = true;
	const unsubscribe = (): void => {
		if (!isActive) return;
		isActive = false;
		end();
	};
	return Object.assign(unsubscribe, { [dispose]: unsubscribe });
}
