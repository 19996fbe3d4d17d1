import type { Settlement } from "../../outbox/ports.ts";
import { writeDeliveries } from "./append.ts";
import { parseToken } from "./claim.ts";
import type { Connection } from "./connection.ts";
import { planning } from "./lanes.ts";

// The fence: who claimed it, that nobody did since, and that the lease has not ended.
const isHeld = "d.seq = given.seq AND d.claims = given.claims AND d.state = 'in_flight' AND d.due_at > at";

/** The batch of a settlement, each token once: the first counts. */
const givenOnce = `
	given AS MATERIALIZED (
		SELECT DISTINCT ON (each.seq, each.claims) each.*
		FROM ROWS FROM (json_to_recordset(batch) AS (
			seq bigint, claims bigint, state text, delay float8, attempt text, deliveries json
		)) WITH ORDINALITY AS each (seq, claims, state, delay, attempt, deliveries, place)
		ORDER BY each.seq, each.claims, each.place
	)`;

export const settleFunctions: readonly string[] = [
	// A routed delivery goes, and others take its place: behind it, since one of them may have its target.
	`CREATE OR REPLACE FUNCTION callhook.route(batch json, at timestamptz)
	RETURNS TABLE (places bigint[], grps text[], targets text[], lanes text[]) LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		seqs bigint[];
		events bigint[];
		lists json[];
		bare bigint[];
	BEGIN
		WITH ${givenOnce}, gone AS (
			DELETE FROM callhook.delivery d USING given WHERE given.state = 'routed' AND ${isHeld}
			RETURNING given.place, given.deliveries, d.seq, d.event, d.grp, d.target, d.lane
		)
		SELECT array_agg(gone.place ORDER BY gone.place), array_agg(gone.seq),
			array_agg(gone.event ORDER BY gone.place), array_agg(gone.deliveries ORDER BY gone.place),
			array_agg(gone.event ORDER BY gone.event) FILTER (WHERE json_array_length(gone.deliveries) = 0),
			array_agg(gone.grp ORDER BY gone.place) FILTER (WHERE gone.lane IS NOT NULL),
			array_agg(gone.target ORDER BY gone.place) FILTER (WHERE gone.lane IS NOT NULL),
			array_agg(gone.lane ORDER BY gone.place) FILTER (WHERE gone.lane IS NOT NULL)
		INTO places, seqs, events, lists, bare, grps, targets, lanes
		FROM gone;
		IF places IS NOT NULL THEN
			DELETE FROM callhook.attempt a WHERE a.delivery = ANY (seqs);
			PERFORM callhook.add_deliveries(events, lists, at);
			PERFORM pg_notify('callhook_channel', '');
		END IF;
		IF bare IS NOT NULL THEN
			-- Another transaction may take the last delivery at the same time: one of the two sees it gone.
			PERFORM FROM callhook.event e WHERE e.seq = ANY (bare) ORDER BY e.seq FOR UPDATE;
			UPDATE callhook.event e SET bare_at = at
			WHERE e.seq = ANY (bare) AND NOT EXISTS (SELECT FROM callhook.delivery d WHERE d.event = e.seq);
		END IF;
		RETURN NEXT;
	END $$`,

	// Gives the places in the batch of the tokens that were valid, and whether something may have become claimable.
	`CREATE OR REPLACE FUNCTION callhook.settle(batch json) RETURNS TABLE (places bigint[], is_news boolean)
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz;
		keys bigint[];
		grps text[];
		targets text[];
		lanes text[];
		routed record;
		has_routed boolean;
	BEGIN
		SELECT
			array_agg(callhook.lane_key(d.grp, d.target, d.lane)) FILTER (WHERE d.lane IS NOT NULL AND given.state <> 'waiting'),
			bool_or(given.state = 'routed')
		INTO keys, has_routed
		FROM json_to_recordset(batch) AS given (seq bigint, claims bigint, state text)
		JOIN callhook.delivery d ON d.seq = given.seq AND d.claims = given.claims AND d.state = 'in_flight';
		PERFORM callhook.lock_lanes(keys);
		at := callhook.clock();
		WITH ${givenOnce}, settled AS (
			UPDATE callhook.delivery d SET
				state = given.state,
				stage = CASE WHEN given.state <> 'waiting' THEN 4 WHEN given.delay > 0 THEN 2 ELSE 1 END,
				due_at = CASE given.state WHEN 'waiting' THEN at + given.delay * interval '1 millisecond' ELSE d.due_at END,
				ended_at = CASE given.state WHEN 'waiting' THEN NULL ELSE at END
			FROM given WHERE given.state <> 'routed' AND ${isHeld}
			RETURNING given.place, given.state, given.attempt, d.seq, d.grp, d.target, d.lane
		), logged AS (
			INSERT INTO callhook.attempt (delivery, record)
			SELECT settled.seq, settled.attempt FROM settled WHERE settled.attempt IS NOT NULL ORDER BY settled.place
		), ended AS (
			SELECT * FROM settled WHERE settled.lane IS NOT NULL AND settled.state <> 'waiting'
		)
		SELECT
			(SELECT array_agg(settled.place) FROM settled),
			coalesce((SELECT bool_or(settled.state = 'waiting') FROM settled), false),
			array_agg(ended.grp), array_agg(ended.target), array_agg(ended.lane)
		INTO places, is_news, grps, targets, lanes
		FROM ended;
		IF has_routed THEN
			SELECT * INTO routed FROM callhook.route(batch, at);
			places := places || routed.places;
			is_news := is_news OR routed.places IS NOT NULL;
			grps := grps || routed.grps;
			targets := targets || routed.targets;
			lanes := lanes || routed.lanes;
		END IF;
		PERFORM callhook.open_lanes(grps, targets, lanes, at);
		is_news := is_news OR grps IS NOT NULL;
		RETURN NEXT;
	END $$`,

	`CREATE OR REPLACE FUNCTION callhook.extend(batch json, lease float8) RETURNS SETOF bigint
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz := callhook.clock();
	BEGIN
		RETURN QUERY WITH ${givenOnce}
		UPDATE callhook.delivery d SET due_at = at + lease * interval '1 millisecond' FROM given WHERE ${isHeld}
		RETURNING given.seq;
	END $$`,

	// As if the claim had not been made. It stays the open one of its lane.
	`CREATE OR REPLACE FUNCTION callhook.release(batch json, wait_ms float8) RETURNS void LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz := callhook.clock();
	BEGIN
		WITH ${givenOnce}
		UPDATE callhook.delivery d SET state = CASE d.attempts WHEN 1 THEN 'pending' ELSE 'waiting' END,
			stage = CASE WHEN wait_ms > 0 THEN 2 ELSE 1 END, attempts = d.attempts - 1,
			due_at = at + wait_ms * interval '1 millisecond'
		FROM given WHERE ${isHeld};
		PERFORM pg_notify('callhook_channel', '');
	END $$`,
];

