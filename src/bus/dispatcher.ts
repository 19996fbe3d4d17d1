import { type EmitOptions, validate } from "../event/index.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
import type { Clock } from "../internal/clock.ts";
import { type EventPayload, type HeldEvent, type Outbox, serialize, storeRequired } from "../outbox/index.ts";
import type { BusCore } from "./core.ts";
import { EmissionRecord } from "./emission-record.ts";
import { checkEmitOptions, settleEmitOptions } from "./emit-options.ts";
import { type EmitMiddleware, runEmitOnion } from "./middleware.ts";
import type { EventQueue, Plan } from "./plan.ts";
import type { Channel, Registry } from "./registry.ts";
import type { RetainedEvents } from "./retained-events.ts";

/** What a {@link Dispatcher} works with. */
export interface DispatcherParts {
	readonly core: BusCore;
	readonly registry: Registry;
	readonly outbox: Outbox | undefined;
	readonly retained: RetainedEvents;
	readonly emitMiddleware: readonly EmitMiddleware[];
	/** Throws when the bus is closed. */
	checkOpen(): void;
}

/** An event that is held back. */
export interface HeldBack {
	/** What the outbox is to keep; `undefined` where no target took the event when it was emitted. */
	readonly payload: EventPayload | undefined;
	/** When it is to be delivered. */
	readonly dueAtMs: number;
	deliver(): void;
}

/** Holds events back: delivers each later, or never. */
export type HoldBack = (emission: EmissionRecord, held: HeldBack) => void;

/** Brings events from `emit` to their consumers. */
export interface Dispatcher {
	/** The hot path of `emit`: callbacks only, and nothing to check. */
	dispatch(channel: Channel, data: unknown, options: EmitOptions | undefined): EmissionRecord;
	/** Checks everything, then delivers the event, or leaves that to `holdBack` or to a timer. */
	dispatchFully(
		plan: Plan,
		input: unknown,
		given: EmitOptions | undefined,
		holdBack: HoldBack | undefined,
	): EmissionRecord;
	/** Where all events wait, while the bus is held. */
	holdAll: HoldBack | undefined;
	/** Keeps events that are held back in a transaction of the caller. */
	storeHeld(tx: unknown, held: ReadonlyMap<EmissionRecord, HeldBack>): Promise<void>;
	/** Takes back every event that waits for its time. */
	cancelDelayed(): void;
}

// Timers hold no more.
const longestTimerMs = 2_147_483_647;

