import { isCallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import { checkCallback, type Unsubscribe } from "./subscription.ts";

type Listener = (...args: never[]) => unknown;

/**
 * The part of Node's EventEmitter that libraries ask for, on a bus. To listen to a symbol or to emit one throws
 * ERR_CALLHOOK_MISSING_NAME.
 */
export interface NodeStyleEmitter {
	on(name: string | symbol, listener: Listener): this;
	addListener(name: string | symbol, listener: Listener): this;
	prependListener(name: string | symbol, listener: Listener): this;
	once(name: string | symbol, listener: Listener): this;
	prependOnceListener(name: string | symbol, listener: Listener): this;
	off(name: string | symbol, listener: Listener): this;
	removeListener(name: string | symbol, listener: Listener): this;
	removeAllListeners(name?: string | symbol): this;
	/** Emits the first argument as the event's data; returns whether this emitter has a listener for it. */
	emit(name: string | symbol, ...args: unknown[]): boolean;
	listeners(name: string | symbol): Listener[];
	/** The same as `listeners`: those added with `once` have no wrapper that could be seen. */
	rawListeners(name: string | symbol): Listener[];
	listenerCount(name: string | symbol): number;
	eventNames(): (string | symbol)[];
	/** Kept for those who set it; the bus has a warning of its own. */
	setMaxListeners(count: number): this;
	getMaxListeners(): number;
}

/** What the facade needs of the bus, without its types. */
export interface UntypedBus {
	on(
		type: string,
		callback: (data: unknown, event: BusEvent) => unknown,
		options: { readonly priority: number },
	): Unsubscribe;
	emit(type: string, data: unknown): unknown;
}

interface Registration {
	readonly listener: Listener;
	/** Ends the subscription on the bus; `undefined` where the bus has no such event. */
	readonly end: Unsubscribe | undefined;
}

export function createNodeStyleEmitter(bus: UntypedBus): NodeStyleEmitter {
	const registrations = new Map<string | symbol, Registration[]>();
	let maxListeners = 10;
	/** Each one that is prepended comes before those prepended earlier. */
	let prepended = 0;

	function remove(name: string | symbol, registration: Registration): void {
		registration.end?.();
		const left = (registrations.get(name) ?? []).filter((other) => other !== registration);
		if (left.length === 0) registrations.delete(name);
		else registrations.set(name, left);
	}

	function add(name: string | symbol, listener: Listener, { once = false, first = false } = {}): void {
		checkCallback(listener);
		let hasRun = false;
		const call = (data: unknown, event: BusEvent): unknown => {
			// It is called again where a listener before it has emitted.
			if (once && hasRun) return undefined;
			hasRun = true;
			if (once) remove(name, registration);
			return Reflect.apply(listener, emitter, [data, event]);
		};
		const priority = first ? ++prepended : 0;
		const registration: Registration = { listener, end: subscribe(bus, name, call, priority) };
		const others = registrations.get(name) ?? [];
		registrations.set(name, first ? [registration, ...others] : [...others, registration]);
	}

	function off(name: string | symbol, listener: Listener): NodeStyleEmitter {
		// As Node does: one of them, the one that was added last.
		const registration = (registrations.get(name) ?? []).findLast((other) => other.listener === listener);
		if (registration !== undefined) remove(name, registration);
		return emitter;
	}

	function on(name: string | symbol, listener: Listener): NodeStyleEmitter {
		add(name, listener);
		return emitter;
	}

	function listeners(name: string | symbol): Listener[] {
		return (registrations.get(name) ?? []).map(({ listener }) => listener);
	}

	const emitter: NodeStyleEmitter = {
		on,
		addListener: on,
		prependListener(name, listener) {
			add(name, listener, { first: true });
			return emitter;
		},
		once(name, listener) {
			add(name, listener, { once: true });
			return emitter;
		},
		prependOnceListener(name, listener) {
			add(name, listener, { once: true, first: true });
			return emitter;
		},
		off,
		removeListener: off,
		removeAllListeners(name) {
			for (const each of name === undefined ? [...registrations.keys()] : [name]) {
				for (const registration of registrations.get(each) ?? []) remove(each, registration);
			}
			return emitter;
		},
		emit(name, ...args) {
			const count = registrations.get(name)?.length ?? 0;
			// The bus refuses a symbol.
			bus.emit(name as string, args[0]);
			return count > 0;
		},
		listeners,
		rawListeners: listeners,
		listenerCount: (name) => registrations.get(name)?.length ?? 0,
		eventNames: () => [...registrations.keys()],
		setMaxListeners(count) {
			maxListeners = count;
			return emitter;
		},
		getMaxListeners: () => maxListeners,
	};
	return emitter;
}

/** `events.once` and its like listen to `error` of every emitter, which not every bus has. */
function subscribe(
	bus: UntypedBus,
	name: string | symbol,
	call: (data: unknown, event: BusEvent) => unknown,
	priority: number,
): Unsubscribe | undefined {
	try {
		return bus.on(name as string, call, { priority });
	} catch (error) {
		if (name === "error" && isCallhookError(error, "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE")) return undefined;
		throw error;
	}
}
