import { isThenable } from "../../internal/deferred.ts";
import { invalidOption } from "../../internal/options.ts";
import type { AppendResult, NewEvent } from "../../outbox/ports.ts";
import { appendSteps, runSteps, type Steps } from "./append.ts";
import { Connection } from "./connection.ts";
import { isInTransaction, type SqliteDatabase, type SqlRow, type SqlValue } from "./driver.ts";

/**
 * Runs a statement in the caller's transaction and answers with its rows, if it has any, at once or later: how any driver or query
 * builder takes part, as in `(sql, values) => client.execute({ sql, args: [...values] }).then(({ rows }) => rows)`.
 */
export type SqliteQuery = (sql: string, values: readonly SqlValue[]) => unknown;

/** A transaction of the caller: a database on which one is open, or how to run a statement in it. */
export type SqliteTransaction = SqliteDatabase | SqliteQuery;

/** Appends in transactions of the caller, to tables with a prefix. */
export type AppendInTransaction = (
	tx: unknown,
	events: readonly NewEvent[],
	nowMs: number,
) => Promise<readonly AppendResult[]>;

export function createAppendInTransaction(prefix: string): AppendInTransaction {
	// With the statements that are prepared on each.
	const connections = new WeakMap<SqliteDatabase, Connection>();
	return async (tx, events, nowMs) => {
		const steps = appendSteps(events, nowMs);
		if (typeof tx === "function") return runWith(tx as SqliteQuery, prefix, steps);
		const database = readDatabase(tx);
		let connection = connections.get(database);
		if (connection === undefined) {
			connection = new Connection(database, prefix);
			connections.set(database, connection);
		}
		return runSteps(connection, steps);
	};
}

async function runWith<Result>(query: SqliteQuery, prefix: string, steps: Steps<Result>): Promise<Result> {
	let step = steps.next();
	while (step.done !== true) {
		const { sql, values, reads } = step.value;
		const answer: unknown = query(sql.replaceAll("callhook_", prefix), values);
		const rows: unknown = isThenable(answer) ? await answer : answer;
		if (reads && !Array.isArray(rows))
			throw invalidOption("tx", "a function that answers with an array of rows", rows);
		step = steps.next(rows as SqlRow[]);
	}
	return step.value;
}

function readDatabase(tx: unknown): SqliteDatabase {
	const { prepare } = (tx ?? {}) as Partial<SqliteDatabase>;
	// Without one, each row would be committed by itself, and no rollback would take it back.
	if (typeof prepare !== "function" || isInTransaction(tx as SqliteDatabase) === false) {
		const received = typeof prepare === "function" ? "a database without one" : tx;
		throw invalidOption("tx", "a database with an open transaction, or a query function", received);
	}
	return tx as SqliteDatabase;
}
