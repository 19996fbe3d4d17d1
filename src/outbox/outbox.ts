import { CallhookError, isCallhookError } from "../errors.ts";
import { type BusEvent, type Catalog, matchAny, type Pattern } from "../event/index.ts";
import { createBatcher } from "../internal/batcher.ts";
import type { Clock } from "../internal/clock.ts";
import { invalidOption } from "../internal/options.ts";
import { createHousekeeping } from "./housekeeping.ts";
import type { OutboxSettings } from "./outbox-options.ts";
import type { NewDelivery, OutboxStore, StoredEvent } from "./ports.ts";
import { createRelay } from "./relay.ts";
import type { OutboxSignals } from "./signals.ts";
import { type EventPayload, toStoredEvent } from "./stored-event.ts";
import { namesOf, type TargetGroup } from "./target-group.ts";

/** A target group and the event types it takes. */
export interface TargetRegistration extends TargetGroup {
	/** Patterns; an event that matches one of them enters the outbox as a delivery to the group as such. */
	readonly accepts: readonly string[];
	/** Whether this process makes its deliveries, where the outbox makes any. Default true. */
	readonly deliver?: boolean | undefined;
}

/** A registered target group. */
export interface RegisteredTarget {
	/** Looks for due deliveries soon. */
	wake(): void;
	/** Resolves once no delivery of the group is pending, in flight or waiting. */
	idle(): Promise<void>;
	/** Starts no more deliveries, and gives back those that have not started. */
	pause(): void;
	resume(): void;
	/** Gives back the deliveries of one target, or of all, that have not started. */
	recall(target?: string): void;
	/** Deliveries of the group that this process has claimed and not settled. */
	inFlight(): number;
	/**
	 * Takes no more events and no more claims; gives back what has not started and waits for the rest, so long. Called
	 * again, it waits for the same end.
	 */
	remove(timeoutMs: number): Promise<void>;
}

/** The door through which adapters such as the webhook bridge reach the outbox of a bus. */
export interface OutboxDoor {
	readonly store: OutboxStore;
	readonly clock: Clock;
	/** The event types of the bus; `undefined` where it has types only. */
	readonly catalog: Catalog | undefined;
	/** Whether this process makes deliveries. */
	readonly delivers: boolean;
	/** Throws ERR_CALLHOOK_TARGET_EXISTS when the name is taken. */
	register(target: TargetRegistration): RegisteredTarget;
	/** Tells the observers of a signal, if there are any; only then is `info` made. */
	send<Name extends keyof OutboxSignals>(name: Name, info: () => OutboxSignals[Name]): void;
	/** An error that nobody else gets. */
	report(error: unknown, activity: string): void;
}

/** The outbox as the bus itself sees it. */
export interface Outbox {
	readonly door: OutboxDoor;
	/** The names of the groups that take a type. */
	targetsOf(type: string): readonly string[];
	/** Keeps an event for these groups; resolves once it is committed. One promise serves all events of a commit. */
	append(
		event: BusEvent,
		payload: EventPayload,
		targets: readonly string[],
		idempotencyKey: string | undefined,
	): Promise<unknown>;
	/** Keeps events in a transaction of the caller, who commits them or does not. */
	appendIn(tx: unknown, events: readonly HeldEvent[]): Promise<void>;
	/** Looks for due deliveries soon: others may have put some into the store. */
	wake(): void;
	/** How many deliveries the store holds that are not final; `undefined` when it cannot say. */
	countUnfinished(): Promise<number | undefined>;
	/** Stops every group. */
	close(timeoutMs: number): Promise<void>;
}

/** An event for a transaction of the caller. */
export interface HeldEvent {
	readonly event: BusEvent;
	readonly payload: EventPayload;
	readonly targets: readonly string[];
	readonly idempotencyKey: string | undefined;
	/** Not to be delivered before so many milliseconds from now. */
	readonly delayMs: number;
}

