import { type EmitOptions, validate } from "../event/index.ts";
import { type AsyncScope, openAsyncScope } from "../internal/async-scope.ts";
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
export class Dispatcher {
	/** Where all events wait, while the bus is held. */
	holdAll: HoldBack | undefined;
	readonly #parts: DispatcherParts;
	/** Emissions with a delay. */
	readonly #delayed = new Set<EmissionRecord>();

	constructor(parts: DispatcherParts) {
		this.#parts = parts;
	}

	/** The hot path of `emit`: callbacks only, and nothing to check. */
	dispatch(channel: Channel, data: unknown, options: EmitOptions | undefined): EmissionRecord {
		const plan = channel.plan ?? this.#parts.registry.plan(channel);
		if (!plan.isPlain || options !== undefined) return this.dispatchFully(plan, data, options, this.holdAll);
		const emission = new EmissionRecord(plan, data, undefined);
		const cause = plan.core.causes.current();
		if (cause !== undefined) emission.setCause(cause);
		emission.runCallbacks(plan.callbacks, data);
		return emission;
	}

	/** Checks everything, then delivers the event, or leaves that to `holdBack` or to a timer. */
	dispatchFully(
		plan: Plan,
		input: unknown,
		given: EmitOptions | undefined,
		holdBack: HoldBack | undefined,
	): EmissionRecord {
		const { core, checkOpen } = this.#parts;
		const { type, definition, outboxTargets } = plan;
		if (given !== undefined) checkEmitOptions(given);
		const data = definition === undefined ? input : validate(type, definition.schema, input);
		const options = settleEmitOptions(plan, data, given);
		// The schema and the key are the user's code, which may have closed the bus.
		checkOpen();
		// Written before anything runs, so that nobody can change what the outbox keeps.
		const payload = outboxTargets.length > 0 ? serialize(type, data, options?.metadata) : undefined;
		const emission = new EmissionRecord(plan, data, options);
		const cause = core.causes.current();
		if (cause !== undefined) emission.setCause(cause);
		const isDelayed = given?.delayMs !== undefined || given?.at !== undefined;
		if (holdBack === undefined && !isDelayed) {
			this.#deliver(plan, emission, payload, openScope(plan));
			return emission;
		}
		const scope = openAsyncScope();
		const deliver = (): void => this.#deliverLater(emission, payload, scope);
		const delayOrDeliver = isDelayed ? () => this.#delay(emission, delayOf(given, core), deliver) : deliver;
		if (holdBack === undefined) delayOrDeliver();
		else holdBack(emission, delayOrDeliver);
		return emission;
	}

	/** Takes back every event that waits for its time. */
	cancelDelayed(): void {
		for (const emission of this.#delayed) emission.cancel();
	}

	#delay(emission: EmissionRecord, delayMs: number, deliver: () => void): void {
		const { clock } = this.#parts.core;
		const end = (): void => void this.#delayed.delete(emission);
		const timer = clock.setTimeout(() => {
			end();
			deliver();
		}, delayMs);
		this.#delayed.add(emission);
		emission.wait(() => {
			clock.clearTimeout(timer);
			end();
		});
	}

	/** Whoever subscribed in the meantime gets the event too. */
	#deliverLater(emission: EmissionRecord, payload: EventPayload | undefined, scope: AsyncScope): void {
		const { registry, core } = this.#parts;
		try {
			const plan = registry.plan(registry.channel(emission.type));
			emission.deliver(plan, () =>
				scope.runInAsyncScope(() => this.#deliver(plan, emission, payload, scope), undefined),
			);
		} catch (error) {
			// Nobody called `emit` just now who could be told.
			core.report(error, { source: "outbox", name: "append", event: emission });
		}
	}

	#deliver(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		const { emitMiddleware, core } = this.#parts;
		const deliver = (): void => this.#deliverToConsumers(plan, emission, payload, scope);
		if (emitMiddleware.length === 0) return deliver();
		const isDelivered = runEmitOnion(
			emitMiddleware,
			emission,
			(metadata) => emission.addMetadata(metadata),
			deliver,
			(error) => core.report(error, { source: "middleware", name: "emit", event: emission }),
		);
		if (!isDelivered) emission.veto();
	}

	#deliverToConsumers(
		plan: Plan,
		emission: EmissionRecord,
		payload: EventPayload | undefined,
		scope: AsyncScope | undefined,
	): void {
		const { core, outbox, retained } = this.#parts;
		const { data } = emission;
		retained.add(plan, emission);
		emission.runCallbacks(plan.callbacks, data);
		for (const tap of plan.taps) tap.take(emission);
		if (scope !== undefined) {
			for (const [index, queue] of plan.handlers.entries()) queue.enqueue(emission, index, scope);
		}
		if (plan.outboxTargets.length === 0 || outbox === undefined) return;
		const { enrichedMetadata } = emission;
		// `payload` lacks what middleware added, and there is none where the target came while the event waited.
		let written = payload ?? serialize(plan.type, data, emission.metadata);
		if (payload !== undefined && enrichedMetadata !== undefined) {
			written = { ...payload, metadataJson: serialize(plan.type, null, enrichedMetadata).metadataJson };
		}
		core.work.begin();
		emission.setStored(outbox.append(emission, written, plan.outboxTargets, emission.idempotencyKey));
	}
}

/** The context of the emit, which only handlers need. */
function openScope({ handlers }: Plan): AsyncScope | undefined {
	return handlers.length > 0 ? openAsyncScope() : undefined;
}

function delayOf({ delayMs = 0, at }: EmitOptions, { clock }: BusCore): number {
	return at === undefined ? delayMs : Math.max(0, new Date(at).getTime() - clock.now());
}
