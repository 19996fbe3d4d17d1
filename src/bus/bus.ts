import type {
	Catalog,
	CheckedPattern,
	DatalessType,
	EmitOptions,
	EventOf,
	EventType,
	MatchingType,
} from "../event/index.ts";
import type { BatchOptions } from "../lanes/index.ts";
import type { OutboxDoor } from "../outbox/index.ts";
import type { BatchContext, HandlerContext } from "./attempt.ts";
import type { DeadLetters } from "./dead-letter.ts";
import type { DrainReport } from "./drain.ts";
import type { Emission } from "./emission.ts";
import type { HandleOptions } from "./handler-options.ts";
import type { HandlerStats } from "./handler-queue.ts";
import type { HandlerSubscription } from "./handler-subscription.ts";
import type { Held } from "./hold.ts";
import type { EmitMiddleware, HandlerMiddleware } from "./middleware.ts";
import type { NodeStyleEmitter } from "./node-emitter.ts";
import type { EmitterSource, Pipe, PipeTarget } from "./pipe.ts";
import type { LifecycleSignals } from "./signals.ts";
import type { EventStream, StreamOptions } from "./stream.ts";
import type { Unsubscribe } from "./subscription.ts";
import type { WaitForOptions } from "./wait-for.ts";

/** Emits events of one type; without data where its input may be `undefined`. */
export type Emitter<Events, Inputs, Type extends EventType<Events> & keyof Inputs> = ((
	data: Inputs[Type],
	options?: EmitOptions,
) => Emission<EventOf<Type, Events>>) &
	(undefined extends Inputs[Type] ? () => Emission<EventOf<Type, Events>> : unknown);

export interface OnOptions {
	/** Ends the subscription when it fires; one that has fired already makes none. */
	readonly signal?: AbortSignal | undefined;
	/** Ends the subscription before its first call. Default false. */
	readonly once?: boolean | undefined;
	/** Higher runs earlier; equal ones in the order of registration. Default 0. */
	readonly priority?: number | undefined;
	/** Calls it first, before `on` returns, for at most so many past events, of types that the catalog retains. */
	readonly replay?: number | undefined;
}

export interface BusStats {
	/** Subscriptions, by pattern. */
	readonly subscriptions: Readonly<Record<string, number>>;
	readonly handlers: readonly (HandlerStats & { readonly name: string })[];
	/** Callbacks and appends to the outbox that have not settled, and events that handlers have not finished. */
	readonly open: number;
}

/**
 * A typed event bus. `Events` maps each event type to what consumers get, `Inputs` to what `emit` takes.
 *
 * In patterns `*` stands for exactly one segment of a type and `**` for any number, none included.
 */
