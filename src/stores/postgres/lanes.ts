/**
 * Deliveries of one order key stand in a lane: one of them is open (ready or scheduled), the others are blocked behind it.
 *
 * An append that saw an open delivery, and the settlement that ended it at the same time without seeing what was appended,
 * would leave the lane stuck for ever. So an append takes no look and no lock: it marks its deliveries as entering. Whoever
 * looks for work then places them, and whoever ends one opens the next, both under the lane's lock, which is held until
 * the commit. Locks come before rows and both in their order, so that no two wait for each other.
 */

/** How the functions run: each by its own indexes, whatever the statistics of a young table say. */
export const planning = `
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
	SET enable_sort = off SET enable_incremental_sort = off SET jit = off SET plan_cache_mode = force_generic_plan`;

// The lock table of a server has some thousand places: a transaction with more lanes than these locks them all.
const lanesAtOnce = 100;
const enteredAtOnce = 500;

export const laneFunctions: readonly string[] = [
	`CREATE OR REPLACE FUNCTION callhook.lane_key(grp text, target text, lane text) RETURNS bigint
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$ SELECT hashtextextended(concat_ws(chr(10), 'callhook_channel', grp, target, lane), 0) $$`,

	// Each statement of a function sees what was committed before it, so also what a lock was waited for.
	`CREATE OR REPLACE FUNCTION callhook.lock_lanes(keys bigint[]) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		everything CONSTANT bigint := hashtextextended('callhook_channel', 0);
	BEGIN
		IF keys IS NULL THEN RETURN; END IF;
		IF cardinality(keys) > ${lanesAtOnce} THEN
			PERFORM pg_advisory_xact_lock(everything);
			RETURN;
		END IF;
		PERFORM pg_advisory_xact_lock_shared(everything);
		PERFORM pg_advisory_xact_lock(sorted.key)
		FROM (SELECT DISTINCT given.key FROM unnest(keys) AS given (key) ORDER BY given.key OFFSET 0) sorted;
	END $$`,

	// Places what was appended: the first of a lane without an open delivery is open, the others are blocked.
	`CREATE OR REPLACE FUNCTION callhook.enter(grps text[]) RETURNS void LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		entering bigint[];
		keys bigint[];
		at timestamptz;
	BEGIN
		SELECT array_agg(found.seq), array_agg(callhook.lane_key(found.grp, found.target, found.lane))
		INTO entering, keys
		FROM unnest(grps) AS named (grp) CROSS JOIN LATERAL (
			SELECT d.seq, d.grp, d.target, d.lane FROM callhook.delivery d
			WHERE d.grp = named.grp AND d.stage = 0 ORDER BY d.turn LIMIT ${enteredAtOnce}
		) found;
		IF entering IS NULL THEN RETURN; END IF;
		PERFORM callhook.lock_lanes(keys);
		at := callhook.clock();
		WITH found AS MATERIALIZED (
			SELECT d.seq, d.grp, d.target, d.lane,
				row_number() OVER (PARTITION BY d.grp, d.target, d.lane ORDER BY d.turn, d.seq) AS place
			FROM unnest(entering) AS given (seq) JOIN callhook.delivery d ON d.seq = given.seq WHERE d.stage = 0
		)
		UPDATE callhook.delivery d SET stage = CASE
			WHEN found.place > 1 OR EXISTS (
				SELECT FROM callhook.delivery o
				WHERE o.grp = found.grp AND o.target = found.target AND o.lane = found.lane AND o.stage IN (1, 2)
			) THEN 3
			WHEN d.due_at > at THEN 2
			ELSE 1
		END
		FROM found WHERE d.seq = found.seq;
	END $$`,

	// The first blocked delivery of each lane may be claimed, where none is open: deliveries have ended or gone.
	`CREATE OR REPLACE FUNCTION callhook.open_lanes(grps text[], targets text[], lanes text[], at timestamptz)
	RETURNS void LANGUAGE plpgsql ${planning} AS $$
	BEGIN
		IF grps IS NULL THEN RETURN; END IF;
		WITH ended AS MATERIALIZED (
			SELECT DISTINCT given.grp, given.target, given.lane FROM unnest(grps, targets, lanes) AS given (grp, target, lane)
		), first AS MATERIALIZED (
			SELECT (
				SELECT d.seq FROM callhook.delivery d
				WHERE d.grp = ended.grp AND d.target = ended.target AND d.lane = ended.lane AND d.stage = 3
				ORDER BY d.turn, d.seq LIMIT 1
			) AS seq
			FROM ended WHERE NOT EXISTS (
				SELECT FROM callhook.delivery o
				WHERE o.grp = ended.grp AND o.target = ended.target AND o.lane = ended.lane AND o.stage IN (1, 2)
			)
		)
		UPDATE callhook.delivery d SET stage = CASE WHEN d.due_at > at THEN 2 ELSE 1 END
		FROM first WHERE d.seq = first.seq;
	END $$`,
];
