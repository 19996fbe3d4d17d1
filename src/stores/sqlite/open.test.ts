import { copyFile, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { afterEach, describe, expect, test } from "vitest";
import { drivers, openFolder } from "../../../test/support/sqlite.ts";
import { codeOf, optionOf, thrownBy } from "../../../test/support/thrown.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { openDatabase, type SqliteDatabase } from "./driver.ts";
import { type SqliteStoreOptions, sqliteStore } from "./index.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function freshPath(): Promise<string> {
	const { path, dispose } = await openFolder();
	cleanUps.push(dispose);
	return path;
}

function open(options: SqliteStoreOptions): OutboxStore {
	const store = sqliteStore(options);
	cleanUps.push(() => store.close());
	return store;
}

function openOwn(path: string, pragmas: readonly string[] = ["journal_mode = WAL", "synchronous = FULL"]) {
	const { database } = openDatabase(path, "libsql");
	for (const pragma of pragmas) database.exec(`PRAGMA ${pragma}`);
	cleanUps.push(() => database.close());
	return database;
}

function tablesIn(database: SqliteDatabase): string[] {
	const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
	return (rows as { name: string }[]).map(({ name }) => name).filter((name) => !name.startsWith("sqlite_"));
}

describe.each(drivers)("sqliteStore({ path }) on %s", (driver) => {
	test("makes the file, with tables of its own, and is durable against the loss of power", async () => {
		const path = await freshPath();
		const store = open({ path, driver });
		expect(store.capabilities).toMatchObject({ durability: "power", transactions: true });
		await store.close();
		expect(tablesIn(openOwn(path, []))).toEqual(
			expect.arrayContaining(["callhook_event", "callhook_delivery", "callhook_attempt"]),
		);
	});

	test("with durability: process says so", async () => {
		const store = open({ path: await freshPath(), driver, durability: "process" });
		expect(store.capabilities.durability).toBe("process");
	});

	test("with exclusive refuses a second store on the file, until it is closed", async () => {
		const path = await freshPath();
		const store = open({ path, driver, exclusive: true });
		expect(store.capabilities.sharing).toBe("none");
		const error = thrownBy(() => sqliteStore({ path, driver, exclusive: true }));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_STORE_IN_USE", details: { path } });
		await store.close();
		open({ path, driver, exclusive: true });
	});

	test.each([
		["not a database at all".repeat(100), "ERR_CALLHOOK_STORE_DAMAGED"],
		["SQLite format 3\0".padEnd(8_192, "\xff"), "ERR_CALLHOOK_STORE_DAMAGED"],
	])("refuses a file that is no database: %.12s", async (text, code) => {
		const path = await freshPath();
		await writeFile(path, text, "latin1");
		expect(codeOf(() => sqliteStore({ path, driver }))).toBe(code);
		expect((await readFile(path, "latin1")).slice(0, 20)).toBe(text.slice(0, 20));
	});

	test("refuses a path that cannot be opened", async () => {
		const path = `${await freshPath()}/nowhere/outbox.db`;
		expect(codeOf(() => sqliteStore({ path, driver }))).toBe("ERR_CALLHOOK_STORE_UNAVAILABLE");
	});
});

describe("sqliteStore({ path })", () => {
	test("refuses tables of a newer version, and leaves them alone", async () => {
		const path = await freshPath();
		await open({ path, driver: "libsql" }).close();
		const own = openOwn(path, []);
		own.exec("UPDATE callhook_schema SET version = 99");
		own.close();
		const error = thrownBy(() => sqliteStore({ path, driver: "libsql" }));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_STORE_VERSION", details: { found: 99 } });
		await copyFile(path, `${path}.copy`);
		expect(openOwn(`${path}.copy`, []).prepare("SELECT version FROM callhook_schema").all()).toMatchObject([
			{ version: 99 },
		]);
	});

	test("finishes tables that a process which died had begun: all of a version or nothing", async () => {
		const path = await freshPath();
		const own = openOwn(path, ["journal_mode = WAL"]);
		own.exec("BEGIN; CREATE TABLE callhook_event (seq INTEGER)");
		await copyFile(path, `${path}.copy`);
		await copyFile(`${path}-wal`, `${path}.copy-wal`);
		own.exec("ROLLBACK");
		const store = open({ path: `${path}.copy`, driver: "libsql" });
		expect(await store.append([])).toEqual([]);
	});
});

