import type { Catalog } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { checkFunction, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import type { ErrorContext } from "./core.ts";

/** How a bus is set up; everything has a default. */
export interface BusOptions<Events = unknown, Inputs = unknown> {
	/** The catalog from `defineEvents`. Without it every type may be emitted and no data is checked. */
	readonly events?: Catalog<Events, Inputs> | undefined;
	/** The CloudEvents `source` of every event. Default `/`. */
	readonly source?: string | undefined;
	/** Where the outbox lives; webhooks need one. The bus does not close it. */
	readonly store?: OutboxStore | undefined;
	/** At most so many attempts run at once over all handlers. Default: no limit. */
	readonly concurrency?: number | undefined;
	/**
	 * Gets every error that a callback, handler, observer or the outbox raises, once each, whether or not somebody
	 * awaits the emission. Default: `console.error`.
	 */
	readonly onError?: ((error: unknown, context: ErrorContext) => unknown) | undefined;
	/** Default: the system's clock. */
	readonly clock?: Clock | undefined;
}

/** Checks bus options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function checkBusOptions(options: BusOptions): void {
	checkOptions("createBus", options, ["events", "source", "store", "concurrency", "onError", "clock"]);
	const { events, source, store, concurrency, onError, clock } = options;
	if (events !== undefined && typeof (events as Partial<Catalog>)?.parse !== "function") {
		throw invalidOption("events", "a catalog made by defineEvents()", events);
	}
	if (source !== undefined && (typeof source !== "string" || source === "")) {
		throw invalidOption("source", "a non-empty URI reference", source);
	}
	if (store !== undefined && typeof (store as Partial<OutboxStore>)?.append !== "function") {
		throw invalidOption("store", "an outbox store such as memoryStore()", store);
	}
	if (clock !== undefined && !isClock(clock)) {
		throw invalidOption("clock", "a clock with now, setTimeout and clearTimeout", clock);
	}
	checkNumber("concurrency", concurrency, { min: 1, infinity: true });
	checkFunction("onError", onError);
}

function isClock(value: unknown): boolean {
	const { now, setTimeout, clearTimeout } = (value ?? {}) as Partial<Clock>;
	return [now, setTimeout, clearTimeout].every((member) => typeof member === "function");
}
