export type { PostgresClient, PostgresPool, PostgresResult } from "./driver.ts";
export type { PostgresStoreOptions } from "./options.ts";
export { postgresStore } from "./store.ts";
export type { PostgresQuery, PostgresTransaction } from "./transaction.ts";
