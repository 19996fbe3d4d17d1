import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { flush, openDurableBus, rowsOf } from "../../test/support/durable-bus.ts";
import { openFolder } from "../../test/support/sqlite.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { defineEvents } from "../event/index.ts";
import type { NewDelivery } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
// The driver's own door: the store opens databases with it, too.
import { openDatabase } from "../stores/sqlite/driver.ts";
import { type SqliteDatabase, type SqlValue, sqliteStore } from "../stores/sqlite/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import { PermanentError } from "./permanent-error.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const events = defineEvents({ job: z.number(), other: z.number(), big: z.any() });
type Bus = ReturnType<typeof openBus>["bus"];
type Events = { job: number; other: number; big: unknown };

function openBus(store: ReturnType<typeof memoryStore>, clock: ReturnType<typeof fakeClock>) {
	return openDurableBus<Events>({ clock, store, events });
}

/** A durable handler that notes what it runs. */
function note(bus: Bus): number[] {
	const runs: number[] = [];
	bus.handle("job", (data) => void runs.push(data), { name: "h", durable: true });
	return runs;
}

/** An application with a database of its own, in which the store has its tables. */
async function setup() {
	const folder = await openFolder();
	cleanUps.push(folder.dispose);
	const { database } = openDatabase(folder.path, "libsql");
	cleanUps.push(() => database.close());
	database.exec("PRAGMA journal_mode = WAL");
	database.exec("PRAGMA synchronous = FULL");
	database.exec("CREATE TABLE orders (id TEXT)");
	const clock = fakeClock();
	const store = sqliteStore({ database, clock });
	const append = vi.spyOn(store, "append");
	const { bus, errors } = openBus(store, clock);
	const runs = note(bus);
	const called: number[] = [];
	bus.on("*", (data) => void called.push(data as number));
	const countOrders = (): number => database.prepare("SELECT * FROM orders").all().length;
	return { database, clock, store, append, bus, errors, runs, called, countOrders };
}

const query = (database: SqliteDatabase) => (sql: string, values: readonly SqlValue[]) =>
	database.prepare(sql).all(...values) as object[];

/** How a transaction of the database may be given. */
const transactions: [string, (database: SqliteDatabase) => unknown][] = [
	["the database", (database) => database],
	["a query function", query],
	[
		"an asynchronous query function",
		(database) => async (sql: string, values: SqlValue[]) => query(database)(sql, values),
	],
];

describe.each(transactions)("held.store() - with %s", (_what, toTransaction) => {
	test("rolled back: nothing is ever delivered", async () => {
		const { database, clock, store, bus, runs, called, countOrders } = await setup();
		const held = bus.hold();
		database.exec("BEGIN");
		database.exec("INSERT INTO orders VALUES ('o_1')");
		const { settled } = held.emit("job", 1);
		await held.store(toTransaction(database));
		database.exec("ROLLBACK");
		held.discard();
		await flush(clock);
		await clock.advance(60_000);
		expect([runs, called, countOrders(), await rowsOf(store)]).toEqual([[], [], 0, []]);
		expect((await settled).state).toBe("cancelled");
	});

	test("committed and released: stored, and delivered once to everybody", async () => {
		const { database, clock, store, append, bus, errors, runs, called, countOrders } = await setup();
		const held = bus.hold();
		database.exec("BEGIN");
		database.exec("INSERT INTO orders VALUES ('o_1')");
		const emissions = [1, 2].map((data) => held.emit("job", data, { id: `e${data}` }));
		const stored = emissions.map((emission) => watch<unknown>(emission.stored));
		await held.store(toTransaction(database));
		await clock.advance(500);
		expect([held.size, runs, called]).toEqual([2, [], []]);
		database.exec("COMMIT");
		await clock.advance(0);
		expect(stored.map(({ isOver }) => isOver)).toEqual([false, false]);
		held.release();
		await Promise.all(stored.map(({ promise }) => promise));
		expect([held.size, called]).toEqual([0, [1, 2]]);
		await clock.advance(500);
		await flush(clock);
		expect([runs.sort(), countOrders()]).toEqual([[1, 2], 1]);
		expect(await rowsOf(store)).toEqual(["e1 handler:h delivered", "e2 handler:h delivered"]);
		expect(append).toHaveBeenCalledTimes(1);
		expect(errors).toEqual([]);
		expect((await emissions[0]!.settled).state).toBe("delivered");
	});
});

