import { CallhookError } from "../errors.ts";
import {
	type Catalog,
	checkName,
	createPattern,
	type EmitOptions,
	invalidEventType,
	invalidPattern,
	isEventType,
	type Pattern,
	unknownEventType,
	validate,
} from "../event/index.ts";
import { openAsyncScope } from "../internal/async-scope.ts";
import { systemClock } from "../internal/clock.ts";
import { onAbort } from "../internal/on-abort.ts";
import { checkDelayMs, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import { createGate } from "../lanes/index.ts";
import { createOutbox, serialize } from "../outbox/index.ts";
import type { Bus, DrainReport, OnOptions } from "./bus.ts";
import { type BusOptions, checkBusOptions } from "./bus-options.ts";
import { type BusCore, createErrorSink, OpenWork } from "./core.ts";
import { EmissionRecord } from "./emission.ts";
import { checkEmitOptions, settleEmitOptions } from "./emit-options.ts";
import { type HandleOptions, readHandleOptions } from "./handler-options.ts";
import { HandlerQueue } from "./handler-queue.ts";
import { asyncDispose, createHandlerSubscription, type HandlerSubscription } from "./handler-subscription.ts";
import type { AnyCallback, Plan } from "./plan.ts";
import { type Channel, createRegistry } from "./registry.ts";
import { createSignals } from "./signals.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

type AnyFunction = (...args: never[]) => unknown;

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
export function createBus<Events, Inputs>(
	options: BusOptions<Events, Inputs> & { readonly events: Catalog<Events, Inputs> },
): Bus<Events, Inputs>;
export function createBus<Events = Record<string, unknown>>(
	options?: BusOptions & { readonly events?: undefined },
): Bus<Events>;
export function createBus(options: BusOptions = {}): unknown {
	checkBusOptions(options);
	const { events: catalog, source = "/", store, concurrency, clock = systemClock } = options;
	const report = createErrorSink(options.onError ?? ((error) => console.error(error)));
	const signals = createSignals((error, name) => report(error, { source: "observer", name }));
	const gate = concurrency === undefined ? undefined : createGate(concurrency);
	const queues = new Set<HandlerQueue>();
	let isOpen = true;

	const outbox =
		store &&
		createOutbox({
			store,
			clock,
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
	const core: BusCore = { source, clock, startedAtMs: clock.now(), signals, report, work: new OpenWork() };
	const registry = createRegistry({
		core,
		checkType,
		definitionOf: (type) => catalog?.get(type),
		outboxTargetsOf: (type) => outbox?.targetsOf(type) ?? [],
	});

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
		throw invalidPattern(text, where, "no event type of the catalog matches it");
	}

	function dispatch(channel: Channel, data: unknown, emitOptions: EmitOptions | undefined): EmissionRecord {
		const plan = channel.plan ?? registry.plan(channel);
		if (!plan.isPlain || emitOptions !== undefined) return dispatchFully(plan, data, emitOptions);
		const emission = new EmissionRecord(plan, data, undefined);
		emission.runCallbacks(plan.callbacks, data);
		return emission;
	}

	function dispatchFully(plan: Plan, input: unknown, given: EmitOptions | undefined): EmissionRecord {
		const { type, definition, outboxTargets } = plan;
		if (given !== undefined) checkEmitOptions(given);
		const data = definition === undefined ? input : validate(type, definition.schema, input);
		const emitOptions = settleEmitOptions(plan, data, given);
		// The schema and the key are the user's code, which may have closed the bus.
		checkOpen();
		// Written before the callbacks run, so that none of them can change what the outbox keeps.
		const payload = outboxTargets.length > 0 ? serialize(type, data, emitOptions?.metadata) : undefined;
		const emission = new EmissionRecord(plan, data, emitOptions);
		emission.runCallbacks(plan.callbacks, data);
		if (plan.handlers.length > 0) queueForHandlers(plan, emission);
		if (payload !== undefined && outbox !== undefined) {
			const stored = outbox.append(emission, payload, outboxTargets, emitOptions?.idempotencyKey);
			core.work.begin();
			emission.setStored(stored);
		}
		return emission;
	}

	function queueForHandlers({ handlers }: Plan, emission: EmissionRecord): void {
		const scope = openAsyncScope();
		for (const [index, queue] of handlers.entries()) queue.enqueue(emission, index, scope);
	}

	function on(text: string, callback: AnyFunction, onOptions: OnOptions = {}): Unsubscribe {
		const pattern = readPattern(text, "on()");
		if (typeof callback !== "function") throw invalidOption("callback", "a function", callback);
		checkOptions("on", onOptions, ["signal", "once", "priority"]);
		const { signal, once, priority = 0 } = onOptions;
		checkNumber("priority", priority, { min: Number.MIN_SAFE_INTEGER, integer: false });
		if (signal !== undefined && typeof (signal as Partial<AbortSignal>)?.addEventListener !== "function") {
			throw invalidOption("signal", "an AbortSignal", signal);
		}
		if (signal?.aborted === true) return createUnsubscribe(() => undefined);
		const target = once === true ? onlyOnce(callback, () => unsubscribe()) : callback;
		const unsubscribe = registry.add({
			pattern,
			priority,
			callback,
			target: target as AnyCallback,
			onEnd: () => stopListening?.(),
		});
		const stopListening = signal && onAbort(signal, unsubscribe);
		return unsubscribe;
	}

	function handle(
		text: string,
		handler: AnyFunction,
		handleOptions?: HandleOptions<never, never>,
	): HandlerSubscription {
		const pattern = readPattern(text, "handle()");
		if (typeof handler !== "function") throw invalidOption("handler", "a function", handler);
		const settings = readHandleOptions(handleOptions, handler.name || text);
		const queue = new HandlerQueue(core, handler as never, settings, gate);
		const unsubscribe = registry.add({
			pattern,
			priority: 0,
			callback: handler,
			target: queue,
			onEnd: () => void queue.finished().then(() => queues.delete(queue)),
		});
		queues.add(queue);
		return createHandlerSubscription(queue, unsubscribe);
	}

	function handlerStats(): DrainReport["handlers"] {
		return [...queues].map((queue) => ({ name: queue.name, ...queue.stats() }));
	}

	function closeIntake(): void {
		isOpen = false;
		registry.forgetPlans();
	}

	async function drain(drainOptions: { readonly timeoutMs?: number | undefined } = {}): Promise<DrainReport> {
		checkOptions("drain", drainOptions, ["timeoutMs"]);
		const { timeoutMs } = drainOptions;
		checkDelayMs("timeoutMs", timeoutMs);
		let timer: unknown;
		let isLate = false;
		const timeout = new Promise<void>((resolve) => {
			if (timeoutMs === undefined) return;
			timer = clock.setTimeout(() => {
				isLate = true;
				resolve();
			}, timeoutMs);
		});
		const startedMs = clock.now();
		// Again when who awaited the last emission has emitted anew meanwhile.
		while (core.work.count > 0 && !isLate) await Promise.race([timeout, core.work.idle()]);
		clock.clearTimeout(timer);
		closeIntake();
		const leftMs =
			timeoutMs === undefined ? 2_147_483_647 : Math.max(0, timeoutMs - (clock.now() - startedMs));
		await outbox?.close(leftMs);
		return {
			isDrained: core.work.count === 0,
			left: core.work.count,
			handlers: handlerStats().filter(({ running, queued }) => running + queued > 0),
			deliveries: (await outbox?.countUnfinished()) ?? 0,
		};
	}

	async function close(): Promise<void> {
		closeIntake();
		const reason = new CallhookError("ERR_CALLHOOK_STOPPED", "The bus was closed", { what: "bus" });
		for (const queue of queues) queue.abort(reason);
		queues.clear();
		registry.clear();
		await outbox?.close(0);
		signals.close();
	}

	return {
		on,
		once: (text: string, callback: AnyFunction, onOptions?: Omit<OnOptions, "once">) =>
			on(text, callback, { ...onOptions, once: true }),
		off(text: string, callback: AnyFunction) {
			checkName(text, "off()");
			registry.remove(text, callback);
		},
		handle,
		emit: (type: string, data: unknown, emitOptions?: EmitOptions) =>
			dispatch(registry.channel(type), data, emitOptions),
		emitter(type: string) {
			checkOpen();
			const channel = registry.bind(type);
			return (data: unknown, emitOptions?: EmitOptions) => dispatch(channel, data, emitOptions);
		},
		observe: signals.observe,
		outbox: outbox?.door,
		stats: () => ({ subscriptions: registry.counts(), handlers: handlerStats(), open: core.work.count }),
		drain,
		close,
		async [asyncDispose]() {
			await drain();
			await close();
		},
	};
}

/** Ends the subscription before the first call and lets no second one through, nested emits included. */
function onlyOnce(callback: AnyFunction, end: () => void): (data: never, event: never) => unknown {
	let hasRun = false;
	return (data, event) => {
		if (hasRun) return undefined;
		hasRun = true;
		end();
		return callback(data, event);
	};
}
