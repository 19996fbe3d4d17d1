import type { AppendResult, NewDelivery, NewEvent } from "../../outbox/ports.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import { checksumOf, writeEnvelope } from "./event-row.ts";
import { takeNumbersSql } from "./tables.ts";

/** A statement for whoever has the connection; where it reads, the rows are sent back. */
interface Step {
	readonly sql: string;
	readonly values: readonly SqlValue[];
	readonly reads: boolean;
}

/** What runs statements and gets their rows. */
export type Steps<Result> = Generator<Step, Result, readonly SqlRow[]>;

const eventColumns = "seq, id, type, envelope, data, checksum, idempotency_key, added_at, bare_at";
const deliveryColumns = "seq, event, grp, target, lane, turn, state, stage, due_at, added_at";
const insertEvents = insertOf("callhook_event", eventColumns);
const insertDeliveries = insertOf("callhook_delivery", deliveryColumns);
const countEvents = "SELECT count(*) AS count FROM callhook_event WHERE seq >= ? AND seq < ?";
const storedEvents = "SELECT seq FROM callhook_event WHERE seq >= ? AND seq < ?";
const targetsOf = "SELECT grp, target FROM callhook_delivery WHERE event = ?";
const busyLanes = `
	SELECT key FROM json_each(?) n WHERE EXISTS (
		SELECT 1 FROM callhook_delivery d
		WHERE d.grp = n.value ->> 0 AND d.target = n.value ->> 1 AND d.lane = n.value ->> 2 AND d.stage < 3
	)`;

/** A delivery on its way into the table. */
interface DeliveryRow extends NewDelivery {
	readonly seq: number;
	readonly event: number;
}

/**
 * Adds events with their deliveries: as steps, so that the same runs on the store's own connection at once and in a
 * transaction of the caller, which may answer later.
 */
export function* appendSteps(events: readonly NewEvent[], nowMs: number): Steps<AppendResult[]> {
	if (events.length === 0) return [];
	const count = events.reduce((sum, { deliveries }) => sum + deliveries.length, events.length);
	const first = yield* takeNumbers(count);
	const behind = first + events.length;
	yield* insert(insertEvents, events, (event, index) => eventValues(first + index, event, nowMs));
	const [row] = yield { sql: countEvents, values: [first, behind], reads: true };
	let stored: ReadonlySet<number> | undefined;
	if (Number(row?.count) !== events.length) {
		const rows = yield { sql: storedEvents, values: [first, behind], reads: true };
		stored = new Set(rows.map(({ seq }) => Number(seq)));
	}
	const isStored = (index: number): boolean => stored?.has(first + index) ?? true;
	let next = behind;
	const rows: DeliveryRow[] = [];
	for (const [index, event] of events.entries()) {
		if (!isStored(index)) continue;
		for (const delivery of onePerTarget(event.deliveries)) {
			rows.push({ ...delivery, seq: next++, event: first + index });
		}
	}
	yield* addDeliveries(rows, nowMs);
	return events.map((_, index) => (isStored(index) ? "stored" : "duplicate"));
}

/** Adds deliveries of an event that the store has, except to targets that have one; returns how many. */
export function* deliverySteps(
	event: number,
	deliveries: readonly NewDelivery[],
	nowMs: number,
): Steps<number> {
	let next = yield* takeNumbers(deliveries.length);
	const there = yield { sql: targetsOf, values: [event], reads: true };
	const known = new Set(there.map(({ grp, target }) => nameOf(grp, target)));
	const rows = onePerTarget(deliveries)
		.filter(({ group, target }) => !known.has(nameOf(group, target)))
		.map((delivery) => ({ ...delivery, seq: next++, event }));
	yield* addDeliveries(rows, nowMs);
	return rows.length;
}

const nameOf = (group: unknown, target: unknown): string => JSON.stringify([group, target]);

function onePerTarget(deliveries: readonly NewDelivery[]): readonly NewDelivery[] {
	if (deliveries.length < 2) return deliveries;
	const first = deliveries.map((each) => [nameOf(each.group, each.target), each] as const);
	return [...new Map(first.reverse()).values()].reverse();
}

