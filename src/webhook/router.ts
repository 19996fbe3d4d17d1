import type { NewDelivery, StoredEvent } from "../outbox/ports.ts";
import type { ActiveEndpoint } from "./active-endpoint.ts";
import { compileWhere, type FilteredEvent } from "./where.ts";

/** Says which endpoints an event goes to. */
export interface Router {
	route(event: StoredEvent): NewDelivery[];
	/** Of these only such as stand in an order. */
	routeOrdered(event: StoredEvent): NewDelivery[];
	/** What an event becomes for one endpoint; `undefined`, it does not go there. */
	routeTo(endpoint: ActiveEndpoint, event: StoredEvent): NewDelivery | undefined;
	/** The endpoints have changed. */
	reset(): void;
}

// Types come from a catalog, or from whoever emits without one.
const maxTypes = 1_000;

/** `tenantFrom` is the path at which events say whose they are, if they do. */
export function createRouter(
	endpoints: () => Iterable<ActiveEndpoint>,
	group: string,
	tenantFrom?: string | undefined,
): Router {
	/** Those that take a type: emitting must not cost more with every endpoint that does not. */
	const byType = new Map<string, readonly ActiveEndpoint[]>();
	const tenants = new WeakMap<ActiveEndpoint, (event: FilteredEvent) => boolean>();

	function takersOf(type: string): readonly ActiveEndpoint[] {
		let takers = byType.get(type);
		if (takers === undefined) {
			takers = [...endpoints()].filter((each) => each.state === "enabled" && each.accepts(type));
			if (byType.size >= maxTypes) byType.clear();
			byType.set(type, takers);
		}
		return takers;
	}

	/** Whether an event is of the tenant whose endpoint it is; one that is nobody's gets all. */
	function isOfTenant(endpoint: ActiveEndpoint, filtered: () => FilteredEvent): boolean {
		const { tenant } = endpoint.settings;
		if (tenantFrom === undefined || tenant === undefined) return true;
		let isIts = tenants.get(endpoint);
		if (isIts === undefined) {
			isIts = compileWhere({ [tenantFrom]: tenant });
			tenants.set(endpoint, isIts);
		}
		return isIts(filtered());
	}

	function deliveryTo(
		{ document: { id }, settings: { order } }: ActiveEndpoint,
		{ key }: StoredEvent,
	): NewDelivery {
		if (order === "endpoint") return { group, target: id, orderKey: "*" };
		return order === "key" && key !== undefined
			? { group, target: id, orderKey: `key:${key}` }
			: { group, target: id };
	}

	function routeAmong(takers: readonly ActiveEndpoint[], event: StoredEvent): NewDelivery[] {
		const filtered = readOnce(event);
		return takers
			.filter((endpoint) => isOfTenant(endpoint, filtered) && endpoint.lets(filtered))
			.map((endpoint) => deliveryTo(endpoint, event));
	}

	return {
		route: (event) => routeAmong(takersOf(event.type), event),
		routeOrdered: (event) =>
			routeAmong(
				takersOf(event.type).filter((each) => deliveryTo(each, event).orderKey !== undefined),
				event,
			),
		routeTo(endpoint, event) {
			const filtered = readOnce(event);
			const isTaken =
				endpoint.accepts(event.type) && isOfTenant(endpoint, filtered) && endpoint.lets(filtered);
			return isTaken ? deliveryTo(endpoint, event) : undefined;
		},
		reset: () => byType.clear(),
	};
}

/** Reads the JSON of an event when the first filter asks. */
function readOnce({ dataJson, metadataJson, ...event }: StoredEvent): () => FilteredEvent {
	let read: FilteredEvent | undefined;
	return () => {
		read ??= {
			...event,
			data: JSON.parse(dataJson) as unknown,
			metadata: JSON.parse(metadataJson) as unknown,
		};
		return read;
	};
}
