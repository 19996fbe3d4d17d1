import type { HandlerQueue, HandlerStats } from "./handler-queue.ts";

/** A registered handler. `Result` is what it returns, for `report.outcomeOf`. */
export interface HandlerSubscription<Result = unknown> {
	readonly name: string;
	/** Events that wait: queued, behind another of their key, for a batch, for a retry, or outside a full queue. */
	readonly size: number;
	/** Attempts that run now. */
	readonly pending: number;
	/** Lets running attempts end and starts no more; events are still queued. */
	pause(): void;
	resume(): void;
	/** Resolves once no event waits or runs; so do not await it inside the handler. */
	idle(): Promise<void>;
	/**
	 * Takes no more events; resumes if paused, and resolves once those it took have ended. May be called again; inside the
	 * handler, too, but not awaited there.
	 */
	stop(): Promise<void>;
	stats(): HandlerStats;
	/** The same as `stop`. */
	[Symbol.asyncDispose](): Promise<void>;
	/** @internal Carries the type; never there at run time. */
	readonly $result?: Result;
}

/** Where a runtime lacks the symbol, the well-known polyfills register it under this name. */
export const asyncDispose: typeof Symbol.asyncDispose =
	Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as never);

export function createHandlerSubscription(queue: HandlerQueue, unsubscribe: () => void): HandlerSubscription {
	const { lanes } = queue;
	async function stop(): Promise<void> {
		unsubscribe();
		lanes.resume();
		await queue.finished();
	}
	return {
		name: queue.name,
		get size() {
			return queue.size;
		},
		get pending() {
			return queue.stats().running;
		},
		pause: () => lanes.pause(),
		resume: () => lanes.resume(),
		idle: () => queue.idle(),
		stop,
		stats: () => queue.stats(),
		[asyncDispose]: stop,
	};
}
