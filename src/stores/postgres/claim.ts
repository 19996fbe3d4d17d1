import type { Claim, GroupRequests, StoredEvent } from "../../outbox/ports.ts";
import { toText } from "./append.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";
import { planning } from "./lanes.ts";

/** Whose turn it is, by group: the last target that was served. In memory, since fairness need not survive. */
export type Turns = Map<string, string>;

// Retries of many targets may come due at once; more of them wait for the next claim.
const promotedAtOnce = 100;

export const claimFunctions: readonly string[] = [
	// What has come due is ready, a lease that has ended too.
	`CREATE OR REPLACE FUNCTION callhook.promote(named text, most integer) RETURNS void
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		at timestamptz := callhook.clock();
	BEGIN
		WITH due AS MATERIALIZED (
			SELECT d.seq FROM callhook.delivery d WHERE d.grp = named AND d.stage = 2 AND d.due_at <= at
			ORDER BY d.due_at LIMIT greatest(most, ${promotedAtOnce}) FOR UPDATE SKIP LOCKED
		)
		UPDATE callhook.delivery d
		SET stage = 1, state = CASE d.state WHEN 'in_flight' THEN 'waiting' ELSE d.state END,
			crashes = d.crashes + (d.state = 'in_flight')::integer
		FROM due WHERE d.seq = due.seq;
	END $$`,

	// The targets with something ready and with capacity, behind one name and up to another: each is one step in the
	// index, however many rows it has. In the order of that index, so that no other will do.
	`CREATE OR REPLACE FUNCTION callhook.ready_targets(
		named text, behind text, until text, capacities jsonb, usual integer, most integer
	) RETURNS TABLE (target text, capacity integer) LANGUAGE plpgsql ${planning} AS $$
	BEGIN
		RETURN QUERY WITH RECURSIVE scan (name) AS (
			(
				SELECT d.target FROM callhook.delivery d
				WHERE d.grp = named AND d.stage = 1 AND d.target > behind
				ORDER BY d.target, d.turn, d.seq LIMIT 1
			)
			UNION ALL
			SELECT (
				SELECT d.target FROM callhook.delivery d
				WHERE d.grp = named AND d.stage = 1 AND d.target > scan.name
				ORDER BY d.target, d.turn, d.seq LIMIT 1
			)
			FROM scan WHERE scan.name IS NOT NULL AND (until IS NULL OR scan.name < until COLLATE "C")
		)
		SELECT scan.name, coalesce((capacities->>scan.name)::integer, usual) FROM scan
		WHERE scan.name IS NOT NULL AND (until IS NULL OR scan.name <= until COLLATE "C")
			AND coalesce((capacities->>scan.name)::integer, usual) > 0
		LIMIT most;
	END $$`,

	// Of each group one of each target in turn, until a limit or every target's capacity is reached.
	`CREATE OR REPLACE FUNCTION callhook.claim(requests jsonb, lease float8)
	RETURNS TABLE (
		delivery text, claims text, attempts text, crashes text, grp text, target text,
		id text, type text, version text, "time" text, source text, data text, metadata text, key text, subject text,
		correlation_id text, causation_id text, traceparent text
	)
	LANGUAGE plpgsql ${planning} AS $$
	#variable_conflict use_column
	DECLARE
		request record;
		missing integer;
		wanted integer;
		share integer;
		took integer;
		position text;
		is_around boolean;
		is_done boolean;
		targets text[];
		capacities integer[];
		more_targets text[];
		more_capacities integer[];
		taken_seqs bigint[];
		claimed bigint[] := '{}';
	BEGIN
		PERFORM callhook.enter(ARRAY(SELECT each->>'grp' FROM jsonb_array_elements(requests) AS each));
		FOR request IN SELECT * FROM jsonb_to_recordset(requests) AS each (
			grp text, most integer, per_target integer, capacity jsonb, last text
		) LOOP
			PERFORM callhook.promote(request.grp, request.most);
			missing := request.most;
			position := request.last;
			is_around := request.last = '';
			is_done := false;
			WHILE missing > 0 AND NOT is_done LOOP
				targets := '{}';
				capacities := '{}';
				WHILE cardinality(targets) < missing AND NOT is_done LOOP
					wanted := missing - cardinality(targets);
					SELECT array_agg(found.target), array_agg(found.capacity) INTO more_targets, more_capacities
					FROM callhook.ready_targets(request.grp, position,
						CASE WHEN is_around AND request.last <> '' THEN request.last END,
						request.capacity, request.per_target, wanted) found;
					targets := targets || coalesce(more_targets, '{}');
					capacities := capacities || coalesce(more_capacities, '{}');
					IF coalesce(cardinality(more_targets), 0) = wanted THEN
						position := more_targets[wanted];
					ELSIF is_around THEN
						is_done := true;
					ELSE
						is_around := true;
						position := '';
					END IF;
				END LOOP;
				-- An equal share for each, then what is left over one by one.
				WHILE missing > 0 AND cardinality(targets) > 0 LOOP
					share := greatest(missing / cardinality(targets), 1);
					WITH taken AS MATERIALIZED (
						SELECT asked.place, d.seq, d.turn
						FROM unnest(targets, capacities) WITH ORDINALITY AS asked (target, capacity, place)
						CROSS JOIN LATERAL (
							SELECT d.seq, d.turn FROM callhook.delivery d
							WHERE d.grp = request.grp AND d.target = asked.target AND d.stage = 1
							ORDER BY d.turn, d.seq LIMIT least(asked.capacity, share) FOR UPDATE SKIP LOCKED
						) d
						WHERE asked.place <= missing
					), leased AS (
						UPDATE callhook.delivery d
						SET stage = 2, state = 'in_flight', attempts = d.attempts + 1, claims = d.claims + 1,
							due_at = callhook.clock() + lease * interval '1 millisecond'
						FROM taken WHERE d.seq = taken.seq RETURNING taken.place, taken.turn, d.seq
					), counted AS (
						SELECT leased.place, count(*) AS count FROM leased GROUP BY 1
					)
					SELECT
						(SELECT array_agg(leased.seq ORDER BY leased.place, leased.turn, leased.seq) FROM leased),
						array_agg(asked.target ORDER BY asked.place),
						array_agg(asked.capacity - coalesce(counted.count, 0)::integer ORDER BY asked.place)
					INTO taken_seqs, more_targets, more_capacities
					FROM unnest(targets, capacities) WITH ORDINALITY AS asked (target, capacity, place)
					LEFT JOIN counted ON counted.place = asked.place
					WHERE asked.place > missing OR (counted.count = share AND asked.capacity > share);
					took := coalesce(cardinality(taken_seqs), 0);
					claimed := claimed || coalesce(taken_seqs, '{}');
					missing := missing - took;
					targets := coalesce(more_targets, '{}');
					capacities := coalesce(more_capacities, '{}');
				END LOOP;
			END LOOP;
		END LOOP;
		-- Here and not around the function: whoever calls it does not see what was committed since the call began.
		RETURN QUERY SELECT d.seq::text, d.claims::text, d.attempts::text, d.crashes::text, d.grp, d.target,
			e.id, e.type, e.version::text, e.time, e.source, e.data, e.metadata, e.key, e.subject,
			e.correlation_id, e.causation_id, e.traceparent
		FROM unnest(claimed) WITH ORDINALITY AS c (seq, place)
		JOIN callhook.delivery d ON d.seq = c.seq JOIN callhook.event e ON e.seq = d.event
		ORDER BY c.place;
	END $$`,

	// How long until something of these groups is claimable or a lease ends.
	`CREATE OR REPLACE FUNCTION callhook.next_due(requests jsonb) RETURNS float8
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		request record;
		due timestamptz;
		soonest timestamptz;
	BEGIN
		PERFORM callhook.enter(ARRAY(SELECT each->>'grp' FROM jsonb_array_elements(requests) AS each));
		FOR request IN SELECT * FROM jsonb_to_recordset(requests) AS each (grp text, capacity jsonb) LOOP
			-- What a claim has not placed yet may be claimable.
			PERFORM FROM callhook.delivery d WHERE d.grp = request.grp AND d.stage = 0 LIMIT 1;
			IF FOUND THEN RETURN 0; END IF;
			PERFORM callhook.promote(request.grp, 0);
			PERFORM FROM callhook.ready_targets(request.grp, '', NULL, request.capacity, 1, 1);
			IF FOUND THEN RETURN 0; END IF;
			SELECT d.due_at INTO due FROM callhook.delivery d
			WHERE d.grp = request.grp AND d.stage = 2 ORDER BY d.due_at LIMIT 1;
			soonest := least(soonest, due);
		END LOOP;
		-- greatest() passes over NULL, which says that nothing is to come.
		IF soonest IS NULL THEN RETURN NULL; END IF;
		RETURN greatest(0, ceil(extract(epoch FROM soonest - callhook.clock()) * 1000));
	END $$`,
];

