import { createRequire } from "node:module";
import type { SqliteDatabase } from "../../../src/stores/sqlite/index.ts";

/** The class of a driver's databases. */
export function databaseClass(driver: "libsql" | "node:sqlite"): new (path: string) => SqliteDatabase {
	if (driver === "libsql") return createRequire(import.meta.url)("libsql");
	const module = process.getBuiltinModule("node:sqlite") as unknown as {
		readonly DatabaseSync: new (path: string) => SqliteDatabase;
	};
	return module.DatabaseSync;
}

/** Opens a database as an application does that hands it to `sqliteStore({ database })`. */
export function openDatabase(path: string, driver: "libsql" | "node:sqlite"): SqliteDatabase {
	const database = new (databaseClass(driver))(path);
	database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
	return database;
}
