import { CallhookError } from "../errors.ts";
import {
	checkName,
	createPattern,
	type EmitOptions,
	invalidEventType,
	invalidPattern,
	isEventType,
	listTypes,
	type Pattern,
	unknownEventType,
} from "../event/index.ts";
import { systemClock } from "../internal/clock.ts";
import { createGate } from "../lanes/index.ts";
import { createOutbox, readOutboxOptions } from "../outbox/index.ts";
import type { Bus } from "./bus.ts";
import { type BusOptions, checkBusOptions } from "./bus-options.ts";
import { Causes } from "./causes.ts";
import { type BusCore, createErrorSink } from "./core.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createDispatcher } from "./dispatcher.ts";
import { drain } from "./drain.ts";
import { withDurableLetters } from "./durable-dead-letters.ts";
import { createBusEventTarget } from "./event-target.ts";
import type { HandleOptions } from "./handler-options.ts";
import { asyncDispose } from "./handler-subscription.ts";
import { createHold, createHoldList } from "./hold.ts";
import { createLeakWarning } from "./leak-warning.ts";
import { createMiddlewareLists } from "./middleware.ts";
import { createNodeStyleEmitter } from "./node-emitter.ts";
import { OpenWork } from "./open-work.ts";
import { createPipe } from "./pipe.ts";
import type { Tap } from "./plan.ts";
import { createRegistry } from "./registry.ts";
import { createRetainedEvents } from "./retained-events.ts";
import { createSignals } from "./signals.ts";
import { createStreams } from "./stream.ts";
import { type AnyFunction, Subscriber } from "./subscribe.ts";
import { checkCallback, type Unsubscribe } from "./subscription.ts";
import { createWaiter } from "./wait-for.ts";

/**
 * Creates a bus: with a catalog, whose schemas check every emit, or with types only.
 *
 * Throws ERR_CALLHOOK_INVALID_OPTION.
 *
 * @example
 * ```ts
 * const bus = createBus({ events: defineEvents({ "order.paid": z.object({ orderId: z.string() }) }) });
 * const typesOnly = createBus<{ "order.paid": { orderId: string } }>();
 * ```
 */
