import type { AddedDeliveries, EventFilter, Page, PageRequest, StoredEvent } from "../../outbox/ports.ts";
import { toText, writeDeliveries } from "./append.ts";
import { readEvent } from "./claim.ts";
import type { Connection } from "./connection.ts";
import { planning } from "./lanes.ts";
import { momentOf } from "./query.ts";

const columns = `e.id, e.type, e.version::text AS version, e.time, e.source, e.data, e.metadata, e.key, e.subject,
	e.correlation_id, e.causation_id, e.traceparent`;

export const eventFunctions: readonly string[] = [
	// Events that are being forgotten at the same time are there no more, or stay.
	`CREATE OR REPLACE FUNCTION callhook.add_to_events(batch json) RETURNS integer LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		events bigint[];
		lists json[];
		added integer;
	BEGIN
		PERFORM FROM callhook.event e
		WHERE e.id IN (SELECT given.id FROM json_to_recordset(batch) AS given (id text)) ORDER BY e.seq FOR UPDATE;
		SELECT array_agg(e.seq ORDER BY given.place), array_agg(given.deliveries ORDER BY given.place) INTO events, lists
		FROM ROWS FROM (json_to_recordset(batch) AS (id text, deliveries json)) WITH ORDINALITY
			AS given (id, deliveries, place)
		JOIN callhook.event e ON e.id = given.id;
		IF events IS NULL THEN RETURN 0; END IF;
		added := callhook.add_deliveries(events, lists, callhook.clock());
		UPDATE callhook.event e SET bare_at = NULL WHERE e.seq = ANY (events) AND e.bare_at IS NOT NULL;
		PERFORM pg_notify('callhook_channel', '');
		RETURN added;
	END $$`,
];

export async function getEvents(connection: Connection, ids: readonly string[]): Promise<StoredEvent[]> {
	const rows = await connection.all(
		`SELECT ${columns} FROM callhook.event e
		WHERE e.id = ANY (ARRAY(SELECT json_array_elements_text($1::text::json)))`,
		JSON.stringify(ids.map(toText)),
	);
	return rows.map(readEvent);
}

/** Oldest first; the cursor is a place in the table, which the event may have left. */
export async function listEvents(
	connection: Connection,
	{ since, until, missingAt }: EventFilter,
	{ limit = 50, cursor }: PageRequest,
): Promise<Page<StoredEvent>> {
	const parts: [sql: (...values: string[]) => string, values: readonly string[] | undefined][] = [
		[(value) => `e.seq > ${value}::bigint`, [/^\d{1,15}$/u.test(cursor ?? "") ? (cursor as string) : "0"]],
		[(value) => `e.added_at >= ${value}::timestamptz`, momentsOf(since)],
		[(value) => `e.added_at < ${value}::timestamptz`, momentsOf(until)],
		[
			(group, target) =>
				`NOT EXISTS (SELECT FROM callhook.delivery d WHERE d.event = e.seq AND d.grp = ${group} AND d.target = ${target})`,
			missingAt && [toText(missingAt.group), toText(missingAt.target)],
		],
	];
	const values: string[] = [];
	const conditions = parts.flatMap(([sql, given]) =>
		given === undefined ? [] : [sql(...given.map((value) => `$${values.push(value)}::text`))],
	);
	const rows = await connection.all(
		`SELECT e.seq::text AS seq, ${columns} FROM callhook.event e
		WHERE ${conditions.join(" AND ")} ORDER BY e.seq LIMIT $${values.length + 1}::text::bigint`,
		...[...values, String(limit + 1)],
	);
	const shown = rows.slice(0, limit);
	const items = shown.map(readEvent);
	return rows.length > limit ? { items, cursor: shown.at(-1)?.seq as string } : { items };
}

function momentsOf(time: string | undefined): readonly string[] | undefined {
	const moment = momentOf(time);
	return moment === undefined ? undefined : [moment];
}

/** Returns how many it added. */
export async function addDeliveries(
	connection: Connection,
	added: readonly AddedDeliveries[],
): Promise<number> {
	const given = added.filter(({ deliveries }) => deliveries.length > 0);
	if (given.length === 0) return 0;
	const [row] = await connection.all(
		"SELECT callhook.add_to_events($1::text::json)::text AS added",
		JSON.stringify(
			given.map(({ eventId, deliveries }) => ({
				id: toText(eventId),
				deliveries: writeDeliveries(deliveries),
			})),
		),
	);
	return Number(row?.added);
}
