import type { Claim, GroupRequest, GroupRequests } from "../../outbox/ports.ts";
import { asBytes, textOf } from "./bytes.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";
import { eventColumns, readEvent } from "./event-row.ts";
import { damagedStore } from "./sqlite-error.ts";

/** Whose turn it is, by group: the last target that was served. In memory, since fairness need not survive. */
export type Turns = Map<string, string>;

interface TargetShare {
	readonly target: string;
	/** Ready deliveries, oldest first; never more than may be taken. */
	readonly seqs: number[];
}

/** A delivery to be leased. */
interface Pick {
	readonly seq: number;
	readonly group: string;
	readonly target: string;
}

// Retries of many targets may come due at once; more of them wait for the next claim.
const promotedAtOnce = 1_000;

const promoteDue = `
	UPDATE callhook_delivery SET stage = 0, state = CASE state WHEN 'in_flight' THEN 'waiting' ELSE state END,
		crashes = crashes + (state = 'in_flight')
	WHERE seq IN (
		SELECT seq FROM callhook_delivery WHERE grp = ? AND stage = 1 AND due_at <= ? ORDER BY due_at LIMIT ?
	)`;
const nextTarget = `
	SELECT ${asBytes("target")} FROM callhook_delivery d
	WHERE grp = ? AND stage = 0 AND d.target > ? ORDER BY d.target LIMIT 1`;
const readySeqs = `
	SELECT seq FROM callhook_delivery WHERE grp = ? AND target = ? AND stage = 0 ORDER BY turn, seq LIMIT ?`;
// Many rows in one statement: a call of SQLite costs more than what it does for a row.
const leaseSeqs = `
	UPDATE callhook_delivery SET stage = 1, state = 'in_flight', attempts = attempts + 1, claims = claims + 1, due_at = ?
	WHERE seq IN (SELECT value FROM json_each(?))`;
const readClaims = `
	SELECT d.seq, d.attempts, d.claims, d.crashes, ${asBytes("e.id")}, ${eventColumns} FROM callhook_delivery d
	LEFT JOIN callhook_event e ON e.seq = d.event WHERE d.seq IN (SELECT value FROM json_each(?))`;

/** Leases due deliveries: of each group one of each target in turn, until a limit or every target's capacity is reached. */
export function claim(
	connection: Connection,
	turns: Turns,
	groups: GroupRequests,
	leaseMs: number,
	nowMs: number,
): Claim[] {
	const picked: Pick[] = [];
	for (const [group, request] of groups) {
		connection.run(promoteDue, group, nowMs, promotedAtOnce);
		picked.push(...pickInTurn(connection, turns, group, request));
	}
	if (picked.length === 0) return [];
	const seqs = JSON.stringify(picked.map(({ seq }) => seq));
	connection.run(leaseSeqs, nowMs + Math.ceil(leaseMs), seqs);
	const rows = new Map(connection.all(readClaims, seqs).map((row) => [row.seq, row]));
	return picked.map((pick) => {
		const row = rows.get(pick.seq);
		if (row === undefined) throw damagedStore("an index does not agree with its table");
		return showClaim(pick, row);
	});
}

function pickInTurn(connection: Connection, turns: Turns, group: string, request: GroupRequest): Pick[] {
	const { limit } = request;
	const shares: TargetShare[] = [];
	for (const target of readyTargets(connection, group, turns.get(group) ?? "")) {
		const capacity = Math.min(request.capacity.get(target) ?? request.limitPerTarget, limit);
		if (capacity <= 0) continue;
		const rows = connection.all(readySeqs, group, target, capacity);
		shares.push({ target, seqs: rows.map(({ seq }) => seq as number) });
		if (shares.length === limit) break;
	}
	const picked: Pick[] = [];
	for (let round = 0; picked.length < limit; round++) {
		const before = picked.length;
		for (const { target, seqs } of shares) {
			const seq = seqs[round];
			if (seq === undefined || picked.length === limit) continue;
			picked.push({ seq, group, target });
			turns.set(group, target);
		}
		if (picked.length === before) break;
	}
	return picked;
}

/** The targets of a group with something ready, from the one behind `last` on and around. */
export function* readyTargets(connection: Connection, group: string, last: string): Generator<string> {
	let isAround = false;
	for (let from = last; ; ) {
		const row = connection.all(nextTarget, group, from)[0];
		if (row === undefined) {
			if (isAround) return;
			isAround = true;
			from = "";
			continue;
		}
		const target = textOf(row.target);
		if (isAround && target > last) return;
		yield target;
		from = target;
	}
}

function showClaim({ seq, group, target }: Pick, row: SqlRow): Claim {
	const claimed = {
		token: `${seq}.${Number(row.claims)}`,
		deliveryId: showDeliveryId(seq),
		...{ group, target, attempt: row.attempts as number, crashes: row.crashes as number },
	};
	const event = readEvent(row);
	if (event !== undefined) return { ...claimed, event };
	const id = textOf(row.id);
	const fields = { type: "", time: "", source: "", dataJson: "null", metadataJson: "{}" };
	const damage = damagedStore(`event "${id}" is missing, or its checksum is wrong`);
	return { ...claimed, event: { id, ...fields }, damage };
}

/** Ids sort as their numbers do. */
export function showDeliveryId(seq: number): string {
	return `dlv_${String(seq).padStart(12, "0")}`;
}

export function parseDeliveryId(id: string): number {
	return /^dlv_\d{12,15}$/u.test(id) ? Number(id.slice(4)) : -1;
}

/** Takes a claim's token apart; numbers that no claim has for one that is none. */
export function parseToken(token: string): readonly [seq: number, claims: number] {
	const match = /^(\d{1,15})\.(\d{1,15})$/u.exec(token);
	return match === null ? [-1, -1] : [Number(match[1]), Number(match[2])];
}
