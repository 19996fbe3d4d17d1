import { randomUUID } from "node:crypto";
import { Pool, type PoolConfig } from "pg";
import type { PostgresPool } from "../../src/stores/postgres/index.ts";

/** The server of the tests: PGHOST and the other settings of libpq, else the one on this machine. */
const serverSettings: PoolConfig = {
	host: process.env.PGHOST ?? "127.0.0.1",
	port: Number(process.env.PGPORT ?? 5432),
	user: process.env.PGUSER ?? "postgres",
	password: process.env.PGPASSWORD ?? "",
	database: process.env.PGDATABASE ?? "test",
};

/** A pool on the server; whoever makes it ends it. */
export function serverPool(settings: PoolConfig = {}): Pool {
	return new Pool({ ...serverSettings, connectionTimeoutMillis: 10_000, ...settings });
}

/** What the server says it is; `undefined` where none answers, which CALLHOOK_REQUIRE_POSTGRES=1 forbids. */
export async function findServer(): Promise<string | undefined> {
	const pool = serverPool({ max: 1, connectionTimeoutMillis: 2_000 });
	try {
		const { rows } = await pool.query("SHOW server_version");
		return `PostgreSQL ${(rows[0] as { server_version: string }).server_version}`;
	} catch (error) {
		if (process.env.CALLHOOK_REQUIRE_POSTGRES === "1") throw error;
		return undefined;
	} finally {
		await pool.end();
	}
}

/** A name for a schema that no other test has. */
export function freshSchema(): string {
	return `t_${randomUUID().replaceAll("-", "")}`;
}

export async function dropSchema(pool: PostgresPool, schema: string): Promise<void> {
	await pool.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
}

/** Sets the clock of a store's schema: an SQL expression, by default the time of the server. */
export async function setClock(
	pool: PostgresPool,
	schema: string,
	expression = "clock_timestamp()",
): Promise<void> {
	await pool.query(
		`CREATE OR REPLACE FUNCTION "${schema}".clock() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS $$ SELECT date_trunc('milliseconds', ${expression}) $$`,
	);
}
