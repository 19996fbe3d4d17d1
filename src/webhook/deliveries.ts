import { checkBoolean, checkOptions, invalidOption, readTime } from "../internal/options.ts";
import { readPage } from "../internal/page.ts";
import type {
	AddedDeliveries,
	AttemptRecord,
	DeliveryFilter,
	DeliveryState,
	OutboxStore,
	Page,
	PageRequest,
	StoredDelivery,
} from "../outbox/ports.ts";
import { type ActiveEndpoint, withoutUndefined } from "./active-endpoint.ts";
import { type EndpointDirectory, unknownEndpoint } from "./endpoint-directory.ts";
import type { Router } from "./router.ts";

/** The whole effort to bring one event to one endpoint. */
export interface Delivery {
	readonly id: string;
	readonly eventId: string;
	readonly endpointId: string;
	readonly type: string;
	readonly state: DeliveryState;
	/** What it is ordered by, where its endpoint has an `order`. */
	readonly orderKey?: string | undefined;
	/** The delivery that has to end before it. */
	readonly blockedBy?: string | undefined;
	readonly attempts: readonly AttemptRecord[];
	/** RFC 3339, UTC. */
	readonly addedAt: string;
	/** RFC 3339, UTC; absent in a final state. */
	readonly nextAttemptAt?: string | undefined;
	/** RFC 3339, UTC; present in a final state. */
	readonly endedAt?: string | undefined;
}

/** Picks deliveries; every field given must agree. */
export interface DeliveryPick {
	readonly endpointId?: string | undefined;
	readonly eventId?: string | undefined;
	readonly type?: string | undefined;
	readonly state?: DeliveryState | undefined;
	/** Added at or after this moment. */
	readonly since?: string | Date | undefined;
	/** Added before this moment. */
	readonly until?: string | Date | undefined;
}

/** Which deliveries to list. */
export interface DeliveryQuery extends DeliveryPick, PageRequest {}

/** Which deliveries to make again. */
export interface RedeliverPick extends DeliveryPick {
	/** Default `dead`. */
	readonly state?: "dead" | "delivered" | "cancelled" | undefined;
	/**
	 * Instead: the events that the store still has and the endpoint would have got, had it been there and enabled; with
	 * `endpointId` and `since`.
	 */
	readonly missing?: boolean | undefined;
}

/** How many it is about. */
export interface Counted {
	readonly count: number;
}

export interface DryRun {
	/** Only counts. Default false. */
	readonly dryRun?: boolean | undefined;
}

/** The deliveries of a bridge, kept in the store as long as the bus's `outbox.retention` says. */
export interface Deliveries {
	/** Newest first. Throws ERR_CALLHOOK_INVALID_OPTION. */
	list(query?: DeliveryQuery): Promise<Page<Delivery>>;
	get(id: string): Promise<Delivery | undefined>;
	/**
	 * Makes deliveries again: one, by its id, in whatever state but in flight, or all that are picked. They begin with a new
	 * count of attempts, last in their order, and keep the `webhook-id`. Without `endpointId` those of endpoints that are not
	 * enabled are passed over. Throws ERR_CALLHOOK_INVALID_OPTION, and
	 * ERR_CALLHOOK_UNKNOWN_ENDPOINT.
	 *
	 * @example
	 * ```ts
	 * await bridge.deliveries.redeliver({ endpointId, state: "dead", since: "2026-01-01T00:00:00Z" });
	 * await bridge.deliveries.redeliver({ endpointId, missing: true, since }, { dryRun: true });
	 * ```
	 */
	redeliver(what: string | RedeliverPick, options?: DryRun): Promise<Counted>;
	/**
	 * Cancels what is not final: one, by its id, or all that are picked. A request that is under way ends, and what comes of it
	 * is not written down. Throws ERR_CALLHOOK_INVALID_OPTION.
	 */
	cancel(what: string | DeliveryPick, options?: DryRun): Promise<Counted>;
}

const states: readonly DeliveryState[] = [
	"pending",
	"in_flight",
	"waiting",
	"delivered",
	"dead",
	"cancelled",
];
const finalStates: readonly DeliveryState[] = ["delivered", "dead", "cancelled"];
const fields = ["endpointId", "eventId", "type", "state", "since", "until"];
const pageSize = 500;

export interface DeliveriesParts {
	readonly store: OutboxStore;
	readonly group: string;
	readonly directory: EndpointDirectory;
	readonly router: Router;
	forwards(type: string): boolean;
	/** Gives back what is claimed for an endpoint, or for all, and has not started. */
	recall(endpointId: string | undefined): void;
}

