import { afterEach, describe, expect, test, vi } from "vitest";
import { openFolder } from "../../../test/support/sqlite.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import { rejectionOf } from "../../../test/support/thrown.ts";
import { type FakeClock, fakeClock } from "../../testing/index.ts";
import { openDatabase, type SqliteDatabase } from "./driver.ts";
import { sqliteStore } from "./index.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A store in the application's own database, so that a test can do with the connection what it likes. */
async function setup() {
	const { path, dispose } = await openFolder();
	cleanUps.push(dispose);
	const { database } = openDatabase(path, "libsql");
	cleanUps.push(() => database.close());
	database.exec("PRAGMA journal_mode = WAL");
	database.exec("PRAGMA synchronous = FULL");
	const clock = fakeClock();
	const store = sqliteStore({ database, clock });
	const exec = vi.spyOn(database, "exec");
	const commits = () => exec.mock.calls.filter(([sql]) => sql === "COMMIT").length;
	const count = (table: string) =>
		(database.prepare(`SELECT count(*) AS n FROM callhook_${table}`).all() as { n: number }[])[0]?.n;
	return { path, database, clock, store, exec, commits, count };
}

const newEvent = (id: string) => eventFor(id, { group: "g", target: "a" });

/** Lets a promise that waits for the clock go on, if it does. */
async function isSettled(promise: Promise<unknown>, clock: FakeClock): Promise<boolean> {
	let isOver = false;
	const end = (): void => {
		isOver = true;
	};
	promise.then(end, end);
	await clock.advance(0);
	return isOver;
}

function lock(database: SqliteDatabase): () => void {
	database.exec("BEGIN IMMEDIATE");
	return () => void database.exec("COMMIT");
}

describe("group commit", () => {
	test("what is written in one turn is one transaction", async () => {
		const { store, commits } = await setup();
		await Promise.all([
			store.append([newEvent("evt_1")]),
			store.append([newEvent("evt_2")]),
			store.endpoints.put({ id: "ep_1", document: "{}" }),
			store.claim(new Map(), 1_000),
		]);
		expect(commits()).toBe(1);
		await store.append([newEvent("evt_3")]);
		expect(commits()).toBe(2);
	});

	test("work that fails costs the rest of its transaction nothing", async () => {
		const { store, count, commits } = await setup();
		const bad = { ...newEvent("evt_1"), event: { ...newEvent("evt_1").event, dataJson: null as never } };
		const results = await Promise.allSettled([
			store.append([newEvent("evt_0")]),
			store.append([newEvent("evt_2"), bad]),
			store.append([newEvent("evt_3")]),
		]);
		expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
		expect(commits()).toBe(1);
		expect(count("event")).toBe(2);
	});

	test("a commit that fails rejects everything in it, and the next one works", async () => {
		const { store, exec, database, count } = await setup();
		const run = (sql: string): unknown => Object.getPrototypeOf(database).exec.call(database, sql);
		exec.mockImplementation((sql) => {
			if (sql !== "COMMIT") return run(sql);
			throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
		});
		const writes = [store.append([newEvent("evt_1")]), store.append([newEvent("evt_2")])];
		for (const write of writes) {
			expect(await rejectionOf(write)).toMatchObject({
				...{ code: "ERR_CALLHOOK_STORE_UNAVAILABLE", details: { reason: "full" } },
			});
		}
		exec.mockImplementation(run);
		expect(count("event")).toBe(0);
		expect(await store.append([newEvent("evt_1")])).toEqual(["stored"]);
	});
});

describe("a lock that somebody else has", () => {
	test("is waited for without stopping the process", async () => {
		const { store, path, clock, count } = await setup();
		const other = openDatabase(path, "libsql").database;
		cleanUps.push(() => other.close());
		const unlock = lock(other);
		const stored = store.append([newEvent("evt_1")]);
		for (let tries = 0; tries < 10; tries++) {
			expect(await isSettled(stored, clock)).toBe(false);
			await clock.advance(100);
		}
		unlock();
		await clock.advance(100);
		expect(await stored).toEqual(["stored"]);
		expect(count("delivery")).toBe(1);
	});

	test("is given up after busyTimeoutMs, and nothing was written", async () => {
		const { store, path, clock, count, exec } = await setup();
		const other = openDatabase(path, "libsql").database;
		cleanUps.push(() => other.close());
		const unlock = lock(other);
		const stored = rejectionOf(store.append([newEvent("evt_1")]));
		await clock.advance(5_100);
		expect(await stored).toMatchObject({
			...{ code: "ERR_CALLHOOK_STORE_UNAVAILABLE", details: { reason: "busy" } },
		});
		// Every 50 to 100 ms.
		expect(exec.mock.calls.filter(([sql]) => sql.startsWith("BEGIN")).length).toBeLessThan(120);
		unlock();
		expect(count("event")).toBe(0);
		expect(await store.append([newEvent("evt_1")])).toEqual(["stored"]);
	});

	test("is a transaction of the application on the same connection, too", async () => {
		const { store, database, clock, count } = await setup();
		database.exec("BEGIN");
		const stored = store.append([newEvent("evt_1")]);
		await clock.advance(500);
		expect(await isSettled(stored, clock)).toBe(false);
		database.exec("ROLLBACK");
		await clock.advance(100);
		await stored;
		expect(count("event")).toBe(1);
	});
});

