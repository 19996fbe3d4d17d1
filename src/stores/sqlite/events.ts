import type { AddedDeliveries, EventFilter, Page, PageRequest, StoredEvent } from "../../outbox/ports.ts";
import { deliverySteps, runSteps } from "./append.ts";
import type { Connection } from "./connection.ts";
import type { SqlValue } from "./driver.ts";
import { eventColumns, readEvent } from "./event-row.ts";

export function getEvents(connection: Connection, ids: readonly string[]): StoredEvent[] {
	const sql = `SELECT ${eventColumns} FROM callhook_event e WHERE e.id IN (SELECT value FROM json_each(?))`;
	return connection
		.all(sql, JSON.stringify(ids))
		.map(readEvent)
		.filter((event) => event !== undefined);
}

/** Oldest first; the cursor is a place in the table, which the event may have left. */
export function listEvents(
	connection: Connection,
	{ since, until, missingAt }: EventFilter,
	{ limit = 50, cursor }: PageRequest,
): Page<StoredEvent> {
	const parts: [sql: string, values: readonly SqlValue[] | undefined][] = [
		["e.seq > ?", [Number(cursor ?? 0)]],
		["e.added_at >= ?", since === undefined ? undefined : [Date.parse(since)]],
		["e.added_at < ?", until === undefined ? undefined : [Date.parse(until)]],
		[
			"NOT EXISTS (SELECT 1 FROM callhook_delivery d WHERE d.event = e.seq AND d.grp = ? AND d.target = ?)",
			missingAt && [missingAt.group, missingAt.target],
		],
	];
	const given = parts.filter(([, values]) => values !== undefined);
	const rows = connection.all(
		`SELECT e.seq, ${eventColumns} FROM callhook_event e
		WHERE ${given.map(([sql]) => sql).join(" AND ")} ORDER BY e.seq LIMIT ?`,
		...[...given.flatMap(([, values]) => values as readonly SqlValue[]), limit + 1],
	);
	const shown = rows.slice(0, limit);
	const items = shown.map(readEvent).filter((event) => event !== undefined);
	return rows.length > limit ? { items, cursor: String(Number(shown.at(-1)?.seq)) } : { items };
}

/** Inside a write; returns how many it added. */
export function addDeliveries(
	connection: Connection,
	added: readonly AddedDeliveries[],
	nowMs: number,
): number {
	let count = 0;
	for (const { eventId, deliveries } of added) {
		const [row] = connection.all("SELECT seq FROM callhook_event WHERE id = ?", eventId);
		if (row === undefined || deliveries.length === 0) continue;
		const seq = row.seq as number;
		count += runSteps(connection, deliverySteps(seq, deliveries, nowMs));
		connection.run("UPDATE callhook_event SET bare_at = NULL WHERE seq = ? AND bare_at IS NOT NULL", seq);
	}
	return count;
}