const claimSql = "SELECT * FROM callhook.claim($1::text::jsonb, $2::text::float8)";

/** Leases due deliveries. */
export async function claim(
	connection: Connection,
	turns: Turns,
	groups: GroupRequests,
	leaseMs: number,
): Promise<Claim[]> {
	const requests = [...groups].filter(([, { limit }]) => limit > 0);
	if (requests.length === 0) return [];
	const written = requests.map(([group, { limit, limitPerTarget, capacity }]) => ({
		...{ grp: toText(group), most: toCount(limit), per_target: toCount(limitPerTarget) },
		...{ capacity: writeCapacity(capacity), last: turns.get(group) ?? "" },
	}));
	const rows = await connection.all(claimSql, JSON.stringify(written), String(Math.ceil(leaseMs)));
	const claims = rows.map(showClaim);
	for (const { group, target } of claims) turns.set(group, target);
	return claims;
}

/** How long until something is claimable; `undefined` when nothing is to come. */
export async function nextDueInMs(
	connection: Connection,
	groups: GroupRequests,
): Promise<number | undefined> {
	const written = [...groups].map(([group, { capacity }]) => ({
		...{ grp: toText(group), capacity: writeCapacity(capacity) },
	}));
	const sql = "SELECT callhook.next_due($1::text::jsonb)::text AS due_in";
	const [row] = await connection.all(sql, JSON.stringify(written));
	return typeof row?.due_in === "string" ? Number(row.due_in) : undefined;
}

