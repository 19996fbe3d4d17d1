export type { SqliteDatabase, SqliteDriver, SqliteStatement, SqlValue } from "./driver.ts";
export type { SqliteStoreOptions } from "./options.ts";
export { sqliteStore } from "./store.ts";
export type { SqliteQuery, SqliteTransaction } from "./transaction.ts";
