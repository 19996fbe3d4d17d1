import { PGlite } from "@electric-sql/pglite";
import { afterAll } from "vitest";
import { type PostgresPool, postgresStore } from "../../src/stores/postgres/index.ts";
import { modelTest } from "../support/model-test.ts";
import { pglitePool } from "../support/pglite-pool.ts";
import { dropSchema, findServer, freshSchema, serverPool, setClock } from "../support/postgres.ts";

/** A store whose clock stands still until `advance` moves it. */
async function openHarness(pool: PostgresPool) {
	const schema = freshSchema();
	const open = () => postgresStore({ pool, schema, pollMs: 1_000_000 });
	const store = open();
	let nowMs = Date.UTC(2026, 0, 1);
	const advance = async (ms: number) => {
		nowMs += ms;
		await setClock(pool, schema, `timestamptz 'epoch' + interval '${nowMs} milliseconds'`);
	};
	await store.stats();
	await advance(0);
	const dispose = () => dropSchema(pool, schema);
	return { ...{ store, advance, dispose, now: () => nowMs }, reopen: async () => open() };
}

const server = await findServer();
const database = await PGlite.create();
const lite = pglitePool(database);
const pool = serverPool({ options: "-c synchronous_commit=off" });
afterAll(async () => {
	await database.close();
	await pool.end();
});

modelTest("postgresStore() on PGlite", () => openHarness(lite), { numRuns: 10, canReopen: true });
if (server !== undefined) {
	modelTest(`postgresStore() on ${server}`, () => openHarness(pool), { numRuns: 30, canReopen: true });
}
