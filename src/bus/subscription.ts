import { invalidOption } from "../internal/options.ts";

/**
 * Ends a subscription. Calling it again does nothing; `using` calls it at the end of the block. `Result` is what the
 * callback returns, for `report.outcomeOf`.
 */
export interface Unsubscribe<Result = unknown> {
	(): void;
	[Symbol.dispose](): void;
	/** @internal Carries the type; never there at run time. */
	readonly $result?: Result;
}

// Where a runtime lacks the symbol, the well-known polyfills register it under this name.
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as never);

export function checkCallback(callback: unknown): void {
	if (typeof callback !== "function") throw invalidOption("callback", "a function", callback);
}

/** Makes the handle for a function that ends a subscription; it is called once at most. */
export function createUnsubscribe(end: () => void): Unsubscribe {
	// Let go of when it was called: whoever keeps the handle keeps nothing else.
	let left: (() => void) | undefined = end;
	const unsubscribe = (): void => {
		const run = left;
		left = undefined;
		run?.();
	};
	return Object.assign(unsubscribe, { [dispose]: unsubscribe });
}
