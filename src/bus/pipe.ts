import { isCallhookError } from "../errors.ts";
import type { EventType } from "../event/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { checkFunction, checkOptions, invalidOption } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** An emitter in the style of Node. */
export interface EmitterSource {
	on(name: string, listener: (...args: unknown[]) => void): unknown;
	off(name: string, listener: (...args: unknown[]) => void): unknown;
}

/** Where one event of a source goes. */
export type PipeTarget<Inputs> = {
	[Type in EventType<Inputs>]:
		| Type
		| {
				readonly type: Type;
				/** Makes the data from the arguments of the source's listener. */
				readonly data: (...args: never[]) => Inputs[Type];
		  };
}[EventType<Inputs>];

/** Events that flow from a source onto a bus. Calling it ends that, as the end of the bus does. */
export interface Pipe extends Unsubscribe {
	/** Resolves once it has ended, for whichever reason. */
	readonly ended: Promise<void>;
}

/** What a pipe needs of the bus, without its types. */
export interface PipeParts {
	emit(type: string, data: unknown): { readonly accepted: Promise<void> };
	/** Throws unless the type may be emitted. */
	checkType(type: string): void;
	report(error: unknown, name: string): void;
	/** The pipes that are to end with the bus. */
	readonly open: Set<Unsubscribe>;
}

type Listener = (...args: unknown[]) => void;

/** Emits what comes from an emitter, an EventTarget or an async iterable; errors go to `report`, never into the source. */
export function createPipe(source: unknown, target: unknown, parts: PipeParts): Pipe {
	const ended = createDeferred<void>();
	let stop = (): void => undefined;
	const end = createUnsubscribe(() => {
		parts.open.delete(end);
		stop();
		ended.resolve();
	});
	parts.open.add(end);
	try {
		stop =
			typeof target === "string" ? iterate(source, target, parts, end) : listen(source, target, parts, end);
	} catch (error) {
		end();
		throw error;
	}
	// What came from the source at once may have closed the bus.
	if (!parts.open.has(end)) stop();
	return Object.assign(end, { ended: ended.promise });
}

function emitOnto(
	type: string,
	data: unknown,
	{ emit, report }: PipeParts,
	end: () => void,
): Promise<void> | undefined {
	try {
		return emit(type, data).accepted;
	} catch (error) {
		if (isCallhookError(error, "ERR_CALLHOOK_CLOSED")) end();
		else report(error, type);
		return undefined;
	}
}

function listen(source: unknown, map: unknown, parts: PipeParts, end: () => void): () => void {
	// The names in a list would be "0" and "1", which no source emits.
	if (typeof map !== "object" || map === null || Array.isArray(map)) {
		throw invalidOption(
			"map",
			"an object of the source's event names, or an event type for an async iterable",
			map,
		);
	}
	const listeners = Object.entries(map).map(([name, target]) => {
		const { type, data } = readTarget(`map["${name}"]`, target);
		parts.checkType(type);
		const listener: Listener = (...args) => {
			let made: unknown;
			try {
				made = checkSynchronous(`map["${name}"].data`, data(...args));
			} catch (error) {
				return parts.report(error, type);
			}
			// Sources cannot be made to wait; `accepted` may still reject.
			emitOnto(type, made, parts, end)?.catch(() => undefined);
		};
		return { name, type, listener };
	});
	const { add, remove } = listenerMethods(source);
	const added: typeof listeners = [];
	const stop = (): void => {
		for (const { name, type, listener } of added.splice(0)) {
			try {
				remove(name, listener);
			} catch (error) {
				parts.report(error, type);
			}
		}
	};
	try {
		for (const each of listeners) {
			add(each.name, each.listener);
			added.push(each);
		}
	} catch (error) {
		stop();
		throw error;
	}
	return stop;
}

function readTarget(
	option: string,
	target: unknown,
): { readonly type: string; readonly data: (...args: unknown[]) => unknown } {
	const { type, data = defaultData } = (
		typeof target === "object" && target !== null ? target : { type: target }
	) as { readonly type?: unknown; readonly data?: unknown };
	if (typeof type !== "string")
		throw invalidOption(option, "an event type or an object with its type", target);
	if (typeof target === "object") checkOptions(option, target, ["type", "data"]);
	checkFunction(`${option}.data`, data);
	return { type, data: data as (...args: unknown[]) => unknown };
}

/** A CustomEvent carries its data as `detail`; several arguments become a list. */
function defaultData(...args: unknown[]): unknown {
	const [first] = args;
	if (typeof CustomEvent !== "undefined" && first instanceof CustomEvent) return first.detail;
	return args.length > 1 ? args : first;
}

function listenerMethods(source: unknown): {
	add(name: string, listener: Listener): void;
	remove(name: string, listener: Listener): void;
} {
	const { on, off, removeListener, addEventListener, removeEventListener } = (source ?? {}) as Record<
		string,
		unknown
	>;
	const call = (method: unknown) => (name: string, listener: Listener) =>
		void Reflect.apply(method as Listener, source, [name, listener]);
	const remove = off ?? removeListener;
	if (typeof on === "function" && typeof remove === "function")
		return { add: call(on), remove: call(remove) };
	if (typeof addEventListener === "function" && typeof removeEventListener === "function") {
		return { add: call(addEventListener), remove: call(removeEventListener) };
	}
	throw invalidOption("source", "an emitter or an EventTarget", source);
}

/** Reads no faster than handlers work: the next item is asked for when the last one was accepted. */
function iterate(source: unknown, type: string, parts: PipeParts, end: () => void): () => void {
	const iterable = source as Partial<AsyncIterable<unknown>> | null | undefined;
	if (typeof iterable?.[Symbol.asyncIterator] !== "function") {
		throw invalidOption("source", "an async iterable, since the target is one event type", source);
	}
	parts.checkType(type);
	const iterator = (iterable as AsyncIterable<unknown>)[Symbol.asyncIterator]();
	let hasEnded = false;
	void (async () => {
		try {
			while (!hasEnded) {
				const item = await iterator.next();
				if (hasEnded || item.done === true) break;
				await emitOnto(type, item.value, parts, end)?.catch(() => undefined);
			}
		} catch (error) {
			if (!hasEnded) parts.report(error, type);
		}
		hasEnded = true;
		end();
	})();
	return () => {
		if (hasEnded) return;
		hasEnded = true;
		(async () => iterator.return?.())().catch((error) => parts.report(error, type));
	};
}