/** Writes what became of claims; `onNews` is called where something may have become claimable. */
export async function settle(
	connection: Connection,
	settlements: readonly Settlement[],
	onNews: () => void,
): Promise<("ok" | "lost")[]> {
	if (settlements.length === 0) return [];
	const sql =
		"SELECT s.places::text AS places, s.is_news::text AS is_news FROM callhook.settle($1::text::json) AS s";
	const [row] = await connection.all(sql, JSON.stringify(settlements.map(writeSettlement)));
	const places = new Set(readNumbers(row?.places));
	if (row?.is_news === "true") onNews();
	return settlements.map((_, index) => (places.has(index + 1) ? "ok" : "lost"));
}

function writeSettlement({ token, to, attempt }: Settlement): object {
	return {
		...parseToken(token),
		state: to.state,
		...(to.state === "waiting" ? { delay: Math.max(0, Math.ceil(to.retryInMs)) } : {}),
		...(to.state === "routed" ? { deliveries: writeDeliveries(to.deliveries) } : {}),
		...(to.state !== "routed" && attempt !== undefined ? { attempt: JSON.stringify(attempt) } : {}),
	};
}

/** Makes leases end later; answers with the tokens that are valid. */
export async function extend(
	connection: Connection,
	tokens: readonly string[],
	leaseMs: number,
): Promise<string[]> {
	if (tokens.length === 0) return [];
	const sql = "SELECT seq::text AS seq FROM callhook.extend($1::text::json, $2::text::float8) AS seq";
	const rows = await connection.all(sql, writeTokens(tokens), String(Math.ceil(leaseMs)));
	// Of one delivery one token at most is valid, the last that was given out.
	const latest = new Map<number, string>();
	for (const token of tokens) {
		const { seq, claims } = parseToken(token);
		if (claims >= parseToken(latest.get(seq) ?? "").claims) latest.set(seq, token);
	}
	const valid = new Set(rows.map(({ seq }) => latest.get(Number(seq))));
	return tokens.filter((token) => valid.has(token));
}

/** Gives claims back as if they had not been made, unless their leases have ended. */
export async function release(
	connection: Connection,
	tokens: readonly string[],
	delayMs: number,
): Promise<void> {
	if (tokens.length === 0) return;
	const sql = "SELECT callhook.release($1::text::json, $2::text::float8)";
	await connection.all(sql, writeTokens(tokens), String(Math.ceil(delayMs)));
}

function writeTokens(tokens: readonly string[]): string {
	return JSON.stringify(tokens.map(parseToken));
}

/** Reads an array of numbers as PostgreSQL writes it: {1,2}. */
function readNumbers(text: unknown): number[] {
	return typeof text === "string" && text.length > 2 ? text.slice(1, -1).split(",").map(Number) : [];
}