describe("held.store() - keeps", () => {
	test("what was committed, even if the process dies before the release", async () => {
		const { database, clock, store, bus } = await setup();
		const held = bus.hold();
		database.exec("BEGIN");
		held.emit("job", 1, { key: "k", metadata: { by: "me" }, correlationId: "c" });
		await held.store(database);
		database.exec("COMMIT");
		await store.close();
		const next = openBus(sqliteStore({ database, clock }), clock);
		const seen = vi.fn();
		next.bus.handle("job", (_data, { event }) => seen({ ...event }), { name: "h", durable: true });
		await flush(clock);
		const expected = { data: 1, key: "k", metadata: { by: "me" }, correlationId: "c" };
		expect(seen.mock.calls).toEqual([[expect.objectContaining(expected)]]);
	});

	test("the delay of an event, counted from its emit", async () => {
		const { database, clock, store, bus, runs, called } = await setup();
		const startMs = clock.now();
		const held = bus.hold();
		held.emit("job", 1, { id: "e1", delayMs: 8_000 });
		held.emit("job", 2, { id: "e2", at: startMs + 9_000 });
		held.emit("job", 3, { id: "e3", at: startMs + 1_000 });
		await clock.advance(5_000);
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		const due = (await store.query({}, {})).items.map(({ eventId, nextAttemptAt = "" }) => [
			eventId,
			Date.parse(nextAttemptAt) - startMs,
		]);
		expect(due.reverse()).toEqual([
			["e1", 8_000],
			["e2", 9_000],
			["e3", 5_000],
		]);
		held.release();
		await clock.advance(2_999);
		expect([runs, called]).toEqual([[3], [3]]);
		await clock.advance(1);
		await flush(clock);
		expect([runs, called]).toEqual([
			[3, 1],
			[3, 1],
		]);
		await clock.advance(1_000);
		await flush(clock);
		expect([runs, called]).toEqual([
			[3, 1, 2],
			[3, 1, 2],
		]);
	});

	test("each event once, however often it is called", async () => {
		const { database, clock, store, append, bus, runs } = await setup();
		const held = bus.hold();
		held.emit("job", 1, { id: "e1" });
		database.exec("BEGIN");
		await held.store(database);
		await held.store(database);
		held.emit("job", 2, { id: "e2" });
		await held.store(database);
		database.exec("COMMIT");
		const stored = append.mock.calls.map(([batch]) => batch.map(({ event }) => event.id));
		expect(stored).toEqual([["e1"], [], ["e2"]]);
		held.release();
		await flush(clock);
		expect(runs.sort()).toEqual([1, 2]);
		expect(await rowsOf(store)).toEqual(["e1 handler:h delivered", "e2 handler:h delivered"]);
	});

	test("an event that is cancelled while it is written: it stays, unless that fails", async () => {
		const { database, clock, append, bus, runs, called } = await setup();
		const held = bus.hold();
		const emission = held.emit("job", 1);
		append.mockRejectedValueOnce(new Error("broken"));
		const refused = held.store(database);
		expect(emission.cancel()).toBe(false);
		await expect(refused).rejects.toThrow("broken");
		database.exec("BEGIN");
		const written = held.store(database);
		expect(emission.cancel()).toBe(false);
		await written;
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect([runs, called]).toEqual([[1], [1]]);
		const other = held.emit("job", 2);
		append.mockRejectedValueOnce(new Error("broken"));
		await expect(held.store(database)).rejects.toThrow("broken");
		expect(other.cancel()).toBe(true);
	});

	test("each event once, when it is called twice at a time", async () => {
		const { database, clock, bus, runs, errors } = await setup();
		const held = bus.hold();
		held.emit("job", 1);
		database.exec("BEGIN");
		await Promise.all([held.store(query(database)), held.store(query(database))]);
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect([runs, errors]).toEqual([[1], []]);
	});

	test("an event as it was emitted, and as one row for each target", async () => {
		const { database, bus, store, clock } = await setup();
		const route = (): NewDelivery[] => ["ep_1", "ep_2"].map((target) => ({ group: "routed", target }));
		bus.outbox!.register({ ...fakeGroup(clock, () => undefined, { name: "webhooks" }), accepts: ["big"] });
		bus.outbox!.register({
			...fakeGroup(clock, () => undefined, { name: "routed" }),
			accepts: ["big"],
			route,
		});
		const held = bus.hold();
		const data = { total: 1 };
		held.emit("big", data, { id: "e1" });
		data.total = 2;
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		expect((await store.getEvents(["e1"]))[0]?.dataJson).toBe('{"total":1}');
		const { items } = await store.query({}, {});
		expect(items.map(({ group, target }) => `${group} ${target}`).reverse()).toEqual([
			"webhooks webhooks",
			"routed ep_1",
			"routed ep_2",
		]);
	});

	test("the first of two events with an idempotencyKey: the second has no delivery, and callbacks for all", async () => {
		const { database, clock, bus, runs, called } = await setup();
		const held = bus.hold();
		for (const data of [1, 2]) held.emit("job", data, { idempotencyKey: "once" });
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect([runs, called]).toEqual([[1], [1, 2]]);
		await bus.emit("job", 3, { idempotencyKey: "once" }).stored;
		await flush(clock);
		expect(runs).toEqual([1]);
	});

	test("nothing of events that no target takes; they are released as ever", async () => {
		const { database, clock, append, bus, called } = await setup();
		const held = bus.hold();
		const handled = vi.fn();
		bus.handle("other", handled);
		const emission = held.emit("other", 1, { id: "e1" });
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		expect(append.mock.calls[0]?.[0]).toEqual([]);
		const late = vi.fn();
		bus.handle("other", late, { name: "late", durable: true });
		held.release();
		await emission.stored;
		await flush(clock);
		expect([called, handled.mock.calls.length, late.mock.calls.length]).toEqual([[1], 1, 1]);
	});

	test("what a target takes that came only after the emit", async () => {
		const { database, clock, bus } = await setup();
		const held = bus.hold();
		held.emit("other", 1);
		const late = vi.fn();
		bus.handle("other", late, { name: "late", durable: true });
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect(late).toHaveBeenCalledTimes(1);
	});

	test("nothing of what was cancelled", async () => {
		const { database, clock, append, bus, runs } = await setup();
		const held = bus.hold();
		held.emit("job", 1).cancel();
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect(append.mock.calls[0]?.[0]).toEqual([]);
		expect(runs).toEqual([]);
	});
});

