import { invalidOption } from "../../internal/options.ts";
import type { AppendResult, EndpointChange, NewEvent } from "../../outbox/ports.ts";
import { appendSql, readResults, writeBatch } from "./append.ts";
import { type Connection, renameIn } from "./connection.ts";
import type { PostgresResult, SqlRow, SqlValue } from "./driver.ts";
import { changesSql, readChanges } from "./endpoints.ts";
import { toStoreError } from "./postgres-error.ts";

/**
 * Runs a statement in the caller's transaction and answers with its rows, at once or later: how any driver or query
 * builder takes part, as in `(sql, values) => transaction.unsafe(sql, [...values])`.
 */
export type PostgresQuery = (
	sql: string,
	values: readonly SqlValue[],
) =>
	| readonly object[]
	| { readonly rows: readonly object[] }
	| PromiseLike<readonly object[] | { readonly rows: readonly object[] }>;

/** A transaction of the caller: a client of pg on which one is open, or how to run a statement in it. */
export type PostgresTransaction =
	| { query(text: string, values?: unknown[]): Promise<PostgresResult> }
	| PostgresQuery;

/** Adds events in the caller's transaction: what it waits for and whether it commits is the caller's business. */
export async function appendInTransaction(
	connection: Connection,
	schema: string,
	tx: unknown,
	events: readonly NewEvent[],
): Promise<readonly AppendResult[]> {
	const run = queryOf(tx);
	await connection.readyFor((sql) => run(sql, []));
	if (events.length === 0) return [];
	return readResults(events, await run(renameIn(schema, appendSql), [writeBatch(events)]));
}

/** The changes of endpoints, as the caller's transaction sees them. */
export async function listChangesInTransaction(
	connection: Connection,
	schema: string,
	tx: unknown,
	since: number,
	limit: number,
): Promise<EndpointChange[]> {
	const run = queryOf(tx);
	await connection.readyFor((sql) => run(sql, []));
	return readChanges(await run(renameIn(schema, changesSql), [String(since), String(limit)]));
}

function queryOf(tx: unknown): (sql: string, values: SqlValue[]) => Promise<readonly SqlRow[]> {
	const expected = "a client of pg with an open transaction, or a query function";
	if (typeof tx !== "function") {
		const { query, totalCount, getTransactionStatus } = (tx ?? {}) as Readonly<Record<string, unknown>>;
		if (typeof query !== "function") throw invalidOption("tx", expected, tx);
		// Each statement of a pool may run on another connection, and none of them in a transaction.
		if (totalCount !== undefined) throw invalidOption("tx", expected, "a pool");
		const status: unknown =
			typeof getTransactionStatus === "function" ? getTransactionStatus.call(tx) : undefined;
		if (status === "I") throw invalidOption("tx", expected, "a client without one");
	}
	return async (sql, values) => {
		let answer: unknown;
		try {
			answer = await (typeof tx === "function"
				? (tx as PostgresQuery)(sql, values)
				: (tx as { query(text: string, values: unknown[]): unknown }).query(sql, values));
		} catch (error) {
			throw toStoreError(error);
		}
		const rows: unknown = Array.isArray(answer) ? answer : (answer as Partial<PostgresResult> | null)?.rows;
		if (!Array.isArray(rows)) throw invalidOption("tx", "a function that answers with rows", answer);
		return rows as SqlRow[];
	};
}
