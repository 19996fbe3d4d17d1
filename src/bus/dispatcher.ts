import { type EmitOptions, validate } from "../event/index.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
import type { Clock } from "../internal/clock.ts";
import { type EventPayload, type Outbox, serialize } from "../outbox/index.ts";
import type { BusCore } from "./core.ts";
import { EmissionRecord } from "./emission.ts";
import { checkEmitOptions, settleEmitOptions } from "./emit-options.ts";
import { type EmitMiddleware, runEmitOnion } from "./middleware.ts";
import type { Plan } from "./plan.ts";
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

/** Holds events back: calls `deliver` for each later, or never. */
export type HoldBack = (emission: EmissionRecord, deliver: () => void) => void;

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
			deliver(plan, emission, payload, plan.handlers.length > 0 ? openAsyncScope() : undefined);
			return emission;
		}
		const scope = openAsyncScope();
		const dueAtMs = dueAt(given, clock);
		const deliverNow = (): void => {
			// What was held by itself and is released while the bus is held waits on with all others.
			if (dispatcher.holdAll !== undefined) dispatcher.holdAll(emission, deliverNow);
			else deliverLater(emission, payload, scope);
		};
		const goOn = isDelayed ? () => delay(emission, dueAtMs, deliverNow) : deliverNow;
		if (holdBack === undefined) goOn();
		else holdBack(emission, goOn);
		return emission;
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
		const inScope = (): void => deliver(plan, emission, payload, scope);
		emission.deliver(plan, () => scope.runInAsyncScope(inScope, undefined));
	}

	function deliver(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		if (emitMiddleware.length === 0) return deliverToConsumers(plan, emission, payload, scope);
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
			for (const [index, queue] of plan.handlers.entries()) queue.enqueue(emission, index, scope);
		}
		if (plan.outboxTargets.length === 0 || outbox === undefined) return;
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

	const dispatcher: Dispatcher = {
		dispatch,
		dispatchFully,
		holdAll: undefined,
		cancelDelayed() {
			for (const emission of delayed) emission.cancel();
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
