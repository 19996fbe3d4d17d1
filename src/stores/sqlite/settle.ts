import type { Settlement, SettleTo } from "../../outbox/ports.ts";
import { deliverySteps, runSteps } from "./append.ts";
import { parseToken } from "./claim.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";

// The fence: who claimed it, that nobody did since, and that the lease has not ended.
const isHeld = "seq = ? AND claims = ? AND state = 'in_flight' AND due_at > ?";

// Most settlements say that a delivery was made: all of them in one statement.
const finish = `
	UPDATE callhook_delivery SET state = ?, stage = 3, ended_at = ?
	FROM (SELECT value ->> 0 AS seq, value ->> 1 AS claims FROM json_each(?)) held
	WHERE callhook_delivery.seq = held.seq AND callhook_delivery.claims = held.claims
		AND state = 'in_flight' AND due_at > ?
	RETURNING callhook_delivery.seq, callhook_delivery.claims, lane IS NOT NULL AS is_in_lane`;
const putOff = `
	UPDATE callhook_delivery SET state = 'waiting', stage = ?, due_at = ? WHERE ${isHeld} RETURNING seq`;
const takeAway = `
	UPDATE callhook_delivery SET stage = 3 WHERE ${isHeld} RETURNING seq, event, lane IS NOT NULL AS is_in_lane`;
const forgetAttempts = `
	DELETE FROM callhook_attempt WHERE delivery = (SELECT seq FROM callhook_delivery WHERE ${isHeld})`;
const giveBack = `
	UPDATE callhook_delivery SET state = CASE attempts WHEN 1 THEN 'pending' ELSE 'waiting' END, stage = ?,
		attempts = attempts - 1, due_at = ?
	WHERE ${isHeld}`;
const prolong = `UPDATE callhook_delivery SET due_at = ? WHERE ${isHeld}`;
const logAttempts = `
	INSERT INTO callhook_attempt (delivery, record) SELECT value ->> 0, value ->> 1 FROM json_each(?)`;
const unblockNext = `
	UPDATE callhook_delivery SET stage = CASE WHEN due_at > ? THEN 1 ELSE 0 END
	WHERE stage = 2 AND seq = (
		SELECT n.seq FROM callhook_delivery d
		JOIN callhook_delivery n ON n.grp = d.grp AND n.target = d.target AND n.lane = d.lane
		WHERE d.seq = ? AND n.stage < 3 ORDER BY n.turn, n.seq LIMIT 1
	)`;
const markBare = `
	UPDATE callhook_event SET bare_at = ?
	WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM callhook_delivery WHERE event = callhook_event.seq)`;

/**
 * Writes what became of claims; `lost` where the lease ended and another claim or nobody owns the delivery. Of two
 * settlements of one claim the first counts. `onScheduled` is called where something else comes of it.
 */
export function settle(
	connection: Connection,
	settlements: readonly Settlement[],
	nowMs: number,
	onScheduled: () => void,
): ("ok" | "lost")[] {
	const first = new Map<string, Settlement>();
	// In their order: what is routed gets its place in it.
	for (const each of settlements) if (!first.has(each.token)) first.set(each.token, each);
	const ended = new Map<string, SqlRow>();
	for (const state of ["delivered", "dead", "cancelled"] as const) {
		const tokens = [...first.values()].filter(({ to }) => to.state === state).map(({ token }) => token);
		if (tokens.length === 0) continue;
		// Of one delivery there may be two, of which one is valid.
		const held = new Map(tokens.map((token) => [parseToken(token).join(","), token]));
		const pairs = JSON.stringify(tokens.map(parseToken));
		for (const row of connection.all(finish, state, nowMs, pairs, nowMs)) {
			const { seq, claims } = row as Record<"seq" | "claims", number>;
			ended.set(held.get(`${seq},${claims}`) as string, row);
		}
	}
	for (const { token, to } of first.values()) {
		const row =
			to.state === "waiting" || to.state === "routed" ? goOn(connection, token, to, nowMs) : undefined;
		if (row !== undefined) {
			ended.set(token, row);
			onScheduled();
		}
	}
	const records = [...first.values()].flatMap(({ token, to, attempt }) => {
		const row = ended.get(token);
		return row === undefined || attempt === undefined || to.state === "routed"
			? []
			: [[row.seq, JSON.stringify(attempt)]];
	});
	if (records.length > 0) connection.run(logAttempts, JSON.stringify(records));
	for (const { seq, is_in_lane } of ended.values()) {
		if (is_in_lane !== 1) continue;
		unblockLane(connection, seq as number, nowMs);
		onScheduled();
	}
	return settlements.map((settlement) =>
		first.get(settlement.token) === settlement && ended.has(settlement.token) ? "ok" : "lost",
	);
}

/** Settles a claim that is not the end of its delivery; the row as it was, if the claim was held. */
function goOn(
	connection: Connection,
	token: string,
	to: Extract<SettleTo, { readonly state: "waiting" | "routed" }>,
	nowMs: number,
): SqlRow | undefined {
	const held = [...parseToken(token), nowMs];
	if (to.state === "waiting") {
		const dueAtMs = nowMs + Math.ceil(to.retryInMs);
		return connection.all(putOff, dueAtMs > nowMs ? 1 : 0, dueAtMs, ...held)[0];
	}
	connection.run(forgetAttempts, ...held);
	const [row] = connection.all(takeAway, ...held);
	if (row === undefined) return undefined;
	const { seq, event, is_in_lane } = row as Record<"seq" | "event" | "is_in_lane", number>;
	if (is_in_lane === 1) unblockLane(connection, seq, nowMs);
	connection.run("DELETE FROM callhook_delivery WHERE seq = ?", seq);
	if (to.deliveries.length > 0) runSteps(connection, deliverySteps(event, to.deliveries, nowMs));
	connection.run(markBare, nowMs, event);
	return {};
}

/** A delivery has ended or gone: the next of its lane may be claimed. */
export function unblockLane(connection: Connection, seq: number, nowMs: number): void {
	connection.run(unblockNext, nowMs, seq);
}

/** Gives a claim back as if it had not been made, unless its lease has ended. */
export function release(connection: Connection, token: string, delayMs: number, nowMs: number): void {
	const dueAtMs = nowMs + Math.ceil(delayMs);
	connection.run(giveBack, dueAtMs > nowMs ? 1 : 0, dueAtMs, ...parseToken(token), nowMs);
}

/** Makes a lease end later; answers whether it had not ended already. */
export function extend(connection: Connection, token: string, leaseMs: number, nowMs: number): boolean {
	return connection.run(prolong, nowMs + Math.ceil(leaseMs), ...parseToken(token), nowMs) > 0;
}
