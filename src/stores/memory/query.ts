import { isoTime } from "../../internal/iso-time.ts";
import type { DeliveryFilter, DeliveryState, StoredDelivery, StoreStats } from "../../outbox/ports.ts";
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
			(filter.groupPrefix === undefined || row.group.startsWith(filter.groupPrefix)) &&
			(filter.target === undefined || row.target === filter.target) &&
			(filter.type === undefined || row.event.event.type === filter.type) &&
			(filter.state === undefined || row.state === filter.state) &&
			row.addedAtMs >= sinceMs &&
			row.addedAtMs < untilMs,
	);
}

export function showDelivery(tables: Tables, row: DeliveryRow): StoredDelivery {
	const { id, event, group, target, state, orderKey, attempts } = row;
	return {
		id,
		eventId: event.event.id,
		type: event.event.type,
		group,
		target,
		state,
		orderKey,
		blockedBy: isFinal(row) ? undefined : tables.blockerOf(row),
		attempts: [...attempts],
		addedAt: isoTime(row.addedAtMs),
		...(isFinal(row) ? { endedAt: isoTime(row.endedAtMs) } : { nextAttemptAt: isoTime(row.dueAtMs) }),
	};
}

export function countByTarget(tables: Tables): StoreStats {
	const targets = new Map<string, { group: string; target: string; states: Record<DeliveryState, number> }>();
	for (const { group, target, state } of tables.deliveries.values()) {
		const name = `${group}\n${target}`;
		let entry = targets.get(name);
		if (entry === undefined) {
			const states = { pending: 0, in_flight: 0, waiting: 0, delivered: 0, dead: 0, cancelled: 0 };
			entry = { group, target, states };
			targets.set(name, entry);
		}
		entry.states[state]++;
	}
	return { targets: [...targets.values()] };
}