export function createDeliveries(parts: DeliveriesParts): Deliveries {
	const { store, group, directory, router, forwards } = parts;

	async function count(
		filter: DeliveryFilter,
		isCounted: (state: DeliveryState) => boolean,
	): Promise<number> {
		let total = 0;
		let cursor: string | undefined;
		do {
			const page = await store.query({ group, ...filter }, { limit: pageSize, cursor });
			total += page.items.filter(({ state }) => isCounted(state)).length;
			cursor = page.cursor;
		} while (cursor !== undefined);
		return total;
	}

	async function enabled(endpointId: string): Promise<ActiveEndpoint> {
		await directory.reload();
		const endpoint = directory.get(endpointId);
		if (endpoint === undefined) throw unknownEndpoint(endpointId);
		if (endpoint.state === "enabled") return endpoint;
		throw invalidOption("endpointId", "an endpoint that is enabled", `one that is ${endpoint.state}`);
	}

	/** Enabled endpoints with deliveries in a state: made again, those of others would only be cancelled. */
	async function enabledTargets(state: DeliveryState): Promise<readonly string[]> {
		await directory.reload();
		const { targets } = await store.stats();
		return targets
			.filter((each) => each.group === group && each.states[state] > 0)
			.map(({ target }) => target)
			.filter((target) => directory.get(target)?.state === "enabled");
	}

	async function redeliverMissing(
		endpoint: ActiveEndpoint,
		pick: DeliveryFilter,
		isDry: boolean,
	): Promise<number> {
		const target = endpoint.document.id;
		let total = 0;
		let cursor: string | undefined;
		do {
			const filter = { since: pick.since, until: pick.until, missingAt: { group, target } };
			const page = await store.listEvents(filter, { limit: pageSize, cursor });
			const added = page.items.flatMap((event): AddedDeliveries[] => {
				const isPicked =
					(pick.type === undefined || event.type === pick.type) &&
					(pick.eventId === undefined || event.id === pick.eventId);
				const delivery = isPicked && forwards(event.type) ? router.routeTo(endpoint, event) : undefined;
				return delivery === undefined ? [] : [{ eventId: event.id, deliveries: [delivery] }];
			});
			total += isDry ? added.length : await store.addDeliveries(added);
			cursor = page.cursor;
		} while (cursor !== undefined);
		return total;
	}

	async function redeliverOne(id: string, isDry: boolean): Promise<number> {
		const [found] = (await store.query({ group, ids: [id] }, { limit: 1 })).items;
		if (found === undefined || found.state === "in_flight") return 0;
		await enabled(found.target);
		if (isDry) return 1;
		if (!finalStates.includes(found.state)) await store.cancel({ group, ids: [id], state: found.state });
		return store.replay({ group, ids: [id] });
	}

	return {
		async list(query = {}) {
			const page = readPage(query, fields);
			const { items, cursor } = await store.query({ group, ...readPick(query) }, page);
			const deliveries = items.map(showDelivery);
			return cursor === undefined ? { items: deliveries } : { items: deliveries, cursor };
		},
		async get(id) {
			if (typeof id !== "string") throw invalidOption("id", "a string", id);
			const { items } = await store.query({ group, ids: [id] }, { limit: 1 });
			return items[0] && showDelivery(items[0]);
		},
		async redeliver(what, options) {
			const isDry = readDryRun("redeliver", options);
			if (typeof what === "string") return { count: await redeliverOne(what, isDry) };
			checkPick("redeliver", what, [...fields, "missing"]);
			const { missing, state = "dead", ...rest } = what;
			checkBoolean("missing", missing);
			if (!finalStates.includes(state))
				throw invalidOption("state", `one of ${finalStates.join(", ")}`, state);
			const pick = readPick({ ...rest, state });
			const endpoint = pick.target === undefined ? undefined : await enabled(pick.target);
			if (missing === true) {
				if (endpoint === undefined) throw invalidOption("endpointId", "given with missing", undefined);
				if (pick.since === undefined) throw invalidOption("since", "given with missing", undefined);
				return { count: await redeliverMissing(endpoint, pick, isDry) };
			}
			let total = 0;
			for (const target of endpoint === undefined ? await enabledTargets(state) : [endpoint.document.id]) {
				const filter = { ...pick, target };
				total += isDry ? await count(filter, () => true) : await store.replay({ group, ...filter });
			}
			return { count: total };
		},
		async cancel(what, options) {
			const isDry = readDryRun("cancel", options);
			if (typeof what !== "string") checkPick("cancel", what, fields);
			const pick: DeliveryFilter = typeof what === "string" ? { ids: [what] } : readPick(what);
			if (isDry) return { count: await count(pick, (state) => !finalStates.includes(state)) };
			const cancelled = await store.cancel({ group, ...pick });
			// What is at hand would be sent all the same.
			if (cancelled > 0) parts.recall(pick.target);
			return { count: cancelled };
		},
	};
}

function readDryRun(name: string, options: DryRun | undefined): boolean {
	checkOptions(name, options, ["dryRun"]);
	checkBoolean("dryRun", options?.dryRun);
	return options?.dryRun === true;
}

/** What is not given at all picks nothing, and certainly not everything. */
function checkPick(name: string, pick: unknown, known: readonly string[]): void {
	if (pick === undefined) throw invalidOption(name, "an id, or an object that says which", pick);
	checkOptions(name, pick, known);
}

function readPick({ endpointId, eventId, type, state, since, until }: DeliveryPick): DeliveryFilter {
	if (state !== undefined && !states.includes(state)) {
		throw invalidOption("state", `one of ${states.join(", ")}`, state);
	}
	for (const [option, text] of Object.entries({ endpointId, eventId, type })) {
		if (text !== undefined && typeof text !== "string") throw invalidOption(option, "a string", text);
	}
	return {
		target: endpointId,
		eventId,
		type,
		state,
		since: readTime("since", since),
		until: readTime("until", until),
	};
}

function showDelivery({ target, group: _, ...delivery }: StoredDelivery): Delivery {
	return withoutUndefined({ ...delivery, endpointId: target });
}
