import { isoTime } from "../../internal/iso-time.ts";
import type {
	AttemptRecord,
	DeliveryFilter,
	DeliveryState,
	GroupRequests,
	Page,
	PageRequest,
	StoredDelivery,
	TargetStats,
} from "../../outbox/ports.ts";
import { asBytes, textOf } from "./bytes.ts";
import { parseDeliveryId, readyTargets, showDeliveryId } from "./claim.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import { damagedStore } from "./sqlite-error.ts";

/** A condition on `callhook_delivery d`, with what to bind. */
export interface Condition {
	readonly sql: string;
	readonly values: readonly SqlValue[];
}

/** What a filter picks. */
export function conditionOf(filter: DeliveryFilter): Condition {
	const { ids, eventId, group, groupPrefix, target, type, state, since, until } = filter;
	const parts: [sql: string, value: SqlValue | undefined][] = [
		["d.seq IN (SELECT value FROM json_each(?))", ids && JSON.stringify(ids.map(parseDeliveryId))],
		["d.event = (SELECT seq FROM callhook_event WHERE id = ?)", eventId],
		["d.grp = ?", group],
		["instr(d.grp, ?) = 1", groupPrefix],
		["d.target = ?", target],
		["EXISTS (SELECT 1 FROM callhook_event e WHERE e.seq = d.event AND e.type = ?)", type],
		["d.state = ?", state],
		["d.added_at >= ?", since && Date.parse(since)],
		["d.added_at < ?", until && Date.parse(until)],
	];
	const given = parts.filter(([, value]) => value !== undefined);
	return {
		sql: ["true", ...given.map(([sql]) => sql)].join(" AND "),
		values: given.map(([, value]) => value as SqlValue),
	};
}

const blocker = `(
	SELECT o.seq FROM callhook_delivery o
	WHERE o.grp = d.grp AND o.target = d.target AND o.lane = d.lane AND o.stage < 3
	ORDER BY o.turn, o.seq LIMIT 1
)`;

export function query(
	connection: Connection,
	filter: DeliveryFilter,
	{ limit = 50, cursor }: PageRequest,
): Page<StoredDelivery> {
	const { sql, values } = conditionOf(filter);
	const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : parseDeliveryId(cursor);
	const rows = connection.all(
		`SELECT d.seq, d.stage, d.due_at, d.added_at, d.ended_at, d.lane IS NULL AS is_unordered,
			CASE d.stage WHEN 2 THEN ${blocker} END AS blocker,
			${["d.grp", "d.target", "d.lane", "d.state", "e.id", "e.type"].map(asBytes).join()}
		FROM callhook_delivery d LEFT JOIN callhook_event e ON e.seq = d.event
		WHERE d.seq < ? AND ${sql} ORDER BY d.seq DESC LIMIT ?`,
		...[before, ...values, limit + 1],
	);
	const shown = rows.slice(0, limit);
	const attempts = readAttempts(connection, shown);
	const items = shown.map((row) => showDelivery(row, attempts.get(row.seq as number) ?? []));
	return rows.length > limit ? { items, cursor: items.at(-1)?.id } : { items };
}

function readAttempts(connection: Connection, deliveries: readonly SqlRow[]): Map<number, AttemptRecord[]> {
	const byDelivery = new Map<number, AttemptRecord[]>();
	const rows = connection.all(
		`SELECT delivery, ${asBytes("record")} FROM callhook_attempt WHERE delivery IN (SELECT value FROM json_each(?)) ORDER BY seq`,
		JSON.stringify(deliveries.map(({ seq }) => seq)),
	);
	for (const { delivery, record } of rows) {
		const attempts = byDelivery.get(delivery as number) ?? [];
		attempts.push(readRecord(textOf(record)));
		byDelivery.set(delivery as number, attempts);
	}
	return byDelivery;
}

function readRecord(json: string): AttemptRecord {
	try {
		return JSON.parse(json) as AttemptRecord;
	} catch (error) {
		throw damagedStore("the record of an attempt is no JSON", error);
	}
}

function showDelivery(row: SqlRow, attempts: readonly AttemptRecord[]): StoredDelivery {
	const isFinal = row.stage === 3;
	return {
		id: showDeliveryId(row.seq as number),
		eventId: textOf(row.id),
		type: textOf(row.type),
		group: textOf(row.grp),
		target: textOf(row.target),
		state: textOf(row.state) as DeliveryState,
		orderKey: row.is_unordered === 1 ? undefined : textOf(row.lane),
		blockedBy: typeof row.blocker === "number" ? showDeliveryId(row.blocker) : undefined,
		attempts,
		addedAt: isoTime(row.added_at as number),
		...(isFinal
			? { endedAt: isoTime(row.ended_at as number) }
			: { nextAttemptAt: isoTime(row.due_at as number) }),
	};
}

const countStates = `
	SELECT ${["grp", "target", "state"].map(asBytes).join()}, count(*) AS count FROM callhook_delivery
	WHERE seq >= ? AND seq < ? GROUP BY 1, 2, 3`;

/** Counts in pieces, so that a million rows do not stop the process for a tenth of a second: a turn for each. */
export function* countByTarget(connection: Connection): Generator<void, TargetStats[]> {
	const chunk = 5_000;
	const [bounds] = connection.all("SELECT min(seq) AS first, max(seq) AS last FROM callhook_delivery");
	const targets = new Map<string, TargetStats & { readonly states: Record<DeliveryState, number> }>();
	const last = (bounds?.last ?? -1) as number;
	for (let from = (bounds?.first ?? 0) as number; from <= last; from += chunk) {
		for (const row of connection.all(countStates, from, from + chunk)) {
			const [group, target] = [textOf(row.grp), textOf(row.target)];
			const name = JSON.stringify([group, target]);
			let entry = targets.get(name);
			if (entry === undefined) {
				const states = { pending: 0, in_flight: 0, waiting: 0, delivered: 0, dead: 0, cancelled: 0 };
				entry = { group, target, states };
				targets.set(name, entry);
			}
			entry.states[textOf(row.state) as DeliveryState] += row.count as number;
		}
		yield;
	}
	return [...targets.values()];
}

const nextDue = "SELECT min(due_at) AS due_at FROM callhook_delivery WHERE grp = ? AND stage = 1";

/** When the next delivery of these groups is claimable, or a lease ends; `undefined` when none is to come. */
export function nextDueAtMs(
	connection: Connection,
	groups: GroupRequests,
	nowMs: number,
): number | undefined {
	let next: number | undefined;
	for (const [group, { capacity }] of groups) {
		for (const target of readyTargets(connection, group, "")) if (capacity.get(target) !== 0) return nowMs;
		const dueAtMs = connection.all(nextDue, group)[0]?.due_at;
		if (typeof dueAtMs === "number") next = Math.min(next ?? dueAtMs, dueAtMs);
	}
	return next;
}