describe("sqliteStore({ database })", () => {
	test("lives in the application's own file, beside its tables, and leaves it open", async () => {
		const own = openOwn(await freshPath());
		own.exec("CREATE TABLE orders (id TEXT)");
		const store = sqliteStore({ database: own, prefix: "outbox_" });
		expect(store.capabilities.sharing).toBe("append");
		await store.endpoints.put({ id: "ep_1", document: "{}" });
		await store.close();
		expect(tablesIn(own)).toEqual(expect.arrayContaining(["orders", "outbox_event", "outbox_delivery"]));
		expect(own.prepare("SELECT id FROM outbox_endpoint").all()).toMatchObject([{ id: "ep_1" }]);
	});

	test("two stores with different prefixes know nothing of each other", async () => {
		const own = openOwn(await freshPath());
		const [first, second] = ["a_", "b_"].map((prefix) => open({ database: own, prefix })) as [
			OutboxStore,
			OutboxStore,
		];
		await first.endpoints.put({ id: "ep_1", document: "{}" });
		expect(await second.endpoints.get("ep_1")).toBeUndefined();
	});

	test.each([
		["journal_mode", ["journal_mode = DELETE", "synchronous = FULL"], {}],
		["synchronous", ["journal_mode = WAL", "synchronous = NORMAL"], {}],
		["synchronous", ["journal_mode = WAL", "synchronous = OFF"], { durability: "process" }],
	] as const)("is refused with another %s than it needs: %j %j", async (setting, pragmas, options) => {
		const own = openOwn(await freshPath(), pragmas);
		const error = thrownBy(() => sqliteStore({ database: own, ...options }));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_STORE_UNSAFE", details: { setting } });
		expect(tablesIn(own)).toEqual([]);
	});

	test("takes synchronous = NORMAL where it is asked for no more", async () => {
		const own = openOwn(await freshPath(), ["journal_mode = WAL", "synchronous = NORMAL"]);
		open({ database: own, durability: "process" });
	});

	test("works in memory", async () => {
		const Database = createRequire(import.meta.url)("libsql");
		const database: SqliteDatabase = new Database(":memory:");
		database.exec("PRAGMA synchronous = FULL");
		const store = open({ database });
		expect(await store.stats()).toEqual({ targets: [] });
	});
});

describe("sqliteStore() - options", () => {
	const database = { exec() {}, prepare() {}, close() {} };
	test.each<[string, unknown]>([
		["path", {}],
		["path", { path: "" }],
		["path", { path: 1 }],
		["path", { path: "a.db", database }],
		["database", { database: {} }],
		["database", { database: null }],
		["driver", { path: "a.db", driver: "better-sqlite3" }],
		["driver", { database, driver: "libsql" }],
		["prefix", { path: "a.db", prefix: "a-b" }],
		["prefix", { path: "a.db", prefix: "" }],
		["durability", { path: "a.db", durability: "memory" }],
		["exclusive", { path: "a.db", exclusive: 1 }],
		["exclusive", { database, exclusive: true }],
		["busyTimeoutMs", { path: "a.db", busyTimeoutMs: -1 }],
		["leaderLeaseMs", { path: "a.db", leaderLeaseMs: 1 }],
		["clock", { path: "a.db", clock: {} }],
		["sqliteStore.file", { file: "a.db" }],
	])("%s: %j is refused", (option, options) => {
		expect(optionOf(() => sqliteStore(options as SqliteStoreOptions))).toBe(option);
	});
});
