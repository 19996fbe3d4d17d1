import type { DeliveryState, PruneRequest } from "../../outbox/ports.ts";
import { runSteps, takeNumbers } from "./append.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";
import { type Condition, conditionOf } from "./query.ts";
import { unblockLane } from "./settle.ts";

/** A piece of a change of many rows, so that none holds up the process for long. */
export interface Piece {
	readonly changed: number;
	/** Where the next piece begins; `undefined` behind the last. */
	readonly next: number | undefined;
}

const pieceSize = 1_000;

function pickPiece(
	connection: Connection,
	{ sql, values }: Condition,
	from: number,
	stage: string,
): SqlRow[] {
	return connection.all(
		`SELECT d.seq, d.lane IS NOT NULL AS is_in_lane FROM callhook_delivery d
		WHERE d.seq >= ? AND ${stage} AND ${sql} ORDER BY d.seq LIMIT ?`,
		...[from, ...values, pieceSize],
	);
}

function pieceOf(rows: readonly SqlRow[]): Piece {
	const last = rows.at(-1)?.seq as number | undefined;
	const isLast = last === undefined || rows.length < pieceSize;
	return { changed: rows.length, next: isLast ? undefined : last + 1 };
}

/** Ends deliveries that are not final. */
export function cancel(connection: Connection, condition: Condition, from: number, nowMs: number): Piece {
	const rows = pickPiece(connection, condition, from, "d.stage < 3");
	for (const { seq = null } of rows) {
		const end = "UPDATE callhook_delivery SET state = 'cancelled', stage = 3, ended_at = ? WHERE seq = ?";
		connection.run(end, nowMs, seq);
	}
	for (const { seq, is_in_lane } of rows) if (is_in_lane === 1) unblockLane(connection, seq as number, nowMs);
	return pieceOf(rows);
}

const revive = `
	UPDATE callhook_delivery SET state = 'pending', attempts = 0, crashes = 0, due_at = ?, ended_at = NULL, turn = ?,
		stage = CASE WHEN lane IS NOT NULL AND EXISTS (
			SELECT 1 FROM callhook_delivery o
			WHERE o.grp = callhook_delivery.grp AND o.target = callhook_delivery.target
				AND o.lane = callhook_delivery.lane AND o.stage < 3
		) THEN 2 ELSE 0 END
	WHERE seq = ?`;

/** Makes final deliveries pending again, last in their order. */
export function replay(connection: Connection, condition: Condition, from: number, nowMs: number): Piece {
	const rows = pickPiece(connection, condition, from, "d.stage = 3");
	if (rows.length === 0) return pieceOf(rows);
	let turn = runSteps(connection, takeNumbers(rows.length));
	for (const { seq = null } of rows) connection.run(revive, nowMs, turn++, seq);
	return pieceOf(rows);
}

const finalStates: readonly DeliveryState[] = ["delivered", "dead", "cancelled"];

/** Final rows in the order of their ends: state by state, as the index has them. */
function selectEnded(
	{ filter = {}, olderThanMs = 0 }: PruneRequest,
	nowMs: number,
	{
		columns,
		order,
		limit,
	}: { readonly columns: string; readonly order: "ASC" | "DESC"; readonly limit: number },
): Condition {
	const { sql, values } = conditionOf(filter);
	const states = filter.state === undefined ? finalStates : [filter.state];
	const ofState = `
		SELECT * FROM (
			SELECT ${columns} FROM callhook_delivery d
			WHERE d.stage = 3 AND d.state = ? AND d.ended_at <= ? AND ${sql}
			ORDER BY d.ended_at ${order}, d.seq ${order} LIMIT ?
		)`;
	return {
		sql: `(${states.map(() => ofState).join(" UNION ALL ")})`,
		values: states.flatMap((state) => [state, nowMs - olderThanMs, ...values, limit]),
	};
}

/** Forgets final deliveries and events that nobody needs; returns how many deliveries. */
export function prune(connection: Connection, request: PruneRequest, nowMs: number): number {
	const { filter, keep = 0, limit } = request;
	const oldest = selectEnded(request, nowMs, { columns: "d.seq, d.event, d.ended_at", order: "ASC", limit });
	const newest = selectEnded(request, nowMs, {
		columns: "d.seq, d.ended_at",
		order: "DESC",
		limit: keep + 1,
	});
	// The first that is not among the newest which stay. Of one state they stand in order already.
	const sorted = filter?.state === undefined ? "ORDER BY ended_at DESC, seq DESC" : "";
	const spared = `
		WHERE (ended_at, seq) <= (SELECT ended_at, seq FROM ${newest.sql} ${sorted} LIMIT 1 OFFSET ?)`;
	const rows = connection.all(
		`SELECT seq, event FROM ${oldest.sql} ${keep > 0 ? spared : ""} ORDER BY ended_at, seq LIMIT ?`,
		...[...oldest.values, ...(keep > 0 ? [...newest.values, keep] : []), limit],
	);
	for (const { seq = null, event = null } of rows) {
		connection.run("DELETE FROM callhook_attempt WHERE delivery = ?", seq);
		connection.run("DELETE FROM callhook_delivery WHERE seq = ?", seq);
		connection.run(
			`DELETE FROM callhook_event
			WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM callhook_delivery WHERE event = callhook_event.seq)`,
			event,
		);
	}
	return rows.length;
}

/** Forgets events without deliveries; returns how many. */
export function pruneEvents(
	connection: Connection,
	{ olderThanMs = 0, keep = 0, limit }: Omit<PruneRequest, "filter">,
	nowMs: number,
): number {
	const old = "SELECT seq FROM callhook_event WHERE bare_at <= ?";
	const spared = `AND (bare_at, seq) <= (
		SELECT bare_at, seq FROM callhook_event WHERE bare_at IS NOT NULL ORDER BY bare_at DESC, seq DESC LIMIT 1 OFFSET ?
	)`;
	return connection.run(
		`DELETE FROM callhook_event WHERE seq IN (${old} ${keep > 0 ? spared : ""} ORDER BY bare_at, seq LIMIT ?)`,
		...[nowMs - olderThanMs, ...(keep > 0 ? [keep] : []), limit],
	);
}
