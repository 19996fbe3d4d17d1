import type { DeliveryFilter, PruneRequest } from "../../outbox/ports.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";
import { planning } from "./lanes.ts";
import { conditionOf } from "./query.ts";

const pieceSize = 1_000;
// What is longer ago than some 3,000 years, a time of the server may not hold.
const longestAgoMs = 1e14;

export const historyFunctions: readonly string[] = [
	// Ends deliveries that are not final.
	`CREATE OR REPLACE FUNCTION callhook.cancel(seqs bigint[]) RETURNS integer LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz;
		keys bigint[];
		grps text[];
		targets text[];
		lanes text[];
		changed integer;
	BEGIN
		SELECT array_agg(callhook.lane_key(d.grp, d.target, d.lane)) INTO keys
		FROM callhook.delivery d WHERE d.seq = ANY (seqs) AND d.lane IS NOT NULL AND d.stage < 4;
		PERFORM callhook.lock_lanes(keys);
		at := callhook.clock();
		WITH held AS MATERIALIZED (
			SELECT d.seq FROM callhook.delivery d WHERE d.seq = ANY (seqs) AND d.stage < 4 ORDER BY d.seq FOR UPDATE
		), ended AS (
			UPDATE callhook.delivery d SET state = 'cancelled', stage = 4, ended_at = at
			FROM held WHERE d.seq = held.seq RETURNING d.grp, d.target, d.lane
		)
		SELECT count(*), array_agg(ended.grp) FILTER (WHERE ended.lane IS NOT NULL),
			array_agg(ended.target) FILTER (WHERE ended.lane IS NOT NULL),
			array_agg(ended.lane) FILTER (WHERE ended.lane IS NOT NULL)
		INTO changed, grps, targets, lanes FROM ended;
		PERFORM callhook.open_lanes(grps, targets, lanes, at);
		PERFORM pg_notify('callhook_channel', '');
		RETURN changed;
	END $$`,

	// Makes final deliveries pending again, last in their order.
	`CREATE OR REPLACE FUNCTION callhook.replay(seqs bigint[]) RETURNS integer LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz := callhook.clock();
		changed integer;
	BEGIN
		WITH held AS MATERIALIZED (
			SELECT d.seq FROM callhook.delivery d WHERE d.seq = ANY (seqs) AND d.stage = 4 ORDER BY d.seq FOR UPDATE
		), numbered AS MATERIALIZED (
			SELECT held.seq, nextval('callhook.number') AS turn FROM held
		)
		UPDATE callhook.delivery d SET state = 'pending', attempts = 0, crashes = 0, due_at = at, ended_at = NULL,
			turn = numbered.turn, stage = CASE WHEN d.lane IS NULL THEN 1 ELSE 0 END
		FROM numbered WHERE d.seq = numbered.seq;
		GET DIAGNOSTICS changed = ROW_COUNT;
		PERFORM pg_notify('callhook_channel', '');
		RETURN changed;
	END $$`,

	// Forgets final deliveries and events that nobody needs.
	`CREATE OR REPLACE FUNCTION callhook.prune(seqs bigint[]) RETURNS integer LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		gone bigint[];
		events bigint[];
	BEGIN
		SELECT array_agg(held.seq), array_agg(held.event) INTO gone, events FROM (
			SELECT d.seq, d.event FROM callhook.delivery d WHERE d.seq = ANY (seqs) AND d.stage = 4
			ORDER BY d.seq FOR UPDATE
		) held;
		IF gone IS NULL THEN RETURN 0; END IF;
		DELETE FROM callhook.attempt a WHERE a.delivery = ANY (gone);
		DELETE FROM callhook.delivery d WHERE d.seq = ANY (gone);
		-- Another transaction may take the last delivery of one at the same time: one of the two sees it gone.
		PERFORM FROM callhook.event e WHERE e.seq = ANY (events) ORDER BY e.seq FOR UPDATE;
		DELETE FROM callhook.event e
		WHERE e.seq = ANY (events) AND NOT EXISTS (SELECT FROM callhook.delivery d WHERE d.event = e.seq);
		RETURN cardinality(gone);
	END $$`,
];

