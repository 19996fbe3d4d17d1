import { EventEmitter } from "eventemitter3";
import type { BusEvent } from "../event/index.ts";
import { isThenable } from "../internal/deferred.ts";
import { invalidOption } from "../internal/options.ts";
import type { Overflow } from "../lanes/index.ts";
import type { OutboxSignals } from "../outbox/index.ts";
import type { DeadLetter } from "./dead-letter.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** The lifecycle signals of a bus, `noun:phase`, and what each tells its observers. */
export interface LifecycleSignals extends OutboxSignals {
	/** A middleware around `emit` did not call `next`: no consumer gets the event. */
	"event:vetoed": { readonly event: BusEvent };
	/** A stream had no room for an event. */
	"stream:dropped": {
		readonly event: BusEvent;
		/** The stream's pattern. */
		readonly pattern: string;
		readonly overflow: "drop-oldest" | "drop-newest";
	};
	/** A pattern has suspiciously many subscriptions; told once for each pattern. */
	"subscription:leak": {
		readonly pattern: string;
		readonly count: number;
		/** Where the last of them was made, as in a stack trace; empty where the runtime does not tell. */
		readonly site: string;
	};
	/** The list of dead letters was full: this one, the oldest, is forgotten. */
	"deadletter:dropped": { readonly letter: DeadLetter };
	/** A callback threw or rejected. */
	"callback:failed": { readonly event: BusEvent; readonly pattern: string; readonly error: unknown };
	/** A handler finished an event. */
	"handler:succeeded": { readonly event: BusEvent; readonly handler: string; readonly attempts: number };
	/** An attempt failed and another will follow. */
	"handler:retry": {
		readonly event: BusEvent;
		readonly handler: string;
		/** The attempt that failed, counted from 1. */
		readonly attempt: number;
		readonly delayMs: number;
		readonly error: unknown;
	};
	/** A handler gave an event up, after its last attempt or because it was stopped. */
	"handler:failed": {
		readonly event: BusEvent;
		readonly handler: string;
		readonly attempts: number;
		readonly error: unknown;
	};
	/** A full queue refused an event or let it go, or a newer one of its key took its place, as its `overflow` says. */
	"handler:dropped": { readonly event: BusEvent; readonly handler: string; readonly overflow: Overflow };
	/**
	 * An event was let into a full queue whose `overflow` is `block` or `coalesce`, because a handler emitted it: to make a handler wait
	 * for a place that perhaps only it can free would be a deadlock.
	 */
	"handler:exceeded": {
		readonly event: BusEvent;
		readonly handler: string;
		readonly limit: number;
		readonly queued: number;
	};
	/** An attempt passed its `timeoutMs`; it still holds its slot and lane until the function has settled. */
	"handler:timeout": {
		readonly event: BusEvent;
		readonly handler: string;
		readonly attempt: number;
		readonly timeoutMs: number;
	};
}

const known: Readonly<Record<keyof LifecycleSignals, true>> = {
	"event:vetoed": true,
	"callback:failed": true,
	"handler:succeeded": true,
	"handler:retry": true,
	"handler:failed": true,
	"handler:timeout": true,
	"handler:dropped": true,
	"handler:exceeded": true,
	"deadletter:dropped": true,
	"stream:dropped": true,
	"subscription:leak": true,
	"attempt:failed": true,
	"delivery:delivered": true,
	"delivery:dead": true,
	"delivery:cancelled": true,
	"delivery:lost": true,
	"endpoint:created": true,
	"endpoint:updated": true,
	"endpoint:deleted": true,
	"endpoint:rotated": true,
	"endpoint:enabled": true,
	"endpoint:disabled": true,
	"endpoint:verified": true,
	"endpoint:failing": true,
	"endpoint:recovered": true,
	"endpoint:paused": true,
	"endpoint:resumed": true,
};

/** The name of every lifecycle signal. */
export const signalNames: readonly (keyof LifecycleSignals)[] = Object.keys(
	known,
) as (keyof LifecycleSignals)[];

/** The observers of a bus. */
export interface Signals {
	observe<Name extends keyof LifecycleSignals>(
		name: Name,
		observer: (info: LifecycleSignals[Name]) => unknown,
	): Unsubscribe;
	/** Tells the observers of a signal, if there are any; only then is `info` made. */
	send<Name extends keyof LifecycleSignals>(name: Name, info: () => LifecycleSignals[Name]): void;
	close(): void;
}

/** Makes the observer registry; what an observer throws goes to `report` and hurts nobody else. */
export function createSignals(report: (error: unknown, signal: string) => void): Signals {
	const emitter = new EventEmitter();
	return {
		observe(name, observer) {
			if (!Object.hasOwn(known, name))
				throw invalidOption("signal", `one of ${signalNames.join(", ")}`, name);
			if (typeof observer !== "function") throw invalidOption("observer", "a function", observer);
			const listener = (info: LifecycleSignals[typeof name]): void => {
				try {
					const result = observer(info);
					if (isThenable(result)) result.then(undefined, (error) => report(error, name));
				} catch (error) {
					report(error, name);
				}
			};
			emitter.on(name, listener);
			return createUnsubscribe(() => emitter.off(name, listener));
		},
		send(name, info) {
			if (emitter.listenerCount(name) > 0) emitter.emit(name, info());
		},
		close: () => void emitter.removeAllListeners(),
	};
}
