import { createHash } from "node:crypto";
import type { AppendResult, NewDelivery, NewEvent } from "../../outbox/ports.ts";
import type { SqlRow } from "./driver.ts";

export const appendFunctions: readonly string[] = [
	// What a delivery is when it is added; a lane is looked at later. Gives how many are new.
	`CREATE OR REPLACE FUNCTION callhook.add_deliveries(events bigint[], lists json[], at timestamptz) RETURNS integer
	LANGUAGE plpgsql AS $$
	DECLARE
		added integer;
	BEGIN
		INSERT INTO callhook.delivery (seq, event, grp, target, lane, turn, state, stage, due_at, added_at)
		SELECT numbered.seq, numbered.event, numbered.grp, numbered.target, numbered.lane, numbered.seq, 'pending',
			CASE WHEN numbered.lane IS NOT NULL THEN 0 WHEN numbered.delay > 0 THEN 2 ELSE 1 END,
			at + coalesce(numbered.delay, 0) * interval '1 millisecond', at
		FROM (
			SELECT nextval('callhook.number') AS seq, sorted.* FROM (
				SELECT added.event, each.grp, each.target, each.lane, each.delay
				FROM unnest(events, lists) WITH ORDINALITY AS added (event, list, place)
				CROSS JOIN LATERAL ROWS FROM (
					json_to_recordset(added.list) AS (grp text, target text, lane text, delay float8)
				) WITH ORDINALITY AS each (grp, target, lane, delay, place)
				ORDER BY added.place, each.place
			) sorted
		) numbered
		ON CONFLICT DO NOTHING;
		GET DIAGNOSTICS added = ROW_COUNT;
		RETURN added;
	END $$`,

	// Gives the places in the batch of the events that were stored. A number for each event before it is inserted, so
	// that of two equal ones it is known which was.
	`CREATE OR REPLACE FUNCTION callhook.append(batch json) RETURNS SETOF integer LANGUAGE plpgsql SET jit = off AS $$
	DECLARE
		at timestamptz := callhook.clock();
		places integer[];
		events bigint[];
		lists json[];
	BEGIN
		WITH given AS MATERIALIZED (
			SELECT nextval('callhook.number') AS seq, each.*
			FROM ROWS FROM (json_to_recordset(batch) AS (
				id text, type text, version bigint, "time" text, source text, data text, metadata text, key text,
				subject text, correlation text, causation text, traceparent text, idempotency text, deliveries json
			)) WITH ORDINALITY AS each (
				id, type, version, "time", source, data, metadata, key,
				subject, correlation, causation, traceparent, idempotency, deliveries, place
			)
		), stored AS (
			INSERT INTO callhook.event (seq, id, type, version, time, source, data, metadata, key, subject,
				correlation_id, causation_id, traceparent, idempotency_key, added_at, bare_at)
			SELECT seq, id, type, version, time, source, data, metadata, key, subject,
				correlation, causation, traceparent, idempotency, at, CASE WHEN deliveries IS NULL THEN at END
			FROM given ORDER BY place
			ON CONFLICT DO NOTHING RETURNING seq
		)
		SELECT array_agg(given.place - 1 ORDER BY given.place),
			array_agg(given.seq ORDER BY given.place) FILTER (WHERE given.deliveries IS NOT NULL),
			array_agg(given.deliveries ORDER BY given.place) FILTER (WHERE given.deliveries IS NOT NULL)
		INTO places, events, lists
		FROM stored JOIN given ON given.seq = stored.seq;
		IF events IS NOT NULL THEN
			PERFORM callhook.add_deliveries(events, lists, at);
			-- With the commit: a rolled back transaction of the caller tells nobody.
			PERFORM pg_notify('callhook_channel', '');
		END IF;
		RETURN QUERY SELECT unnest(places);
	END $$`,
];

/** Takes a batch from {@link writeBatch}; answers with the places of what was stored. */
export const appendSql = "SELECT place::text AS place FROM callhook.append($1::text::json) AS place";

export function writeBatch(events: readonly NewEvent[]): string {
	return JSON.stringify(
		events.map(({ event, idempotencyKey, deliveries }) => ({
			...{ id: toText(event.id), type: toText(event.type), version: event.version, time: event.time },
			...{ source: toText(event.source), data: event.dataJson, metadata: event.metadataJson },
			...{ key: toText(event.key), subject: toText(event.subject), traceparent: toText(event.traceparent) },
			...{ correlation: toText(event.correlationId), causation: toText(event.causationId) },
			idempotency: toKey(idempotencyKey),
			deliveries: deliveries.length === 0 ? undefined : writeDeliveries(deliveries),
		})),
	);
}

export function writeDeliveries(deliveries: readonly NewDelivery[]): readonly object[] {
	return deliveries.map(({ group, target, orderKey, delayMs = 0 }) => ({
		...{ grp: toText(group), target: toText(target), lane: toKey(orderKey) },
		delay: delayMs > 0 ? Math.ceil(delayMs) : undefined,
	}));
}

export function readResults(events: readonly NewEvent[], rows: readonly SqlRow[]): AppendResult[] {
	const stored = new Set(rows.map(({ place }) => Number(place)));
	return events.map((_, index) => (stored.has(index) ? "stored" : "duplicate"));
}

/**
 * Text of PostgreSQL is UTF-8 without U+0000. One event with such a character in its key must not cost the whole batch:
 * replacement characters stand for what it cannot hold. JSON has escapes instead.
 */
export function toText<Text extends string | undefined>(text: Text): Text {
	if (text === undefined || !/[\0\p{Surrogate}]/u.test(text)) return text;
	return text.replaceAll(/[\0\p{Surrogate}]/gu, "\u{fffd}") as Text;
}

// An entry of an index holds 2,700 bytes, and up to three names share one.
const longestKey = 250;

/**
 * A key as it is compared and never shown. The server refuses one that its indexes cannot hold: an order key not when it
 * is stored, but when it is claimed, and with it every claim of all groups.
 */
function toKey(key: string | undefined): string | undefined {
	const text = toText(key);
	if (text === undefined || text.length <= longestKey) return text;
	return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