/** A change of many rows in pieces, each a transaction of its own, so that none holds up others for long. */
async function inPieces(
	connection: Connection,
	change: "cancel" | "replay",
	stage: string,
	filter: DeliveryFilter,
): Promise<number> {
	const { sql, values } = conditionOf(filter, 2);
	let changed = 0;
	for (let from = "0"; ; ) {
		const [row] = await connection.all(
			`WITH picked AS MATERIALIZED (
				SELECT ARRAY(
					SELECT d.seq FROM callhook.delivery d
					WHERE d.seq > $1::text::bigint AND ${stage} AND ${sql} ORDER BY d.seq LIMIT ${pieceSize}
				) AS seqs
			)
			SELECT callhook.${change}(picked.seqs)::text AS changed, cardinality(picked.seqs)::text AS count,
				picked.seqs[cardinality(picked.seqs)]::text AS last
			FROM picked WHERE cardinality(picked.seqs) > 0`,
			...[from, ...values],
		);
		changed += Number(row?.changed ?? 0);
		if (row === undefined || Number(row.count) < pieceSize) return changed;
		from = row.last as string;
	}
}

/** Ends deliveries that are not final. */
export function cancel(connection: Connection, filter: DeliveryFilter): Promise<number> {
	return inPieces(connection, "cancel", "d.stage < 4", filter);
}

/** Makes final deliveries pending again, last in their order. */
export function replay(connection: Connection, filter: DeliveryFilter): Promise<number> {
	return inPieces(connection, "replay", "d.stage = 4", filter);
}

/** Forgets final deliveries and events that nobody needs; returns how many deliveries. */
export async function prune(connection: Connection, request: PruneRequest): Promise<number> {
	const { filter, keep = 0, limit } = request;
	const olderThanMs = Math.min(request.olderThanMs ?? 0, longestAgoMs);
	const { sql, values } = conditionOf(filter ?? {}, 4);
	const picked = `d.stage = 4 AND d.ended_at <= (SELECT before.ended_at FROM before) AND ${sql}`;
	const text = `
		WITH before AS MATERIALIZED (
			SELECT callhook.clock() - $1::text::float8 * interval '1 millisecond' AS ended_at
		), picked AS MATERIALIZED (
			SELECT ARRAY(
				SELECT d.seq FROM callhook.delivery d WHERE ${picked}
					AND (d.ended_at, d.seq) <= (
						SELECT d.ended_at, d.seq FROM callhook.delivery d WHERE ${picked}
						ORDER BY d.ended_at DESC, d.seq DESC LIMIT 1 OFFSET $2::text::bigint
					)
				ORDER BY d.ended_at, d.seq LIMIT $3::text::bigint
			) AS seqs
		)
		SELECT callhook.prune(picked.seqs)::text AS changed FROM picked`;
	let pruned = 0;
	while (pruned < limit) {
		const most = Math.min(limit - pruned, pieceSize);
		const [row] = await connection.all(text, String(olderThanMs), String(keep), String(most), ...values);
		const changed = Number((row as SqlRow).changed);
		pruned += changed;
		if (changed < most) break;
	}
	return pruned;
}

/** Forgets events without deliveries; returns how many. */
export async function pruneEvents(
	connection: Connection,
	{ olderThanMs = 0, keep = 0, limit }: Omit<PruneRequest, "filter">,
): Promise<number> {
	const [row] = await connection.all(
		`WITH before AS MATERIALIZED (
			SELECT callhook.clock() - $1::text::float8 * interval '1 millisecond' AS ended_at
		), gone AS (
			DELETE FROM callhook.event WHERE seq = ANY (ARRAY(
				SELECT e.seq FROM callhook.event e WHERE e.bare_at <= (SELECT before.ended_at FROM before)
					AND (e.bare_at, e.seq) <= (
						SELECT e.bare_at, e.seq FROM callhook.event e WHERE e.bare_at IS NOT NULL
						ORDER BY e.bare_at DESC, e.seq DESC LIMIT 1 OFFSET $2::text::bigint
					)
				ORDER BY e.bare_at, e.seq LIMIT $3::text::bigint FOR UPDATE SKIP LOCKED
			)) RETURNING seq
		)
		SELECT count(*)::text AS count FROM gone`,
		...[String(Math.min(olderThanMs, longestAgoMs)), String(keep), String(limit)],
	);
	return Number((row as SqlRow).count);
}
