import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { dropSchema, findServer, freshSchema, serverPool } from "../../../test/support/postgres.ts";
import { rejectionOf } from "../../../test/support/thrown.ts";
import { type PostgresPool, postgresStore } from "./index.ts";

const hasServer = (await findServer()) !== undefined;

describe.runIf(hasServer)("tables of postgresStore()", () => {
	const pool = serverPool();
	let schema = "";
	beforeEach(() => {
		schema = freshSchema();
	});
	afterEach(() => dropSchema(pool, schema));
	afterAll(() => pool.end());

	async function columnOf<Value>(sql: string): Promise<Value[]> {
		const { rows } = await pool.query({ text: sql, rowMode: "array" });
		return rows.map(([value]) => value as Value);
	}

	test("ten processes that start at once make them once", async () => {
		const pools = Array.from({ length: 10 }, () => serverPool({ max: 2 }));
		const stores = pools.map((each) => postgresStore({ pool: each, schema }));
		const event = {
			type: "a",
			time: "2026-01-01T00:00:00.000Z",
			source: "/",
			dataJson: "1",
			metadataJson: "{}",
		};
		const results = await Promise.all(
			stores.map((store, index) =>
				store.append([
					{ event: { ...event, id: `evt_${index}` }, deliveries: [{ group: "g", target: "a" }] },
				]),
			),
		);
		expect(results.flat()).toEqual(Array.from({ length: 10 }, () => "stored"));
		expect(await columnOf(`SELECT version FROM "${schema}".version`)).toEqual([1]);
		expect(await stores[0]!.stats()).toMatchObject({ targets: [{ states: { pending: 10 } }] });
		await Promise.all(stores.map((store) => store.close()));
		await Promise.all(pools.map((each) => each.end()));
	});

	test("are made before the first call, and not by postgresStore() itself", async () => {
		const store = postgresStore({ pool, schema });
		await new Promise((resolve) => setImmediate(resolve));
		expect(await columnOf(`SELECT to_regnamespace('"${schema}"')::text`)).toEqual([null]);
		await store.stats();
		expect(await columnOf(`SELECT to_regnamespace('"${schema}"')::text`)).toEqual([schema]);
		await store.close();
	});

	test("go into a schema that is there already, for a user who may not make any", async () => {
		const role = `${schema}_role`;
		await pool.query(`CREATE ROLE "${role}" LOGIN; CREATE SCHEMA "${schema}" AUTHORIZATION "${role}"`);
		const own = serverPool({ max: 2, user: role });
		try {
			const store = postgresStore({ pool: own, schema });
			expect(await store.stats()).toEqual({ targets: [] });
			await store.close();
		} finally {
			await own.end();
			await dropSchema(pool, schema);
			await pool.query(`DROP ROLE "${role}"`);
		}
	});

	test("of a newer version are refused, and stay as they are", async () => {
		const first = postgresStore({ pool, schema });
		await first.stats();
		await first.close();
		await pool.query(`UPDATE "${schema}".version SET version = 99`);
		const store = postgresStore({ pool, schema });
		const error = await rejectionOf(store.stats());
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_STORE_VERSION", details: { found: 99, supported: 1 } });
		expect(await columnOf(`SELECT version FROM "${schema}".version`)).toEqual([99]);
		await store.close();
	});

	test("that could not be made are made by the next call", async () => {
		let isAway = true;
		const flaky: PostgresPool = {
			query: (...args) => (isAway ? Promise.reject(refused) : pool.query(...args)),
			connect: (callback) => (isAway ? callback(refused, undefined) : pool.connect(callback)),
		};
		const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
		const store = postgresStore({ pool: flaky, schema });
		const errors = await Promise.all([
			rejectionOf(store.stats()),
			rejectionOf(store.claim(new Map(), 1).then(() => store.stats())),
		]);
		for (const error of errors) {
			expect(error).toMatchObject({
				code: "ERR_CALLHOOK_STORE_UNAVAILABLE",
				details: { reason: "unreachable" },
			});
		}
		isAway = false;
		expect(await store.stats()).toEqual({ targets: [] });
		await store.close();
	});

	test("a failure in the middle leaves nothing behind, and gives the connection back", async () => {
		await pool.query(`CREATE SCHEMA "${schema}"; CREATE TABLE "${schema}".endpoint (mine text)`);
		const small = serverPool({ max: 1 });
		const store = postgresStore({ pool: small, schema });
		await expect(store.stats()).rejects.toMatchObject({ code: "42P07" });
		expect([small.totalCount, small.idleCount]).toEqual([1, 1]);
		expect(
			await columnOf(
				`SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = '"${schema}"'::regnamespace`,
			),
		).toEqual(["endpoint"]);
		await store.close();
		await small.end();
	});
});
