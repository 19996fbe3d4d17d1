import { createRequire } from "node:module";
import { CallhookError } from "../../errors.ts";

/** What SQLite takes and gives. */
export type SqlValue = string | number | null | Uint8Array | ArrayBuffer;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** What `node:sqlite`, `better-sqlite3` and `libsql` have in common. */
export interface SqliteDatabase {
	exec(sql: string): unknown;
	prepare(sql: string): SqliteStatement;
	close(): unknown;
}

/** Whether a transaction is open on a database; `undefined` where its driver does not say. */
export function isInTransaction(database: SqliteDatabase): boolean | undefined {
	const { open, isOpen } = database as { readonly open?: boolean; readonly isOpen?: boolean };
	// libsql 0.5 ends the process that asks a closed one.
	if (open === false || isOpen === false) return false;
	const { inTransaction, isTransaction } = database as {
		readonly inTransaction?: boolean;
		readonly isTransaction?: boolean;
	};
	return inTransaction ?? isTransaction;
}

export interface SqliteStatement {
	run(...values: SqlValue[]): { readonly changes: number | bigint };
	all(...values: SqlValue[]): unknown[];
}

export type SqliteDriver = "node:sqlite" | "libsql";

/** An open database, and the driver that opened it. */
export interface OpenedDatabase {
	readonly database: SqliteDatabase;
	readonly driver: SqliteDriver;
}

type DatabaseClass = new (path: string) => SqliteDatabase;

/** Opens a file with the driver given, else with the first there is; throws ERR_CALLHOOK_DRIVER_MISSING. */
export function openDatabase(path: string, driver: SqliteDriver | undefined): OpenedDatabase {
	const drivers: readonly SqliteDriver[] = driver === undefined ? ["node:sqlite", "libsql"] : [driver];
	for (const name of drivers) {
		const Database = name === "libsql" ? loadLibsql() : loadNodeSqlite();
		if (Database !== undefined) return { database: new Database(path), driver: name };
	}
	throw new CallhookError(
		"ERR_CALLHOOK_DRIVER_MISSING",
		`sqliteStore() found no SQLite: Node ${process.version} has no ${drivers.join(" and there is no ")}; run "npm install libsql", use Node 22.13 or later, or pass a database`,
		{ tried: drivers },
	);
}

function loadNodeSqlite(): DatabaseClass | undefined {
	// No import: where Node lacks the module, that would fail before anybody could choose another.
	const module = process.getBuiltinModule("node:sqlite") as { DatabaseSync: DatabaseClass } | undefined;
	return module?.DatabaseSync;
}

function loadLibsql(): DatabaseClass | undefined {
	try {
		return createRequire(import.meta.url)("libsql") as DatabaseClass;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return undefined;
		throw error;
	}
}
