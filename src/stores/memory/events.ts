import { type Page, type PageRequest, paginate } from "../../internal/page.ts";
import type { AddedDeliveries, EventFilter, StoredEvent } from "../../outbox/ports.ts";
import { nameTarget, type Tables } from "./tables.ts";

export function listEvents(
	tables: Tables,
	{ since, until, missingAt }: EventFilter,
	page: PageRequest,
): Page<StoredEvent> {
	const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since);
	const untilMs = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
	const missing = missingAt && nameTarget(missingAt.group, missingAt.target);
	const rows = [...tables.events.values()]
		.filter(({ addedAtMs }) => addedAtMs >= sinceMs && addedAtMs < untilMs)
		.filter(({ targets }) => missing === undefined || !targets.has(missing))
		// Ids of pages sort as text.
		.map(({ seq, event }) => ({ id: String(seq).padStart(15, "0"), event }));
	return paginate(rows, page, "rising", ({ event }) => event);
}

/** Returns how many it added. */
export function addDeliveries(tables: Tables, added: readonly AddedDeliveries[]): number {
	let count = 0;
	for (const { eventId, deliveries } of added) {
		const event = tables.events.get(eventId);
		if (event === undefined) continue;
		for (const delivery of deliveries) if (tables.addDelivery(event, delivery)) count++;
	}
	return count;
}