/** What an outbox works with. */
export interface OutboxParts {
	readonly store: OutboxStore;
	readonly settings: OutboxSettings;
	readonly clock: Clock;
	readonly catalog?: Catalog | undefined;
	/** Which version of its schema a type has; `undefined` where there is only one. */
	versionOf(type: string): number | undefined;
	/** Reads a pattern; throws when no type of the catalog matches it. */
	readPattern(text: string): Pattern;
	/** These events are committed or, when there is an error, are not; called once for each of them. */
	onAppended(events: readonly BusEvent[], error: unknown): void;
	/** The groups have changed, and so may have the answers of `targetsOf`. */
	onChange(): void;
	report(error: unknown, activity: string): void;
	send<Name extends keyof OutboxSignals>(name: Name, info: () => OutboxSignals[Name]): void;
}

/** An event on its way into the store. */
interface Append {
	readonly emitted: BusEvent;
	readonly event: StoredEvent;
	readonly targets: readonly string[];
	readonly idempotencyKey: string | undefined;
}

/** Where the events of a group go; changed when the group ends. */
type Group = { -readonly [Field in "route" | "prepareRoutes"]: TargetGroup[Field] } & {
	accepts: (type: string) => boolean;
};

const restMs = 1_000;

export function createOutbox(parts: OutboxParts): Outbox {
	const { store, settings, clock, catalog, versionOf, readPattern, onAppended, onChange, report, send } =
		parts;
	const relay = createRelay({ store, clock, leaseMs: settings.leaseMs, report, send });
	const housekeeping = createHousekeeping(store, clock, settings.retention, report);
	const groups = new Map<string, Group>();
	/** Ends the rest of an append that waits for the store. */
	let endRest: (() => void) | undefined;
	let isClosed = false;
	/** The names of the groups, former ones too. */
	const names = new Set<string>();
	/** How to end each target, until it has ended. */
	const removals = new Set<RegisteredTarget["remove"]>();
	const appends = createBatcher<Append>(500, write);

	async function write(batch: readonly Append[]): Promise<void> {
		let error: unknown;
		try {
			await append(batch);
		} catch (thrown) {
			error = thrown;
			throw thrown;
		} finally {
			onAppended(
				batch.map(({ emitted }) => emitted),
				error,
			);
		}
	}

	async function append(batch: readonly Append[]): Promise<void> {
		await prepareRoutes(batch);
		const events = batch.map(({ emitted, event, idempotencyKey, targets }) => ({
			event,
			idempotencyKey,
			deliveries: targets.flatMap((name) => routeTo(name, emitted, event)),
		}));
		for (let isFirst = true; ; isFirst = false) {
			try {
				await store.append(events);
				return;
			} catch (error) {
				const mayWait = settings.whenUnavailable === "wait" && !isClosed;
				if (!mayWait || !isCallhookError(error, "ERR_CALLHOOK_STORE_UNAVAILABLE")) throw error;
				if (isFirst) report(error, "append");
			}
			await rest();
		}
	}

	async function rest(): Promise<void> {
		await new Promise<void>((resolve) => {
			const timer = clock.setTimeout(resolve, restMs);
			endRest = () => {
				clock.clearTimeout(timer);
				resolve();
			};
		});
		endRest = undefined;
	}

	const toStored = (event: BusEvent, payload: EventPayload): StoredEvent =>
		toStoredEvent(event, payload, versionOf(event.type));

	/** `undefined` where nothing is to be waited for: rows in a transaction of SQLite are written before `store` returns. */
	function prepareRoutes(
		events: readonly Pick<Append, "targets">[],
		tx?: unknown,
	): Promise<unknown> | undefined {
		const names = new Set(events.flatMap(({ targets }) => targets));
		const looks = [...names].flatMap((name) => groups.get(name)?.prepareRoutes?.(tx) ?? []);
		return looks.length > 0 ? Promise.all(looks) : undefined;
	}

	function routeTo(name: string, event: BusEvent, stored: StoredEvent): readonly NewDelivery[] {
		return groups.get(name)?.route?.(event, stored) ?? [{ group: name, target: name }];
	}

	return {
		door: {
			...{ store, clock, catalog, send, report, delivers: settings.deliver },
			register(target) {
				const { name } = target;
				const taken = namesOf(target).find((each) => names.has(each));
				if (taken !== undefined) {
					throw new CallhookError(
						"ERR_CALLHOOK_TARGET_EXISTS",
						`The outbox of this bus already has a target "${taken}": use one bridge, and another name for each durable handler`,
						{ name: taken },
					);
				}
				const group: Group = {
					accepts: matchAny(target.accepts.map(readPattern)),
					route: (event, stored) => target.route?.(event, stored),
					prepareRoutes: (tx) => target.prepareRoutes?.(tx),
				};
				let removal: Promise<void> | undefined;
				const remove = async (timeoutMs: number): Promise<void> => {
					if (removal === undefined) {
						group.accepts = () => false;
						group.prepareRoutes = () => undefined;
						// It still has to say where those go that are on their way into the store, that of the emit in progress too.
						void Promise.resolve()
							.then(appends.idle)
							.then(() => {
								if (groups.get(name) === group) groups.delete(name);
							});
						for (const each of namesOf(target)) names.delete(each);
						if (names.size === 0) housekeeping.stop();
						onChange();
						removal = (relayed?.remove(timeoutMs) ?? Promise.resolve()).finally(() =>
							removals.delete(remove),
						);
					} else if (removals.has(remove)) {
						void relayed?.remove(timeoutMs);
					}
					await removal;
				};
				removals.add(remove);
				groups.set(name, group);
				for (const each of namesOf(target)) names.add(each);
				onChange();
				const relayed = settings.deliver && target.deliver !== false ? relay.add(target) : undefined;
				if (settings.deliver) housekeeping.start();
				return {
					wake: relay.wake,
					idle: () => appends.idle().then(() => relayed?.idle()),
					pause: () => relayed?.pause(),
					resume: () => relayed?.resume(),
					recall: (name) => relayed?.recall(name),
					inFlight: () => relayed?.inFlight() ?? 0,
					remove,
				};
			},
		},
		targetsOf: (type) => [...groups].filter(([, { accepts }]) => accepts(type)).map(([name]) => name),
		append: (event, payload, targets, idempotencyKey) =>
			appends.add({ emitted: event, event: toStored(event, payload), idempotencyKey, targets }),
		async appendIn(tx, events) {
			// To a store it would mean a transaction of its own, which no rollback takes back.
			if (tx === undefined) throw invalidOption("tx", "a transaction of the store's database", tx);
			const looks = prepareRoutes(events, tx);
			if (looks !== undefined) await looks;
			const added = events.map(({ event, payload, targets, idempotencyKey, delayMs }) => {
				const stored = toStored(event, payload);
				const deliveries = targets.flatMap((name) => routeTo(name, event, stored));
				return {
					event: stored,
					idempotencyKey,
					deliveries: deliveries.map((each) => ({ ...each, delayMs })),
				};
			});
			await store.append(added, { tx });
		},
		wake: relay.wake,
		async countUnfinished() {
			try {
				const { targets } = await store.stats();
				return targets.reduce(
					(sum, { states: { pending, in_flight, waiting } }) => sum + pending + in_flight + waiting,
					0,
				);
			} catch (error) {
				report(error, "stats");
				return undefined;
			}
		},
		async close(timeoutMs) {
			isClosed = true;
			endRest?.();
			housekeeping.stop();
			await Promise.all([...removals].map((remove) => remove(timeoutMs)));
		},
	};
}

/** The error of who needs an outbox on a bus that has none. */
export function storeRequired(where: string): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_STORE_REQUIRED",
		`${where} needs an outbox: create the bus with a store, such as memoryStore()`,
		{ where },
	);
}