function writeCapacity(capacity: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
	return Object.fromEntries([...capacity].map(([target, count]) => [toText(target), toCount(count)]));
}

/** A count that an `integer` holds: Infinity is no limit. */
function toCount(count: number): number {
	return Math.max(0, Math.min(Math.floor(count), 1_000_000));
}

function showClaim(row: SqlRow): Claim {
	const { delivery, grp, target, attempts, claims, crashes } = row as Readonly<Record<string, string>>;
	return {
		token: `${delivery}.${claims}`,
		deliveryId: showDeliveryId(delivery as string),
		group: grp as string,
		target: target as string,
		attempt: Number(attempts),
		crashes: Number(crashes),
		event: readEvent(row),
	};
}

export function readEvent(row: SqlRow): StoredEvent {
	const { id, type, version, time, source, data, metadata, key, subject } = row;
	const fields = {
		...{ id, type, time, source, dataJson: data, metadataJson: metadata },
		version: typeof version === "string" ? Number(version) : undefined,
		...{ key: key ?? undefined, subject: subject ?? undefined },
		correlationId: row.correlation_id ?? undefined,
		causationId: row.causation_id ?? undefined,
		traceparent: row.traceparent ?? undefined,
	};
	return fields as StoredEvent;
}

/** Ids sort as their numbers do. */
export function showDeliveryId(seq: string): string {
	return `dlv_${seq.padStart(12, "0")}`;
}

export function parseDeliveryId(id: string): number {
	return /^dlv_\d{12,15}$/u.test(id) ? Number(id.slice(4)) : -1;
}

/** Takes a claim's token apart; numbers that no claim has for one that is none. */
export function parseToken(token: string): { readonly seq: number; readonly claims: number } {
	const match = /^(\d{1,15})\.(\d{1,15})$/u.exec(token);
	return match === null ? { seq: -1, claims: -1 } : { seq: Number(match[1]), claims: Number(match[2]) };
}
