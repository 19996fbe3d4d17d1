import { invalidOption, readTime } from "../internal/options.ts";
import { readPage } from "../internal/page.ts";
import type {
	AttemptRecord,
	DeliveryFilter,
	DeliveryState,
	OutboxStore,
	Page,
	PageRequest,
	StoredDelivery,
} from "../outbox/ports.ts";

/** The whole effort to bring one event to one endpoint. */
export interface Delivery {
	readonly id: string;
	readonly eventId: string;
	readonly endpointId: string;
	readonly type: string;
	readonly state: DeliveryState;
	readonly attempts: readonly AttemptRecord[];
	/** RFC 3339, UTC; absent in a final state. */
	readonly nextAttemptAt?: string | undefined;
}

/** Picks deliveries; every field given must agree. */
export interface DeliveryQuery extends PageRequest {
	readonly endpointId?: string | undefined;
	readonly eventId?: string | undefined;
	readonly type?: string | undefined;
	readonly state?: DeliveryState | undefined;
	/** Added at or after this moment. */
	readonly since?: string | Date | undefined;
	/** Added before this moment. */
	readonly until?: string | Date | undefined;
}

/** The deliveries of a bridge. */
export interface Deliveries {
	/** Newest first. Throws ERR_CALLHOOK_INVALID_OPTION. */
	list(query?: DeliveryQuery): Promise<Page<Delivery>>;
	get(id: string): Promise<Delivery | undefined>;
}

const states: readonly DeliveryState[] = [
	"pending",
	"in_flight",
	"waiting",
	"delivered",
	"dead",
	"cancelled",
];

export function createDeliveries(store: OutboxStore, group: string): Deliveries {
	return {
		async list(query = {}) {
			const page = readPage(query, ["endpointId", "eventId", "type", "state", "since", "until"]);
			const { items, cursor } = await store.query({ group, ...readFilter(query) }, page);
			const deliveries = items.map(showDelivery);
			return cursor === undefined ? { items: deliveries } : { items: deliveries, cursor };
		},
		async get(id) {
			const { items } = await store.query({ group, ids: [id] }, { limit: 1 });
			return items[0] && showDelivery(items[0]);
		},
	};
}

function readFilter({ endpointId, eventId, type, state, since, until }: DeliveryQuery): DeliveryFilter {
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
	return { ...delivery, endpointId: target };
}