export function createBus<Events = Record<string, unknown>, Inputs = Events>(
	options?: BusOptions<Events, Inputs>,
): Bus<Events, Inputs>;
export function createBus(options: BusOptions = {}): unknown {
	checkBusOptions(options);
	const { events: catalog, source = "/", store, concurrency, clock = systemClock } = options;
	const { logger = console, maxListeners = 100, deadLetterLimit = 1_000, trackCauses = true } = options;
	const report = createErrorSink(options.onError);
	const signals = createSignals((error, name) => report(error, { source: "observer", name }));
	const middleware = createMiddlewareLists(() => registry.forgetPlans());
	const deadLetters = createDeadLetters(
		deadLetterLimit,
		() => core,
		(name, event, owner) => subscriber.requeue(name, event, owner),
		checkOpen,
	);
	const core: BusCore = {
		...{ source, clock, startedAtMs: clock.now(), signals, report, deadLetters },
		work: new OpenWork(),
		causes: new Causes(trackCauses),
		handlerMiddleware: middleware.handler,
	};
	let isOpen = true;

	const outbox =
		store &&
		createOutbox({
			...{ store, clock, catalog, settings: readOutboxOptions(options.outbox) },
			versionOf: (type) => catalog?.get(type)?.version,
			readPattern: (text) => readPattern(text, "forward"),
			onAppended(emitted, error) {
				for (const event of emitted) {
					if (error !== undefined) report(error, { source: "outbox", name: "append", event });
					core.work.end();
				}
			},
			onChange: () => registry.forgetPlans(),
			report: (error, name) => report(error, { source: "outbox", name }),
			send: signals.send,
		});
	const registry = createRegistry({
		core,
		checkType,
		definitionOf: (type) => catalog?.get(type),
		outboxTargetsOf: (type) => outbox?.targetsOf(type) ?? [],
		isGuarded: () => middleware.emit.length > 0 || dispatcher.holdAll !== undefined,
		onAdd: createLeakWarning(maxListeners, logger, signals, (error) =>
			report(error, { source: "observer", name: "subscription:leak" }),
		),
	});
	const retained = createRetainedEvents();
	const dispatcher = createDispatcher({
		...{ core, registry, outbox, retained, checkOpen },
		emitMiddleware: middleware.emit,
	});
	const gate = concurrency === undefined ? undefined : createGate(concurrency);
	const subscriber = new Subscriber({ core, registry, retained, gate, outbox, catalog, readPattern });
	const waiter = createWaiter({ clock, readPattern, tap });
	const streams = createStreams({ readPattern, tap, signals });
	const holds = createHold(
		checkOpen,
		(type, data, emitOptions, holdBack) =>
			dispatcher.dispatchFully(registry.plan(registry.channel(type)), data, emitOptions, holdBack),
		dispatcher.storeHeld,
	);
	const startHold = createHoldList(checkOpen);
	const pipes = new Set<Unsubscribe>();
	const emit = (type: string, data: unknown, emitOptions?: EmitOptions) =>
		dispatcher.dispatch(registry.channel(type), data, emitOptions);
	const untyped = {
		emit,
		on: (text: string, callback: AnyFunction, onOptions?: object) => subscriber.on(text, callback, onOptions),
	};
	if (options.startHeld === true) dispatcher.holdAll = startHold.holdBack;

	function checkOpen(): void {
		if (isOpen) return;
		throw new CallhookError("ERR_CALLHOOK_CLOSED", "The bus is closed", { what: "bus" });
	}

	function checkType(type: unknown): void {
		checkOpen();
		checkName(type, "emit()");
		if (catalog !== undefined && catalog.get(type) === undefined) throw unknownEventType(type, catalog.types);
		if (!isEventType(type)) throw invalidEventType(type, "emit()");
	}

	function readPattern(text: string, where: string): Pattern {
		checkOpen();
		const pattern = createPattern(text, where);
		if (catalog === undefined || catalog.types.some((type) => pattern.matches(type))) return pattern;
		if (pattern.isExact) throw unknownEventType(text, catalog.types);
		throw invalidPattern(text, where, `the catalog has only ${listTypes(catalog.types)}`);
	}

	/** Shows events to somebody who is no consumer. */
	function tap(pattern: Pattern, target: Tap, priority = 0): Unsubscribe {
		return registry.add({ pattern, priority, callback: target, target });
	}

	function handlerStats(): ReturnType<Bus["stats"]>["handlers"] {
		return [...subscriber.handlers, ...subscriber.durable.values()].map((handler) => ({
			...{ name: handler.name, ...handler.stats() },
		}));
	}

	function closeIntake(): void {
		isOpen = false;
		for (const end of pipes) end();
		registry.forgetPlans();
		streams.end();
		waiter.close();
	}

	function cancelWaiting(): void {
		dispatcher.cancelDelayed();
		startHold.discard();
		holds.discardAll();
	}

	const drainBus = (drainOptions: { readonly timeoutMs?: number | undefined } = {}) =>
		drain(drainOptions, {
			...{ work: core.work, clock, outbox, closeIntake, cancelWaiting, handlerStats },
			flush() {
				for (const queue of subscriber.handlers) queue.flush();
				// What the store has for them is for the next process.
				for (const subscription of subscriber.durable.values()) subscription.pause();
			},
		});

	async function idle(): Promise<void> {
		do {
			await core.work.idle();
			for (const subscription of subscriber.durable.values()) await subscription.idle();
			// A durable handler may have emitted.
		} while (core.work.count > 0);
	}

	async function close(): Promise<void> {
		closeIntake();
		cancelWaiting();
		subscriber.abort();
		registry.clear();
		await outbox?.close(0);
		signals.close();
	}

	return {
		...untyped,
		once: (text: string, callback: AnyFunction, onOptions?: object) =>
			subscriber.on(text, callback, onOptions, true),
		off(text: string, callback: AnyFunction) {
			checkName(text, "off()");
			checkCallback(callback);
			registry.remove(text, callback);
		},
		handle: (text: string, handler: AnyFunction, handleOptions?: HandleOptions<never, never>) =>
			subscriber.handle(text, handler, handleOptions),
		emitter(type: string) {
			checkOpen();
			const channel = registry.bind(type);
			return (data: unknown, emitOptions?: EmitOptions) => dispatcher.dispatch(channel, data, emitOptions);
		},
		waitFor: waiter.waitFor,
		stream: streams.open,
		hold: holds.hold,
		release() {
			if (dispatcher.holdAll === undefined) return;
			checkOpen();
			dispatcher.holdAll = undefined;
			registry.forgetPlans();
			startHold.release();
		},
		use: middleware.use,
		pipeFrom(from: unknown, target: unknown) {
			checkOpen();
			const reportPipe = (error: unknown, name: string): void => report(error, { source: "pipe", name });
			return createPipe(from, target, { emit, checkType, report: reportPipe, open: pipes });
		},
		toEventTarget: () => createBusEventTarget(untyped),
		toEventEmitter: () => createNodeStyleEmitter(untyped),
		deadLetters: store === undefined ? deadLetters : withDurableLetters(deadLetters, store),
		observe: signals.observe,
		...{ catalog, outbox: outbox?.door },
		stats: () => ({ subscriptions: registry.counts(), handlers: handlerStats(), open: core.work.count }),
		idle,
		drain: drainBus,
		close,
		async [asyncDispose]() {
			await drainBus();
			await close();
		},
	};
}