/** The first unfinished delivery of a lane blocks those behind it. */
function* addDeliveries(rows: readonly DeliveryRow[], nowMs: number): Steps<void> {
	const laneOf = ({ group, target, orderKey }: DeliveryRow): string =>
		JSON.stringify([group, target, wellFormed(orderKey)]);
	const lanes = [...new Set(rows.filter(({ orderKey }) => orderKey !== undefined).map(laneOf))];
	const busy = new Set<string>();
	if (lanes.length > 0) {
		const found = yield { sql: busyLanes, values: [`[${lanes.join()}]`], reads: true };
		for (const { key } of found) busy.add(lanes[Number(key)] as string);
	}
	yield* insert(insertDeliveries, rows, (row) => {
		const { seq, event, group, target, orderKey, delayMs = 0 } = row;
		const dueAtMs = nowMs + Math.ceil(delayMs);
		let stage = dueAtMs > nowMs ? 1 : 0;
		if (orderKey !== undefined) {
			const lane = laneOf(row);
			if (busy.has(lane)) stage = 2;
			busy.add(lane);
		}
		return [seq, event, group, target, wellFormed(orderKey) ?? null, seq, "pending", stage, dueAtMs, nowMs];
	});
}

/** Half of a pair of UTF-16 is no UTF-8: a driver writes something else for it than JSON, and a lane would not be found. */
function wellFormed(key: string | undefined): string | undefined {
	return key?.replaceAll(/\p{Surrogate}/gu, "\u{fffd}");
}

/** Statements that insert so many rows. */
type Insert = readonly { readonly count: number; readonly sql: string }[];

// A call of SQLite costs as much as a row: with 32 rows a call, 1,000 events of 1 kB took 7 ms instead of 10. No more than
// 999 values, which an older SQLite takes: https://sqlite.org/limits.html#max_variable_number
function insertOf(table: string, columns: string): Insert {
	const row = `(${columns.replaceAll(/\w+/gu, "?")})`;
	return [32, 8, 1].map((count) => ({
		count,
		sql: `INSERT INTO ${table} (${columns}) VALUES ${Array(count).fill(row).join()} ON CONFLICT DO NOTHING`,
	}));
}

function* insert<Row>(
	statements: Insert,
	rows: readonly Row[],
	valuesOf: (row: Row, index: number) => readonly SqlValue[],
): Steps<void> {
	let index = 0;
	for (const { count, sql } of statements) {
		while (rows.length - index >= count) {
			const values: SqlValue[] = [];
			for (const end = index + count; index < end; index++) {
				values.push(...valuesOf(rows[index] as Row, index));
			}
			yield { sql, values, reads: false };
		}
	}
}

/** Takes the next `count` numbers, which no row has had; returns the first. */
export function* takeNumbers(count: number): Steps<number> {
	const [row] = yield { sql: takeNumbersSql, values: [count], reads: true };
	return Number(row?.value) - count + 1;
}

const noRows: readonly SqlRow[] = [];

/** Runs steps on a connection. */
export function runSteps<Result>(connection: Connection, steps: Steps<Result>): Result {
	let step = steps.next();
	while (step.done !== true) {
		const { sql, values, reads } = step.value;
		if (reads) {
			step = steps.next(connection.all(sql, ...values));
		} else {
			connection.run(sql, ...values);
			step = steps.next(noRows);
		}
	}
	return step.value;
}

function eventValues(
	seq: number,
	{ event, idempotencyKey, deliveries }: NewEvent,
	nowMs: number,
): readonly SqlValue[] {
	const { id, type, dataJson } = event;
	const envelope = writeEnvelope(event);
	const bareAtMs = deliveries.length === 0 ? nowMs : null;
	const checksum = checksumOf(envelope, dataJson);
	return [seq, id, type, envelope, dataJson, checksum, idempotencyKey ?? null, nowMs, bareAtMs];
}
