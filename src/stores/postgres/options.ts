import { checkDelayMs, checkOptions, invalidOption } from "../../internal/options.ts";
import type { PostgresPool } from "./driver.ts";

/** Where a PostgreSQL store keeps its tables, and how it gets there. */
export interface PostgresStoreOptions {
	/**
	 * The application's own `Pool` of pg. It stays open when the store is closed. With `max` of at least 2, one of its
	 * connections listens for news of other processes while an outbox runs.
	 */
	readonly pool: PostgresPool;
	/** The schema of the tables, which is the store's alone; it is made where there is none. Default `callhook`. */
	readonly schema?: string | undefined;
	/** How often, give or take a fifth, the store suggests to look for work: notifications may be lost. Default 1,000. */
	readonly pollMs?: number | undefined;
}

/** Options that were checked and have their defaults. */
export type PostgresStoreSettings = {
	readonly [Name in keyof PostgresStoreOptions]-?: NonNullable<PostgresStoreOptions[Name]>;
};

const knownOptions: readonly (keyof PostgresStoreOptions)[] = ["pool", "schema", "pollMs"];

/** What a message may show of a value: a connection string in place of the pool holds a password. */
const masked = (value: unknown): unknown => (typeof value === "string" ? "postgres://…" : value);

/** Checks options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readPostgresOptions(options: PostgresStoreOptions): PostgresStoreSettings {
	checkOptions("postgresStore", masked(options), knownOptions);
	const { pool, schema = "callhook", pollMs = 1_000 } = options ?? {};
	const { query, connect } = (pool ?? {}) as Partial<PostgresPool>;
	if (typeof query !== "function" || typeof connect !== "function") {
		throw invalidOption("pool", 'a Pool of pg ("npm install pg"), with query and connect', masked(pool));
	}
	// Names that begin with pg_ are PostgreSQL's own.
	if (typeof schema !== "string" || !/^(?!pg_)[a-z_][a-z0-9_]{0,39}$/iu.test(schema)) {
		throw invalidOption("schema", "a name of letters, digits and _", schema);
	}
	checkDelayMs("pollMs", pollMs, 10);
	return { pool, schema, pollMs };
}
