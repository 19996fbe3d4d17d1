import { EventEmitter } from "eventemitter3";
import type { BusEvent } from "../event/index.ts";
import { isThenable } from "../internal/deferred.ts";
import { invalidOption } from "../internal/options.ts";
import type { OutboxSignals } from "../outbox/ports.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** The lifecycle signals of a bus, `noun:phase`, and what each tells its observers. */
export interface LifecycleSignals extends OutboxSignals {
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
	/** An attempt passed its `timeoutMs`; it still holds its slot and lane until the function has settled. */
	"handler:timeout": {
		readonly event: BusEvent;
		readonly handler: string;
		readonly attempt: number;
		readonly timeoutMs: number;
	};
}

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