describe("damage", () => {
	test.each([
		["whose data has changed", "UPDATE callhook_event SET data = data || ' ' WHERE id = 'evt_1'", "evt_1"],
		[
			"whose envelope has changed",
			"UPDATE callhook_event SET envelope = replace(envelope, 'order', 'Order') WHERE id = 'evt_1'",
			"evt_1",
		],
		[
			"with text that is none",
			"UPDATE callhook_event SET data = CAST(x'7b22c3227d' AS TEXT) WHERE id = 'evt_1'",
			"evt_1",
		],
		[
			"that is gone",
			"PRAGMA foreign_keys = OFF; DELETE FROM callhook_event WHERE id = 'evt_1'; PRAGMA foreign_keys = ON",
			"",
		],
	])("an event %s is claimed as damaged, and no other", async (_what, sql, shownId) => {
		const { store, database } = await setup();
		await store.append([newEvent("evt_1"), newEvent("evt_2")]);
		database.exec(sql);
		expect((await store.getEvents(["evt_1", "evt_2"])).map(({ id }) => id)).toEqual(["evt_2"]);
		const request = { limit: 9, limitPerTarget: 9, capacity: new Map() };
		const claims = await store.claim(new Map([["g", request]]), 1_000);
		expect(claims.map(({ event: { id }, damage }) => [id, (damage as { code?: string })?.code])).toEqual([
			[shownId, "ERR_CALLHOOK_STORE_DAMAGED"],
			["evt_2", undefined],
		]);
	});
});

test("close() waits for what was given to the store before", async () => {
	const { store, count } = await setup();
	const stored = store.append([newEvent("evt_1")]);
	await store.close();
	expect(await stored).toEqual(["stored"]);
	expect(count("event")).toBe(1);
});

test("close() waits for no lock: that another process may lead is a courtesy", async () => {
	const { store, path, database } = await setup();
	database.exec("PRAGMA busy_timeout = 1");
	const other = openDatabase(path, "libsql").database;
	cleanUps.push(() => other.close());
	const unlock = lock(other);
	await store.close();
	unlock();
});

test("a closed store wakes nobody", async () => {
	const { store, database } = await setup();
	await store.close();
	const pragma = vi.spyOn(database, "prepare");
	store.onWake(() => undefined)();
	expect(pragma).not.toHaveBeenCalled();
});

test("of two claims of one delivery that are settled together the later one counts", async () => {
	const { store, clock } = await setup();
	await store.append([newEvent("evt_1")]);
	const claim = async () => {
		const claims = await store.claim(
			new Map([["g", { limit: 1, limitPerTarget: 1, capacity: new Map() }]]),
			1_000,
		);
		return claims[0]?.token as string;
	};
	const stale = await claim();
	await clock.advance(1_001);
	const valid = await claim();
	const delivered = (token: string) => ({ token, to: { state: "delivered" } as const });
	expect(await store.settle([delivered(stale), delivered(valid)])).toEqual(["lost", "ok"]);
});

test("who has nothing to claim now does not lead, or two would take turns until it is due", async () => {
	const { store, database, clock } = await setup();
	await store.append([eventFor("evt_1", { group: "g", target: "a", delayMs: 3_600_000 })]);
	const groups = new Map([["g", { limit: 1, limitPerTarget: 1, capacity: new Map<string, number>() }]]);
	const owner = () =>
		(database.prepare("SELECT owner FROM callhook_leader").all()[0] as { owner: string }).owner;
	expect(await store.claim(groups, 1_000)).toEqual([]);
	expect(owner()).toBe("");
	await clock.advance(3_600_000);
	expect(await store.claim(groups, 1_000)).toHaveLength(1);
	expect(owner()).not.toBe("");
});