export interface Bus<Events = Record<string, unknown>, Inputs = Events> {
	/**
	 * Registers a callback: it runs during `emit`, by priority, then in the order of registration over all patterns.
	 * A callback removed during an emit still runs in that emit; one added does not. An error in it spares the
	 * others and the emitter: it goes to `onError` once and stands in the report.
	 *
	 * Throws ERR_CALLHOOK_INVALID_PATTERN, ERR_CALLHOOK_UNKNOWN_EVENT_TYPE, ERR_CALLHOOK_MISSING_NAME,
	 * ERR_CALLHOOK_INVALID_OPTION or ERR_CALLHOOK_CLOSED.
	 *
	 * @example
	 * ```ts
	 * const off = bus.on("order.*", (data, event) => console.log(event.type, data.orderId));
	 * ```
	 */
	on<const Text extends string, Result>(
		pattern: CheckedPattern<Events, Text>,
		callback: (
			data: Events[MatchingType<Events, Text>],
			event: EventOf<MatchingType<Events, Text>, Events>,
		) => Result,
		options?: OnOptions,
	): Unsubscribe<Awaited<Result>>;
	/** The same as `on` with `once: true`. */
	once<const Text extends string, Result>(
		pattern: CheckedPattern<Events, Text>,
		callback: (
			data: Events[MatchingType<Events, Text>],
			event: EventOf<MatchingType<Events, Text>, Events>,
		) => Result,
		options?: Omit<OnOptions, "once">,
	): Unsubscribe<Awaited<Result>>;
	/** Ends every subscription of this callback or handler function under this pattern. */
	off<const Text extends string>(
		pattern: CheckedPattern<Events, Text>,
		callback: (...args: never[]) => unknown,
	): void;
	/**
	 * Registers a handler: it runs behind `emit`, never inside it, in the AsyncLocalStorage context of the emit. An
	 * event it gives up goes to `onError` once and stands in the report. Throws as `on` does.
	 *
	 * @example
	 * ```ts
	 * bus.handle("order.paid", async (data, { signal }) => sendReceipt(data, { signal }), {
	 *   concurrency: 4,
	 *   key: (data) => data.orderId,
	 *   retry: { attempts: 5 },
	 * });
	 * ```
	 */
	handle<const Text extends string, Result, Batch extends BatchOptions | undefined = undefined>(
		pattern: CheckedPattern<Events, Text>,
		handler: (
			data: Batch extends BatchOptions
				? readonly Events[MatchingType<Events, Text>][]
				: Events[MatchingType<Events, Text>],
			context: Batch extends BatchOptions
				? BatchContext<EventOf<MatchingType<Events, Text>, Events>>
				: HandlerContext<EventOf<MatchingType<Events, Text>, Events>>,
		) => Result,
		options?: HandleOptions<
			Events[MatchingType<Events, Text>],
			EventOf<MatchingType<Events, Text>, Events>,
			Batch
		>,
	): HandlerSubscription<Awaited<Result>>;
	/**
	 * Emits an event: validates it, runs the callbacks, queues it for the handlers and hands it to the outbox.
	 *
	 * Throws before anything ran: ERR_CALLHOOK_UNKNOWN_EVENT_TYPE, ERR_CALLHOOK_INVALID_EVENT_TYPE,
	 * ERR_CALLHOOK_MISSING_NAME, ERR_CALLHOOK_INVALID_DATA, ERR_CALLHOOK_ASYNC_SCHEMA,
	 * ERR_CALLHOOK_NOT_SERIALIZABLE, ERR_CALLHOOK_INVALID_OPTION or ERR_CALLHOOK_CLOSED. Nothing a consumer does
	 * makes it throw.
	 */
	emit<Type extends EventType<Events> & keyof Inputs>(
		type: Type,
		data: Inputs[Type],
		options?: EmitOptions,
	): Emission<EventOf<Type, Events>>;
	/** The same without data, for a type whose input may be `undefined`. */
	emit<const Type extends EventType<Events> & keyof Inputs>(
		type: DatalessType<Inputs, Type>,
	): Emission<EventOf<Type, Events>>;
	/** Binds `emit` to one type: the hottest path. Throws as `emit` does for a bad type. */
	emitter<Type extends EventType<Events> & keyof Inputs>(type: Type): Emitter<Events, Inputs, Type>;
	/**
	 * Resolves with the next event that matches. `await waitFor(a); await waitFor(b)` does not miss a `b` that was emitted
	 * synchronously behind `a`: such events, up to the next microtask, still count for a wait that is begun in a later
	 * microtask of the same turn of the event loop. Rejects with ERR_CALLHOOK_TIMEOUT, with the signal's reason, with what
	 * `where` throws, or with ERR_CALLHOOK_CLOSED when the bus closes; throws as `on` does.
	 *
	 * @example
	 * ```ts
	 * const paid = await bus.waitFor("order.paid", { where: ({ data }) => data.orderId === "o_1", timeoutMs: 5_000 });
	 * ```
	 */
	waitFor<const Text extends string>(
		pattern: CheckedPattern<Events, Text>,
		options?: WaitForOptions<EventOf<MatchingType<Events, Text>, Events>>,
	): Promise<EventOf<MatchingType<Events, Text>, Events>>;
	/**
	 * The events from now on, to be read in a loop at one's own pace; what is not read yet waits in a buffer with a limit.
	 * Ends when the loop is left, when the signal fires and when the bus closes, then behind what it holds.
	 *
	 * @example
	 * ```ts
	 * for await (const event of bus.stream("order.*", { buffer: 1_000 })) console.log(event.type);
	 * ```
	 */
	stream<const Text extends string>(
		pattern: CheckedPattern<Events, Text>,
		options?: StreamOptions,
	): EventStream<EventOf<MatchingType<Events, Text>, Events>>;
	/**
	 * Holds events back together: what is emitted through it runs nothing until it is released, as when a database
	 * transaction is committed.
	 */
	hold(): Held<Events, Inputs>;
	/** Delivers what was emitted on a bus that was created with `startHeld`, and from then on everything at once. */
	release(): void;
	/**
	 * Puts a middleware around every attempt of every handler or, with `around: "emit"`, around the delivery of every
	 * event; inside of those before it. Returns how to take it out again.
	 */
	use(middleware: HandlerMiddleware, options?: { readonly around?: "handler" | undefined }): Unsubscribe;
	use(middleware: EmitMiddleware, options: { readonly around: "emit" }): Unsubscribe;
	/**
	 * Emits what comes from elsewhere: from an emitter or an EventTarget, with an event type for each of its names, or from
	 * an async iterable, with one type for its items, which are read no faster than they are accepted. A CustomEvent gives
	 * its `detail`, several arguments become a list. Bad data goes to `onError`, never into the source.
	 *
	 * @example
	 * ```ts
	 * bus.pipeFrom(socket, { message: "chat.said", close: { type: "chat.left", data: (code) => ({ code }) } });
	 * bus.pipeFrom(readLines(file), "line.read");
	 * ```
	 */
	// One signature: of two the compiler's message tells both, whichever was meant.
	pipeFrom<Target extends (EventType<Events> & keyof Inputs) | Readonly<Record<string, PipeTarget<Inputs>>>>(
		source: Target extends keyof Inputs ? AsyncIterable<Inputs[Target]> : EmitterSource | EventTarget,
		target: Target,
	): Pipe;
	/** The bus as an EventTarget: events as CustomEvents with the data as `detail`; what is dispatched is emitted. */
	toEventTarget(): EventTarget;
	/**
	 * The bus as an emitter in Node's style, for libraries that want one and for `events.once` and `events.on`. Listeners
	 * get the data and the event; unlike Node's, one that throws spares the others and the emitter.
	 */
	toEventEmitter(): NodeStyleEmitter;
	/** The events that handlers gave up. */
	readonly deadLetters: DeadLetters;
	/** Watches the life of events. An observer that throws hurts nobody; its error goes to `onError`. */
	observe<Name extends keyof LifecycleSignals>(
		signal: Name,
		observer: (info: LifecycleSignals[Name]) => unknown,
	): Unsubscribe;
	/** For adapters: the store and the registration of outbox targets; `undefined` without a store. */
	readonly outbox: OutboxDoor | undefined;
	/** The event types; `undefined` where the bus has types only. */
	readonly catalog: Catalog | undefined;
	/** @internal Carries the types; never there at run time. */
	readonly $types?: { readonly events: Events } | undefined;
	stats(): BusStats;
	/**
	 * Resolves once nothing is open: callbacks, handlers with their retries, delayed and held events, appends to the
	 * outbox, and all that the store has for durable handlers of this bus.
	 */
	idle(): Promise<void>;
	/**
	 * Waits until callbacks, handlers with their retries, delayed and held events and appends to the outbox have ended,
	 * then closes the intake and stops the outbox targets. Durable handlers end what they are at and begin nothing new. While consumers still run, emits are accepted, since they may be theirs.
	 * After `timeoutMs` (default: no limit) it closes the intake all the same and reports what is left.
	 */
	drain(options?: { readonly timeoutMs?: number | undefined }): Promise<DrainReport>;
	/**
	 * Closes at once: refuses emits, gives up what handlers have queued, fires the signals of what runs, ends the
	 * attempts of outbox targets and removes all subscriptions. Does not wait for functions that ignore their signal
	 * nor for the store. May be called again. Drain first to lose nothing.
	 */
	close(): Promise<void>;
	/** Drains without a time limit, then closes. */
	[Symbol.asyncDispose](): Promise<void>;
}
