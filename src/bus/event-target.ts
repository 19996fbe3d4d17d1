import type { BusEvent } from "../event/index.ts";
import { onAbort } from "../internal/on-abort.ts";
import type { Unsubscribe } from "./subscription.ts";

/** What the facade needs of the bus, without its types. */
interface UntypedBus {
	on(type: string, callback: (data: unknown, event: BusEvent) => unknown): Unsubscribe;
	emit(type: string, data: unknown): unknown;
}

/** An event of the bus on an EventTarget: `detail` is its data. */
export interface BusCustomEvent<Data = unknown> extends CustomEvent<Data> {
	readonly busEvent: BusEvent;
}

type Callback = Parameters<EventTarget["addEventListener"]>[1];

/** A listener as the EventTarget has it; the same function may be there twice, with `capture` and without. */
interface Listener {
	readonly callback: Callback;
	readonly capture: boolean;
	readonly once: boolean;
	/** Stops listening to its signal. */
	forgetSignal?: (() => void) | undefined;
}

/**
 * The bus as an EventTarget: listeners get a CustomEvent with the data as `detail` and the event as `busEvent`; what is
 * dispatched to it is emitted, its `detail` as the data. As everywhere on an EventTarget, a listener that throws is the
 * business of the runtime. There is one subscription for each type that somebody listens to.
 */
export function createBusEventTarget(bus: UntypedBus): EventTarget {
	const heard = new Map<string, { readonly listeners: Listener[]; readonly end: Unsubscribe }>();

	function keep(type: string, listener: Listener): void {
		const { listeners } = heard.get(type) ?? hear(type);
		if (find(listeners, listener.callback, listener.capture) === undefined) listeners.push(listener);
	}

	function drop(type: string, listener: Listener | undefined): void {
		const { listeners, end } = heard.get(type) ?? {};
		if (listeners === undefined || listener === undefined || !listeners.includes(listener)) return;
		listeners.splice(listeners.indexOf(listener), 1);
		listener.forgetSignal?.();
		if (listeners.length > 0) return;
		end?.();
		heard.delete(type);
	}

	function hear(type: string): { readonly listeners: Listener[]; readonly end: Unsubscribe } {
		const listeners: Listener[] = [];
		const end = bus.on(type, (data, busEvent) => {
			const event = Object.assign(new CustomEvent(type, { detail: data }), { busEvent });
			// Before they run, since one may add itself again.
			const once = listeners.filter((listener) => listener.once);
			for (const listener of once) drop(type, listener);
			target.show(event);
			// One that was stopped may not have reached them all.
			// eslint-disable-next-line @typescript-eslint/no-deprecated -- setting it is; nothing else tells of a stop
			if (event.cancelBubble) for (const listener of once) keep(type, listener);
		});
		const entry = { listeners, end };
		heard.set(type, entry);
		return entry;
	}

	class BusEventTarget extends EventTarget {
		override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
			const [type, callback, options] = args;
			const { capture, once, signal } = readOptions(options);
			// Throws for a type that cannot be, before anything is added.
			const { listeners, end } = heard.get(type) ?? hear(type);
			try {
				super.addEventListener(...args);
				const isListener = Object(callback) === callback && signal?.aborted !== true;
				if (!isListener || find(listeners, callback, capture) !== undefined) return;
				const listener: Listener = { callback, capture, once };
				listener.forgetSignal = signal && onAbort(signal, () => drop(type, listener));
				listeners.push(listener);
			} finally {
				if (listeners.length === 0) {
					end();
					heard.delete(type);
				}
			}
		}

		override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
			const [type, callback, options] = args;
			super.removeEventListener(...args);
			drop(type, find(heard.get(type)?.listeners ?? [], callback, readOptions(options).capture));
		}

		override dispatchEvent(event: Event): boolean {
			bus.emit(event.type, (event as Partial<CustomEvent>).detail);
			return true;
		}

		show(event: Event): void {
			super.dispatchEvent(event);
		}
	}
	const target = new BusEventTarget();
	return target;
}

function find(listeners: readonly Listener[], callback: Callback, capture: boolean): Listener | undefined {
	return listeners.find((listener) => listener.callback === callback && listener.capture === capture);
}

function readOptions(options: Parameters<EventTarget["addEventListener"]>[2]): {
	readonly capture: boolean;
	readonly once: boolean;
	readonly signal: AbortSignal | undefined;
} {
	const { capture, once, signal } = Object(options) as AddEventListenerOptions;
	return { capture: options === true || capture === true, once: once === true, signal };
}