export function createDispatcher(parts: DispatcherParts): Dispatcher {
	const { core, registry, outbox, retained, emitMiddleware, checkOpen } = parts;
	const { causes, clock } = core;
	const delayed = new Set<EmissionRecord>();

	function dispatch(channel: Channel, data: unknown, options: EmitOptions | undefined): EmissionRecord {
		const plan = channel.plan ?? registry.plan(channel);
		if (!plan.isPlain || options !== undefined) {
			return dispatchFully(plan, data, options, dispatcher.holdAll);
		}
		const emission = new EmissionRecord(plan, data, undefined);
		if (causes.mayHaveOne) setCause(emission);
		emission.runCallbacks(plan.callbacks, data, causes);
		return emission;
	}

	function setCause(emission: EmissionRecord): void {
		const cause = causes.current();
		if (cause !== undefined) emission.setCause(cause);
	}

	function dispatchFully(
		plan: Plan,
		input: unknown,
		given: EmitOptions | undefined,
		holdBack: HoldBack | undefined,
	): EmissionRecord {
		const { type, definition, outboxTargets } = plan;
		if (given !== undefined) checkEmitOptions(given);
		const data = definition === undefined ? input : validate(type, definition.schema, input);
		const options = settleEmitOptions(plan, data, given);
		// The schema and the key are the user's code, which may have closed the bus.
		checkOpen();
		// Written before anything runs, so that nobody can change what the outbox keeps.
		const payload = outboxTargets.length > 0 ? serialize(type, data, options?.metadata) : undefined;
		const emission = new EmissionRecord(plan, data, options);
		if (causes.mayHaveOne) setCause(emission);
		const isDelayed = given?.delayMs !== undefined || given?.at !== undefined;
		if (holdBack === undefined && !isDelayed) {
			// Only handlers need the context of the emit.
			deliverWith(plan, emission, payload, plan.handlers.length > 0 ? openAsyncScope() : undefined);
			return emission;
		}
		deliverOnceDue(emission, payload, given, isDelayed, holdBack);
		return emission;
	}

	// A function of its own, like `deliverInside`: the closures would cost every emit.
	function deliverOnceDue(
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		given: EmitOptions | undefined,
		isDelayed: boolean,
		holdBack: HoldBack | undefined,
	): void {
		const scope = openAsyncScope();
		const dueAtMs = dueAt(given, clock);
		const deliverNow = (): void => {
			// What was held by itself and is released while the bus is held waits on with all others.
			if (dispatcher.holdAll !== undefined)
				dispatcher.holdAll(emission, { payload, dueAtMs, deliver: deliverNow });
			else deliverLater(emission, payload, scope);
		};
		const deliver = isDelayed ? () => delay(emission, dueAtMs, deliverNow) : deliverNow;
		if (holdBack === undefined) deliver();
		else holdBack(emission, { payload, dueAtMs, deliver });
	}

	function delay(emission: EmissionRecord, dueAtMs: number, deliverNow: () => void): void {
		const delayMs = Math.max(0, dueAtMs - clock.now());
		const timer = clock.setTimeout(
			() => {
				delayed.delete(emission);
				if (delayMs > longestTimerMs) delay(emission, dueAtMs, deliverNow);
				else deliverNow();
			},
			Math.min(delayMs, longestTimerMs),
		);
		delayed.add(emission);
		emission.wait(() => {
			clock.clearTimeout(timer);
			delayed.delete(emission);
		});
	}

	/** Whoever subscribed in the meantime gets the event too. */
	function deliverLater(
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope,
	): void {
		const plan = registry.plan(registry.channel(emission.type));
		const inScope = (): void => deliverWith(plan, emission, payload, openAsyncScope());
		emission.deliver(plan, () => scope.runInAsyncScope(inScope, undefined));
	}

	function deliverWith(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		if (emitMiddleware.length === 0) deliverToConsumers(plan, emission, payload, scope);
		else deliverInside(plan, emission, payload, scope);
	}

	function deliverInside(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		const isDelivered = runEmitOnion(
			emitMiddleware,
			emission,
			(metadata) => emission.addMetadata(metadata),
			() => deliverToConsumers(plan, emission, payload, scope),
			(error) => core.report(error, { source: "middleware", name: "emit", event: emission }),
		);
		if (!isDelivered) emission.veto();
	}

	function deliverToConsumers(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		const { data } = emission;
		retained.add(plan, emission);
		// Ahead of the callbacks: they may emit too, and who waits or reads a stream sees events in the order of emission.
		for (const tap of plan.taps) tap.take(emission);
		emission.runCallbacks(plan.callbacks, data, causes);
		if (scope !== undefined) {
			const { handlers } = plan;
			for (let index = 0; index < handlers.length; index++) {
				// What one handler sets by `enterWith` must not reach the others.
				const own = index === 0 ? scope : scope.runInAsyncScope(openAsyncScope, undefined);
				(handlers[index] as EventQueue).enqueue(emission, index, own);
			}
		}
		if (plan.outboxTargets.length === 0 || outbox === undefined) return;
		if (emission.isStored) {
			// In a transaction of the caller, who has committed it.
			emission.setStored(Promise.resolve());
			outbox.wake();
			return;
		}
		try {
			const written = writePayload(emission, payload);
			core.work.begin();
			emission.setStored(outbox.append(emission, written, plan.outboxTargets, emission.idempotencyKey));
		} catch (error) {
			// The event itself was checked: it is what middleware added, or the target came while the event waited.
			const refused = Promise.reject(error);
			refused.catch(() => undefined);
			emission.setStored(refused);
			core.report(error, { source: "outbox", name: "append", event: emission });
		}
	}

	async function storeHeld(tx: unknown, held: ReadonlyMap<EmissionRecord, HeldBack>): Promise<void> {
		if (outbox === undefined) throw storeRequired("held.store()");
		const nowMs = clock.now();
		const emissions: EmissionRecord[] = [];
		const events: HeldEvent[] = [];
		for (const [emission, { payload, dueAtMs }] of held) {
			const { outboxTargets: targets } = registry.plan(registry.channel(emission.type));
			if (targets.length === 0 || emission.isStored) continue;
			emissions.push(emission);
			events.push({
				...{ event: emission, payload: writePayload(emission, payload), targets },
				...{ idempotencyKey: emission.idempotencyKey, delayMs: Math.max(0, dueAtMs - nowMs) },
			});
		}
		// At once, or what is cancelled while it is written would be delivered all the same.
		for (const emission of emissions) emission.markStored(true);
		try {
			await outbox.appendIn(tx, events);
		} catch (error) {
			for (const emission of emissions) emission.markStored(false);
			throw error;
		}
	}

	const dispatcher: Dispatcher = {
		dispatch,
		dispatchFully,
		storeHeld,
		holdAll: undefined,
		cancelDelayed() {
			for (const emission of delayed) emission.discard();
		},
	};
	return dispatcher;
}

/** `payload` lacks what middleware added, and there is none where the target came while the event waited. */
function writePayload(emission: EmissionRecord, payload: EventPayload | undefined): EventPayload {
	const { type, data, metadata, enrichedMetadata } = emission;
	if (payload === undefined) return serialize(type, data, metadata);
	if (enrichedMetadata === undefined) return payload;
	return { ...payload, metadataJson: serialize(type, null, enrichedMetadata).metadataJson };
}

function dueAt(options: EmitOptions | undefined, clock: Clock): number {
	return options?.at === undefined ? clock.now() + (options?.delayMs ?? 0) : new Date(options.at).getTime();
}
