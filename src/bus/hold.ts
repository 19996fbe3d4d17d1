import type { DatalessType, EmitOptions, EventOf, EventType } from "../event/index.ts";
import type { Dispatcher, HeldBack, HoldBack } from "./dispatcher.ts";
import type { Emission } from "./emission.ts";
import type { EmissionRecord } from "./emission-record.ts";
import { dispose } from "./subscription.ts";

/** Events that are held back together, such as those of a database transaction until it is committed. */
export interface Held<Events = Record<string, unknown>, Inputs = Events> {
	/** As `emit` of the bus, with every check; but nothing runs until `release`. */
	emit<Type extends EventType<Events> & keyof Inputs>(
		type: Type,
		data: Inputs[Type],
		options?: EmitOptions,
	): Emission<EventOf<Type, Events>>;
	/** The same without data, for a type whose input may be `undefined`. */
	emit<const Type extends EventType<Events> & keyof Inputs>(
		type: DatalessType<Inputs, Type>,
	): Emission<EventOf<Type, Events>>;
	/** How many events wait. */
	readonly size: number;
	/** Delivers what waits, in order; what is emitted from then on waits for the next release. */
	release(): void;
	/**
	 * Keeps what waits in the outbox as part of the caller's own database transaction: committed, webhooks and durable
	 * handlers get it even if the process dies on the next line; rolled back, they never do. `tx` is what the store
	 * takes. Behind the commit `release` delivers to everybody else; behind a rollback `discard`. Events that no
	 * outbox target takes are left as they are. Middleware around emit runs at the release, so it neither vetoes nor
	 * enriches what is stored here.
	 *
	 * Rejects with ERR_CALLHOOK_STORE_REQUIRED, ERR_CALLHOOK_INVALID_OPTION for what is no transaction,
	 * ERR_CALLHOOK_NOT_SERIALIZABLE, ERR_CALLHOOK_CLOSED or the database's error.
	 */
	store(tx: unknown): Promise<void>;
	/** Cancels what waits: their reports say `cancelled`. */
	discard(): void;
	/** The same as `discard`: a block that is left without a release has failed. */
	[Symbol.dispose](): void;
}

/** Makes the holds of a bus. */
export interface Holds {
	hold(): Held;
	/** Cancels what waits in any of them. */
	discardAll(): void;
}

type EmitHeld = (
	type: string,
	data: unknown,
	options: EmitOptions | undefined,
	holdBack: HoldBack,
) => Emission;

export function createHold(checkOpen: () => void, emit: EmitHeld, storeHeld: Dispatcher["storeHeld"]): Holds {
	/** Those with something in them. */
	const filled = new Set<HoldList>();
	return {
		hold() {
			checkOpen();
			const list = createHoldList(checkOpen, (isEmpty) => {
				if (isEmpty) filled.delete(list);
				else filled.add(list);
			});
			const held: Omit<Held, "emit"> & { emit: unknown } = {
				emit: (type: string, data: unknown, options?: EmitOptions) =>
					emit(type, data, options, list.holdBack),
				get size() {
					return list.size;
				},
				release: list.release,
				async store(tx) {
					checkOpen();
					await storeHeld(tx, list.waiting);
				},
				discard: list.discard,
				[dispose]: list.discard,
			};
			return held as Held;
		},
		discardAll() {
			for (const list of filled) list.discard();
		},
	};
}

/** Keeps events back until they are released. */
export interface HoldList {
	readonly holdBack: HoldBack;
	readonly waiting: ReadonlyMap<EmissionRecord, HeldBack>;
	readonly size: number;
	release(): void;
	discard(): void;
}

export function createHoldList(checkOpen: () => void, onChange?: (isEmpty: boolean) => void): HoldList {
	const waiting = new Map<EmissionRecord, HeldBack>();
	const remove = (emission: EmissionRecord): void => {
		waiting.delete(emission);
		if (waiting.size === 0) onChange?.(true);
	};
	return {
		waiting,
		holdBack(emission, held) {
			waiting.set(emission, held);
			onChange?.(false);
			emission.wait(() => remove(emission));
		},
		get size() {
			return waiting.size;
		},
		release() {
			checkOpen();
			// A consumer of the first may cancel the second, release again, or hold back a third for the next release.
			for (const [emission, held] of [...waiting]) {
				if (!waiting.has(emission)) continue;
				remove(emission);
				held.deliver();
			}
		},
		discard() {
			for (const emission of waiting.keys()) emission.discard();
		},
	};
}