describe("held.store() - rejects", () => {
	/** What is refused is as if nobody had asked: it is stored when it is released. */
	async function expectStoredOnRelease(
		{ bus, clock, runs }: Awaited<ReturnType<typeof setup>>,
		store: (held: ReturnType<Bus["hold"]>) => Promise<unknown>,
	) {
		const held = bus.hold();
		const emission = held.emit("job", 1);
		const error = await rejectionOf(store(held));
		await flush(clock);
		expect([held.size, runs]).toEqual([1, []]);
		held.release();
		await emission.stored;
		await flush(clock);
		expect(runs).toEqual([1]);
		return error;
	}

	test.each<[string, unknown]>([
		["undefined", undefined],
		["null", null],
		["a number", 7],
		["an object that is no database", {}],
		["a query function that answers with no rows", () => undefined],
		["a query function that answers with no rows later", async () => ({ rows: [] })],
	])("%s: ERR_CALLHOOK_INVALID_OPTION", async (_what, tx) => {
		const error = await expectStoredOnRelease(await setup(), (held) => held.store(tx));
		expect(optionOf(error)).toBe("tx");
	});

	test("a database without a transaction: each row would be committed by itself", async () => {
		const bench = await setup();
		const error = await expectStoredOnRelease(bench, (held) => held.store(bench.database));
		expect(optionOf(error)).toBe("tx");
		expect(error.message).toContain("an open transaction");
	});

	test("a memory store, which has no transactions", async () => {
		const clock = fakeClock();
		const { bus } = openBus(memoryStore({ clock }), clock);
		const runs = note(bus);
		const bench = { bus, clock, runs } as never;
		expect(optionOf(await expectStoredOnRelease(bench, (held) => held.store({})))).toBe("tx");
		const error = await rejectionOf(bus.hold().store({}));
		expect(optionOf(error)).toBe("tx");
	});

	test("with the error of the database", async () => {
		const { bus, clock, runs } = await setup();
		const held = bus.hold();
		held.emit("job", 1);
		const failure = new Error("constraint");
		await expect(held.store(() => Promise.reject(failure))).rejects.toBe(failure);
		held.release();
		await flush(clock);
		expect(runs).toEqual([1]);
	});

	test("on a bus without a store: ERR_CALLHOOK_STORE_REQUIRED", async () => {
		const held = createBus().hold();
		held.emit("job", 1);
		const error = await rejectionOf(held.store({}));
		expect(error).toMatchObject({
			code: "ERR_CALLHOOK_STORE_REQUIRED",
			details: { where: "held.store()" },
		});
	});

	test("on a closed bus: ERR_CALLHOOK_CLOSED", async () => {
		const { bus, database, append } = await setup();
		const held = bus.hold();
		held.emit("job", 1);
		await bus.close();
		database.exec("BEGIN");
		expect((await rejectionOf(held.store(database))).code).toBe("ERR_CALLHOOK_CLOSED");
		database.exec("COMMIT");
		expect(append).not.toHaveBeenCalled();
	});

	test("data that a target which came since cannot have as JSON, and stores nothing of the others", async () => {
		const { bus, database, append } = await setup();
		const held = bus.hold();
		held.emit("job", 1);
		held.emit("big", 1n);
		bus.handle("big", () => undefined, { name: "big", durable: true });
		database.exec("BEGIN");
		expect((await rejectionOf(held.store(database))).code).toBe("ERR_CALLHOOK_NOT_SERIALIZABLE");
		database.exec("COMMIT");
		expect(append).not.toHaveBeenCalled();
	});
});

describe("held.store() - a durable handler", () => {
	test("fails and retries what was stored in a transaction like any other", async () => {
		const { database, clock, store, bus } = await setup();
		bus.handle(
			"other",
			() => {
				throw new PermanentError("never");
			},
			{ name: "failing", durable: true },
		);
		const held = bus.hold();
		held.emit("other", 1, { id: "e1" });
		database.exec("BEGIN");
		await held.store(database);
		database.exec("COMMIT");
		held.release();
		await flush(clock);
		expect(await rowsOf(store)).toEqual(["e1 handler:failing dead"]);
	});
});
