import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { claim } from "../../../test/support/claim-requests.ts";
import { dropSchema, findServer, freshSchema, serverPool } from "../../../test/support/postgres.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import { optionOf, rejectionOf } from "../../../test/support/thrown.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { postgresStore } from "./index.ts";

const hasServer = (await findServer()) !== undefined;
const toA = { group: "g", target: "a" };

describe.runIf(hasServer)("postgresStore() - append({ tx })", () => {
	const pool = serverPool();
	let schema = "";
	let store: OutboxStore;
	beforeEach(() => {
		schema = freshSchema();
		store = postgresStore({ pool, schema, pollMs: 1_000_000 });
	});
	afterEach(async () => {
		await store.close();
		await dropSchema(pool, schema);
	});
	afterAll(() => pool.end());

	async function claimedIds(): Promise<string[]> {
		return (await claim(store)).map(({ event }) => event.id);
	}

	test("what is committed is delivered, and what is rolled back never was", async () => {
		const client = await pool.connect();
		for (const end of ["ROLLBACK", "COMMIT"]) {
			await client.query("BEGIN");
			const events = [eventFor(`evt_${end}`, toA), eventFor(`evt_${end}`, toA)];
			expect(await store.append(events, { tx: client })).toEqual(["stored", "duplicate"]);
			expect(await claimedIds()).toEqual([]);
			await client.query(end);
		}
		client.release();
		expect(await claimedIds()).toEqual(["evt_COMMIT"]);
	});

	test("takes a function that runs a query, whatever shape its answer has", async () => {
		const client = await pool.connect();
		await client.query("BEGIN");
		type Values = readonly (string | null)[];
		const query = (sql: string, values: Values) => client.query(sql, [...values]);
		const shapes = [query, (sql: string, values: Values) => query(sql, values).then(({ rows }) => rows)];
		for (const [index, tx] of shapes.entries()) {
			expect(await store.append([eventFor(`evt_${index}`, toA)], { tx })).toEqual(["stored"]);
		}
		await client.query("COMMIT");
		client.release();
		expect(await claimedIds()).toEqual(["evt_0", "evt_1"]);
	});

	test("refuses what is no transaction", async () => {
		const client = await pool.connect();
		const refused: unknown[] = [pool, client, 7, {}, null, () => undefined, () => ({ rows: 1 })];
		for (const tx of refused) {
			expect(optionOf(await rejectionOf(store.append([eventFor("evt_1", toA)], { tx })))).toBe("tx");
		}
		client.release();
		expect(await claimedIds()).toEqual([]);
	});

	test("endpoints are read in it too, on no other connection", async () => {
		const revision = await store.endpoints.put({ id: "ep_1", document: "{}" });
		const small = serverPool({ max: 1 });
		const other = postgresStore({ pool: small, schema });
		const client = await small.connect();
		await client.query("BEGIN");
		const read = () => other.endpoints.changes(0, 10, { tx: client });
		expect(await read()).toMatchObject([{ id: "ep_1", revision, record: { document: "{}" } }]);
		await store.endpoints.delete("ep_1");
		expect(await read()).toMatchObject([{ id: "ep_1", record: undefined }]);
		await client.query("COMMIT");
		client.release();
		await other.close();
		await small.end();
	});

	test("a pool of one that the caller holds is enough, once the tables are there", async () => {
		await store.stats();
		const small = serverPool({ max: 1 });
		const other = postgresStore({ pool: small, schema });
		const client = await small.connect();
		await client.query("BEGIN");
		expect(await other.append([eventFor("evt_1", toA)], { tx: client })).toEqual(["stored"]);
		await client.query("COMMIT");
		client.release();
		expect(await claimedIds()).toEqual(["evt_1"]);
		await other.close();
		await small.end();
	});

	test("nor does it wait for others who ask that pool for the tables first", async () => {
		await store.stats();
		const small = serverPool({ max: 1 });
		const other = postgresStore({ pool: small, schema });
		const client = await small.connect();
		// As a relay does that begins beside it.
		const waiting = other.stats();
		await client.query("BEGIN");
		expect(await other.append([eventFor("evt_1", toA)], { tx: client })).toEqual(["stored"]);
		await client.query("COMMIT");
		client.release();
		await waiting;
		expect(await claimedIds()).toEqual(["evt_1"]);
		await other.close();
		await small.end();
	});

	test("the listeners hear of it with the commit", async () => {
		await store.stats();
		let wakes = 0;
		const isListening = new Promise<void>((resolve) => {
			store.onWake(() => {
				wakes++;
				resolve();
			});
		});
		await isListening;
		const client = await pool.connect();
		await client.query("BEGIN");
		await store.append([eventFor("evt_1", toA)], { tx: client });
		const before = wakes;
		const isTold = new Promise<void>((resolve) => store.onWake(resolve));
		await client.query("SELECT 1");
		expect(wakes).toBe(before);
		await client.query("COMMIT");
		client.release();
		await isTold;
		expect(wakes).toBeGreaterThan(before);
	});

	test("a failure of the caller's transaction is the caller's, and no later statement of the store", async () => {
		const client = await pool.connect();
		await client.query("BEGIN READ ONLY");
		const error = await rejectionOf(store.append([eventFor("evt_1", toA)], { tx: client }));
		expect(error).toMatchObject({ details: { reason: "read-only" } });
		await client.query("ROLLBACK");
		client.release();
		expect(await store.append([eventFor("evt_1", toA)])).toEqual(["stored"]);
	});
});
