import { CallhookError } from "../../errors.ts";
import { invalidOption } from "../../internal/options.ts";
import { Connection } from "./connection.ts";
import { openDatabase, type SqliteDatabase, type SqliteDriver } from "./driver.ts";
import { isBusy, toStoreError } from "./sqlite-error.ts";
import { migrate } from "./tables.ts";

export interface OpenOptions {
	readonly path: string | undefined;
	readonly database: SqliteDatabase | undefined;
	readonly driver: SqliteDriver | undefined;
	readonly prefix: string;
	readonly durability: "power" | "process";
	readonly exclusive: boolean;
}

/** A connection whose settings were checked and whose tables are up to date. */
export interface Opened {
	readonly connection: Connection;
	/** Whether no other process can have the file open. */
	readonly isAlone: boolean;
	/** The file; `undefined` for a database in memory. */
	readonly file: string | undefined;
	/** Whether the store opened it and so closes it. */
	readonly isOwn: boolean;
}

// While a connection waits for a lock the event loop stands still: afterwards the writer waits instead.
const openTimeoutMs = 5_000;
const statementTimeoutMs = 10;
// Of a file that is new: with events of 1 kB an append takes a fifth less time than with pages of 4 kB.
const pageBytes = 8_192;

/** The pragmas are set and read back: a SQLite may be built, or a file may be, so that they do not hold. */
export function open(options: OpenOptions): Opened {
	const { path, database, prefix, durability } = options;
	const synchronous = durability === "power" ? 2 : 1;
	if (database !== undefined) {
		const connection = new Connection(database, prefix);
		const [row] = database.prepare("SELECT 1 AS one").all();
		if ((row as { readonly one?: unknown } | undefined)?.one !== 1) {
			throw invalidOption("database", "a database that answers with objects and numbers, as by default", row);
		}
		expectPragma(connection, "journal_mode", "wal", "journal_mode = WAL");
		const set = Number(connection.pragma("synchronous"));
		if (set < synchronous) throw unsafe("synchronous", durability === "power" ? "FULL" : "NORMAL", set);
		migrate(connection);
		return { connection, isAlone: false, file: fileOf(connection), isOwn: false };
	}
	const opened = openFile(path as string, options.driver);
	const connection = new Connection(opened.database, prefix);
	// The SQLite in libsql 0.5 may damage a file that two connections write to: https://sqlite.org/wal.html#walresetbug
	const isAlone = options.exclusive || opened.driver === "libsql";
	try {
		connection.exec(`PRAGMA busy_timeout = ${isAlone ? 0 : openTimeoutMs}`);
		if (isAlone) setPragma(connection, "locking_mode", "exclusive");
		connection.exec(`PRAGMA page_size = ${pageBytes}`);
		setPragma(connection, "journal_mode", "wal");
		setPragma(connection, "synchronous", synchronous);
		setPragma(connection, "foreign_keys", 1);
		migrate(connection);
		connection.exec(`PRAGMA busy_timeout = ${statementTimeoutMs}`);
	} catch (error) {
		connection.close({ isAlone: false });
		throw isAlone && isBusy(error) ? inUse(path as string, opened.driver, error) : error;
	}
	return { connection, isAlone, file: fileOf(connection), isOwn: true };
}

function openFile(path: string, driver: SqliteDriver | undefined): ReturnType<typeof openDatabase> {
	try {
		return openDatabase(path, driver);
	} catch (error) {
		throw toStoreError(error);
	}
}

function setPragma(connection: Connection, name: string, value: string | number): void {
	connection.pragma(`${name} = ${value}`);
	expectPragma(connection, name, value, `${name} = ${value}`);
}

function expectPragma(
	connection: Connection,
	name: string,
	expected: string | number,
	setting: string,
): void {
	const received = connection.pragma(name);
	// In memory there is no journal.
	if (received === expected || (name === "journal_mode" && received === "memory")) return;
	throw unsafe(name, setting, received);
}

function unsafe(setting: string, expected: string, received: unknown): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_STORE_UNSAFE",
		`The SQLite store needs ${expected}, but ${setting} is ${String(received)}: what is stored could be lost. Set "PRAGMA ${expected}" on the database, or pass durability: "process" for synchronous = NORMAL`,
		{ setting, expected, received: String(received) },
	);
}

function inUse(path: string, driver: SqliteDriver, cause: unknown): CallhookError {
	const reason =
		driver === "libsql"
			? `the SQLite in libsql may damage a file that two connections write to. Stop the other process, pass its open database here, use Node 22.13 or later (node:sqlite), or PostgreSQL`
			: `it was opened with "exclusive". Stop the other process`;
	return new CallhookError(
		"ERR_CALLHOOK_STORE_IN_USE",
		`Another process or connection uses "${path}": ${reason}`,
		{ path },
		{ cause },
	);
}

function fileOf(connection: Connection): string | undefined {
	const file = connection.all("PRAGMA database_list").find(({ name }) => name === "main")?.file;
	return typeof file === "string" && file !== "" ? file : undefined;
}
