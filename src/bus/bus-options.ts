import type { Catalog } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import {
	checkBoolean,
	checkClock,
	checkFunction,
	checkNumber,
	checkOptions,
	invalidOption,
} from "../internal/options.ts";
import { type OutboxOptions, readOutboxOptions } from "../outbox/index.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import type { ErrorContext } from "./core.ts";
import type { Logger } from "./leak-warning.ts";

/** How a bus is set up; everything has a default. */
export interface BusOptions<Events = unknown, Inputs = unknown> {
	/** The catalog from `defineEvents`. Without it every type may be emitted and no data is checked. */
	readonly events?: Catalog<Events, Inputs> | undefined;
	/** The CloudEvents `source` of every event: a URI reference. Default `/`. */
	readonly source?: string | undefined;
	/** Where the outbox lives; webhooks need one. The bus does not close it. */
	readonly store?: OutboxStore | undefined;
	/** How the outbox works; only with a store. */
	readonly outbox?: OutboxOptions | undefined;
	/** At most so many attempts run at once over all handlers. Default: no limit. */
	readonly concurrency?: number | undefined;
	/**
	 * Gets every error that a callback, handler, middleware, observer, pipe or the outbox raises, once each, whether or not somebody
	 * awaits the emission. Default: `console.error` with who failed and for which event.
	 */
	readonly onError?: ((error: unknown, context: ErrorContext) => unknown) | undefined;
	/**
	 * Keeps all events back until `release()`, so that what is emitted while the application starts reaches those who
	 * subscribe later. Default false.
	 */
	readonly startHeld?: boolean | undefined;
	/** How many dead letters are kept; of more, the oldest are forgotten. Default 1,000. */
	readonly deadLetterLimit?: number | undefined;
	/** Warns once for each pattern that has more subscriptions: one may be made again and again. Default 100. */
	readonly maxListeners?: number | undefined;
	/**
	 * Whether an emit behind an `await` in a handler knows its cause, and a handler that waits for its own full queue is let
	 * through. Uses AsyncLocalStorage, which before Node 24 makes every promise of the process slower. Without it only what
	 * a consumer emits before its first `await` knows its cause. Default true.
	 */
	readonly trackCauses?: boolean | undefined;
	/** Gets warnings. Default: `console`. */
	readonly logger?: Logger | undefined;
	/** Tells the time and sets timers. Default: the system's clock. */
	readonly clock?: Clock | undefined;
}

// RFC 3986 §2: the characters of a URI. CloudEvents receivers refuse an event whose source is none.
const uriReference = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/;
const knownOptions: readonly (keyof BusOptions)[] = [
	...(["events", "source", "store", "concurrency", "onError", "clock"] as const),
	...(["startHeld", "deadLetterLimit", "maxListeners", "trackCauses", "logger", "outbox"] as const),
];

/** Checks bus options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function checkBusOptions(options: BusOptions): void {
	checkOptions("createBus", options, knownOptions);
	const { events, source, store, concurrency, onError, clock, logger } = options;
	if (events !== undefined && !isCatalog(events)) {
		throw invalidOption("events", "a catalog made by defineEvents()", events);
	}
	if (source !== undefined && (typeof source !== "string" || !uriReference.test(source))) {
		throw invalidOption("source", "a URI reference, such as /shop or https://shop.example", source);
	}
	if (store !== undefined && typeof (store as Partial<OutboxStore>)?.append !== "function") {
		throw invalidOption("store", "an outbox store such as memoryStore()", store);
	}
	if (clock !== undefined) checkClock(clock);
	checkBoolean("startHeld", options.startHeld);
	checkBoolean("trackCauses", options.trackCauses);
	if (logger !== undefined && typeof (logger as Partial<Logger> | null)?.warn !== "function") {
		throw invalidOption("logger", "an object with a function warn", logger);
	}
	checkNumber("deadLetterLimit", options.deadLetterLimit, { min: 0 });
	checkNumber("maxListeners", options.maxListeners, { min: 1, infinity: true });
	checkNumber("concurrency", concurrency, { min: 1, infinity: true });
	checkFunction("onError", onError);
	readOutboxOptions(options.outbox);
	if (options.outbox !== undefined && store === undefined) {
		throw invalidOption("store", "given with outbox", undefined);
	}
}

/** A schema has a function `parse`, too. */
function isCatalog(value: unknown): boolean {
	const { parse, get, types } = (value ?? {}) as Partial<Catalog>;
	return typeof parse === "function" && typeof get === "function" && Array.isArray(types);
}
