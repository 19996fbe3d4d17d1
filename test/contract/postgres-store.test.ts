import { PGlite } from "@electric-sql/pglite";
import { type StoreHarness, storeContract } from "callhook/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type PostgresPool, postgresStore } from "../../src/stores/postgres/index.ts";
import { pglitePool } from "../support/pglite-pool.ts";
import { dropSchema, findServer, freshSchema, serverPool, setClock } from "../support/postgres.ts";

/** A store in a schema of its own, whose clock the harness moves. */
async function openHarness(pool: PostgresPool): Promise<StoreHarness> {
	const schema = freshSchema();
	const open = () => postgresStore({ pool, schema, pollMs: 50 });
	let aheadMs = 0;
	return {
		store: open(),
		async advance(ms) {
			aheadMs += ms;
			await setClock(pool, schema, `clock_timestamp() + interval '${aheadMs} milliseconds'`);
		},
		reopen: async () => open(),
		openAnother: async () => open(),
		dispose: () => dropSchema(pool, schema),
	};
}

const server = await findServer();

describe("postgresStore() on PGlite", () => {
	let database: PGlite;
	let pool: PostgresPool;
	beforeAll(async () => {
		database = await PGlite.create();
		pool = pglitePool(database);
	}, 60_000);
	afterAll(() => database.close());

	for (const { name, run } of storeContract(() => openHarness(pool))) test(name, run);
});

describe.runIf(server !== undefined)(`postgresStore() on ${server ?? "a server: none was found"}`, () => {
	const pool = serverPool();
	afterAll(() => pool.end());

	for (const { name, run } of storeContract(() => openHarness(pool))) test(name, run);
});
