import type {
	AttemptRecord,
	DeliveryFilter,
	DeliveryState,
	Page,
	PageRequest,
	StoredDelivery,
	TargetStats,
} from "../../outbox/ports.ts";
import { toText } from "./append.ts";
import { parseDeliveryId, showDeliveryId } from "./claim.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow, SqlValue } from "./driver.ts";

/** A condition on `callhook.delivery d`, with what to bind. */
export interface Condition {
	readonly sql: string;
	readonly values: readonly SqlValue[];
}

/** What a filter picks; `first` is the number of its first parameter. */
export function conditionOf(filter: DeliveryFilter, first: number): Condition {
	const { ids, eventId, group, groupPrefix, target, type, state, since, until } = filter;
	const parts: [sql: (value: string) => string, value: string | undefined][] = [
		[(value) => `d.seq = ANY (${value}::bigint[])`, ids && `{${ids.map(parseDeliveryId).join(",")}}`],
		[(value) => `d.event = (SELECT e.seq FROM callhook.event e WHERE e.id = ${value})`, eventId],
		[(value) => `d.grp = ${value}`, group],
		[(value) => `starts_with(d.grp, ${value})`, groupPrefix],
		[(value) => `d.target = ${value}`, target],
		[(value) => `EXISTS (SELECT FROM callhook.event e WHERE e.seq = d.event AND e.type = ${value})`, type],
		[(value) => `d.state = ${value}`, state],
		[(value) => `d.added_at >= ${value}::timestamptz`, momentOf(since)],
		[(value) => `d.added_at < ${value}::timestamptz`, momentOf(until)],
	];
	const given = parts.filter(([, value]) => value !== undefined);
	return {
		sql: ["true", ...given.map(([sql], index) => sql(`$${first + index}::text`))].join(" AND "),
		values: given.map(([, value]) => toText(value as string)),
	};
}

/** A moment as the server reads it: years before 1 and behind 9999, as JavaScript writes them, it does not. */
export function momentOf(time: string | undefined): string | undefined {
	if (time === undefined || /^(?!0000)\d/u.test(time)) return time;
	return time.startsWith("+") ? "infinity" : "-infinity";
}

/** A moment in RFC 3339, UTC, written by the server: drivers read times in many ways. */
function timeOf(column: string): string {
	return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** The open one of its lane; before a claim has placed any, the first. */
const blocker = `(
	SELECT o.seq::text FROM callhook.delivery o
	WHERE o.grp = d.grp AND o.target = d.target AND o.lane = d.lane AND o.stage < 4 AND o.seq <> d.seq
		AND (o.stage IN (1, 2) OR (o.turn, o.seq) < (d.turn, d.seq))
	ORDER BY o.stage NOT IN (1, 2), o.turn, o.seq LIMIT 1
)`;

export async function query(
	connection: Connection,
	filter: DeliveryFilter,
	{ limit = 50, cursor }: PageRequest,
): Promise<Page<StoredDelivery>> {
	const { sql, values } = conditionOf(filter, 3);
	const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : parseDeliveryId(cursor);
	const rows = await connection.all(
		`SELECT d.seq::text AS seq, d.grp, d.target, d.lane, d.state, e.id AS event_id, e.type,
			CASE WHEN d.stage IN (0, 3) THEN ${blocker} END AS blocker,
			${timeOf("d.added_at")} AS added_at, ${timeOf("d.ended_at")} AS ended_at,
			CASE WHEN d.stage < 4 THEN ${timeOf("d.due_at")} END AS due_at,
			(SELECT json_agg(a.record ORDER BY a.seq) FROM callhook.attempt a WHERE a.delivery = d.seq)::text AS attempts
		FROM (
			SELECT * FROM callhook.delivery d WHERE d.seq < $1::text::bigint AND ${sql}
			ORDER BY d.seq DESC LIMIT $2::text::bigint
		) d
		JOIN callhook.event e ON e.seq = d.event ORDER BY d.seq DESC`,
		...[String(before), String(limit + 1), ...values],
	);
	const items = rows.slice(0, limit).map(showDelivery);
	return rows.length > limit ? { items, cursor: items.at(-1)?.id } : { items };
}

function showDelivery(row: SqlRow): StoredDelivery {
	const {
		seq,
		event_id,
		type,
		grp,
		target,
		lane,
		blocker: blockedBy,
		state,
	} = row as Readonly<Record<string, string>>;
	const { added_at, ended_at, due_at, attempts } = row as Readonly<Record<string, string>>;
	const records = JSON.parse(attempts ?? "[]") as string[];
	return {
		id: showDeliveryId(seq as string),
		eventId: event_id as string,
		type: type as string,
		group: grp as string,
		target: target as string,
		state: state as DeliveryState,
		orderKey: lane ?? undefined,
		blockedBy: typeof blockedBy === "string" ? showDeliveryId(blockedBy) : undefined,
		attempts: records.map((record) => JSON.parse(record) as AttemptRecord),
		addedAt: added_at as string,
		...(typeof ended_at === "string" ? { endedAt: ended_at } : { nextAttemptAt: due_at }),
	};
}

/** Counts deliveries by target and state. */
export async function countByTarget(connection: Connection): Promise<TargetStats[]> {
	const targets = new Map<string, TargetStats & { readonly states: Record<DeliveryState, number> }>();
	const sql = "SELECT grp, target, state, count(*)::text AS count FROM callhook.delivery GROUP BY 1, 2, 3";
	for (const row of await connection.all(sql)) {
		const { grp: group, target, state, count } = row as Readonly<Record<string, string>>;
		const name = JSON.stringify([group, target]);
		let entry = targets.get(name);
		if (entry === undefined) {
			const states = { pending: 0, in_flight: 0, waiting: 0, delivered: 0, dead: 0, cancelled: 0 };
			entry = { group: group as string, target: target as string, states };
			targets.set(name, entry);
		}
		entry.states[state as DeliveryState] += Number(count);
	}
	return [...targets.values()];
}
