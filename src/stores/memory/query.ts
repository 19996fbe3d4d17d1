import { isoTime } from "../../internal/iso-time.ts";
import type { DeliveryFilter, StoredDelivery } from "../../outbox/ports.ts";
import { type DeliveryRow, isFinal, type Tables } from "./tables.ts";

/** The deliveries a filter picks, each once, in the order they were added: ids sort by it. */
export function pick(tables: Tables, filter: DeliveryFilter): DeliveryRow[] {
	const rows =
		filter.ids === undefined
			? [...tables.deliveries.values()]
			: [...new Set(filter.ids)].sort().flatMap((id) => tables.deliveries.get(id) ?? []);
	const sinceMs = filter.since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(filter.since);
	const untilMs = filter.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(filter.until);
	return rows.filter(
		(row) =>
			(filter.eventId === undefined || row.event.event.id === filter.eventId) &&
			(filter.group === undefined || row.group === filter.group) &&
			(filter.target === undefined || row.target === filter.target) &&
			(filter.type === undefined || row.event.event.type === filter.type) &&
			(filter.state === undefined || row.state === filter.state) &&
			row.addedAtMs >= sinceMs &&
			row.addedAtMs < untilMs,
	);
}

export function showDelivery(row: DeliveryRow): StoredDelivery {
	const { id, event, group, target, state, attempts } = row;
	return {
		id,
		eventId: event.event.id,
		type: event.event.type,
		group,
		target,
		state,
		attempts: [...attempts],
		...(isFinal(row) ? {} : { nextAttemptAt: isoTime(row.dueAtMs) }),
	};
}
