import { CallhookError } from "../errors.ts";
import type { Catalog, Pattern } from "../event/index.ts";
import { onAbort } from "../internal/on-abort.ts";
import { checkBoolean, checkNumber, checkOptions, checkSignal, invalidOption } from "../internal/options.ts";
import type { Gate } from "../lanes/index.ts";
import { type Outbox, storeRequired } from "../outbox/index.ts";
import type { OnOptions } from "./bus.ts";
import type { BusCore } from "./core.ts";
import { DurableHandler } from "./durable-handler.ts";
import { createDurableSubscription } from "./durable-subscription.ts";
import { type HandleOptions, type HandlerSettings, readHandleOptions } from "./handler-options.ts";
import { HandlerQueue } from "./handler-queue.ts";
import { createHandlerSubscription, type HandlerSubscription } from "./handler-subscription.ts";
import type { AnyCallback, QueuedEvent } from "./plan.ts";
import type { Registry } from "./registry.ts";
import { type RetainedEvents, replayTo } from "./retained-events.ts";
import { checkCallback, createUnsubscribe, type Unsubscribe } from "./subscription.ts";

const longestTimerMs = 2_147_483_647;

export type AnyFunction = (...args: never[]) => unknown;

/** What subscriptions are made with. */
export interface SubscriberParts {
	readonly core: BusCore;
	readonly registry: Registry;
	readonly retained: RetainedEvents;
	/** The ceiling over all handlers. */
	readonly gate: Gate | undefined;
	readonly outbox: Outbox | undefined;
	readonly catalog: Catalog | undefined;
	/** Throws when the bus is closed or the pattern matches nothing. */
	readPattern(text: string, where: string): Pattern;
}

/** Makes subscriptions and knows the handlers. */
export class Subscriber {
	/** The handlers that have not ended. */
	readonly handlers: Set<HandlerQueue> = new Set();
	readonly durable: Map<DurableHandler, HandlerSubscription> = new Map();
	readonly #parts: SubscriberParts;

	constructor(parts: SubscriberParts) {
		this.#parts = parts;
	}

	on(text: string, callback: AnyFunction, options: OnOptions = {}, isOnce = false): Unsubscribe {
		const { core, registry, retained, readPattern } = this.#parts;
		const pattern = readPattern(text, "on()");
		checkCallback(callback);
		checkOptions("on", options, ["signal", "once", "priority", "replay"], ", and no `this`");
		const { signal, once = false, priority = 0, replay = 0 } = options;
		checkBoolean("once", once);
		checkNumber("priority", priority, { min: Number.MIN_SAFE_INTEGER, integer: false });
		checkNumber("replay", replay, { min: 0 });
		if (replay > 0 && !this.#isRetained(pattern)) {
			throw invalidOption("replay", "left out: the catalog says `retain` of no such type", replay);
		}
		checkSignal("signal", signal);
		if (signal?.aborted === true) return createUnsubscribe(() => undefined);
		const target = (once || isOnce ? onlyOnce(callback, () => unsubscribe()) : callback) as AnyCallback;
		let hasEnded = false;
		const onEnd = (): void => {
			hasEnded = true;
			stopListening?.();
		};
		const unsubscribe = registry.add({ pattern, priority, callback, target, onEnd });
		const stopListening = signal && onAbort(signal, unsubscribe);
		registry.announce(text);
		if (replay > 0) replayTo(target, retained.last(pattern, replay), text, core, () => hasEnded);
		return unsubscribe;
	}

	handle(text: string, handler: AnyFunction, options?: HandleOptions<never, never>): HandlerSubscription {
		const { core, registry, gate, readPattern } = this.#parts;
		const { handlers } = this;
		const pattern = readPattern(text, "handle()");
		if (typeof handler !== "function") throw invalidOption("handler", "a function", handler);
		const settings = readHandleOptions(options, handler.name || text);
		if (settings.durable) return this.#handleDurably(pattern, handler, settings);
		const queue = new HandlerQueue(core, handler as never, settings, gate);
		const onEnd = (): void => void queue.finished().then(() => handlers.delete(queue));
		const subscription = createHandlerSubscription(queue, () => unsubscribe());
		const registration = { pattern, priority: 0, callback: handler, target: queue, subscription, onEnd };
		const unsubscribe = registry.add(registration);
		handlers.add(queue);
		registry.announce(text);
		return subscription;
	}

	#handleDurably(pattern: Pattern, handler: AnyFunction, settings: HandlerSettings): HandlerSubscription {
		const { core, registry, gate, outbox, catalog } = this.#parts;
		if (outbox === undefined) throw storeRequired(`handle() of the durable handler "${settings.name}"`);
		const durable = new DurableHandler(core, handler as never, settings, catalog);
		const target = outbox.door.register(durable.target(pattern, gate));
		const subscription = createDurableSubscription(durable, target, () => unsubscribe());
		const onEnd = (): void => {
			this.durable.delete(durable);
			void target.remove(longestTimerMs);
		};
		// The event comes by way of the outbox; this is for its key, and for `off`, `close` and `stats`.
		const registration = { pattern, priority: 0, callback: handler, target: durable };
		const unsubscribe = registry.add({ ...registration, subscription, onEnd });
		this.durable.set(durable, subscription);
		return subscription;
	}

	#isRetained(pattern: Pattern): boolean {
		const { catalog } = this.#parts;
		return catalog?.types.some((type) => pattern.matches(type) && catalog.get(type)?.retain) === true;
	}

	/** Queues an event for the handler that gave it up, else for one of its name; answers whether there is one. */
	requeue(name: string, event: QueuedEvent, owner: object | undefined): boolean {
		const open = [...this.handlers].filter((handler) => !handler.isEnding);
		const queue =
			open.find((handler) => handler.owns(owner)) ?? open.find((handler) => handler.name === name);
		queue?.requeue(event);
		return queue !== undefined;
	}

	/** Gives up what the handlers have queued. */
	abort(): void {
		const reason = new CallhookError("ERR_CALLHOOK_STOPPED", "The bus was closed", { what: "bus" });
		for (const queue of this.handlers) queue.abort(reason);
		for (const handler of this.durable.keys()) handler.abort(reason);
		this.handlers.clear();
	}
}

/** Ends the subscription before the first call and lets no second one through, nested emits included. */
function onlyOnce(callback: AnyFunction, end: () => void): AnyFunction {
	let hasRun = false;
	return (...args) => {
		if (hasRun) return undefined;
		hasRun = true;
		end();
		return callback(...args);
	};
}
