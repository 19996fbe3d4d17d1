import { afterEach, describe, expect, test, vi } from "vitest";
import { type DurableBus, openDurableBus, openHandler, rowsOf } from "../../test/support/durable-bus.ts";
import { openFolder } from "../../test/support/sqlite.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import { sqliteStore } from "../stores/sqlite/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";
import type { Bus } from "./bus.ts";
import type { BusOptions } from "./bus-options.ts";

const dispose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
	for (const end of dispose.splice(0).reverse()) await end();
});

const leaseMs = 30_000;
const retry = { attempts: 3, minDelayMs: 1_000, jitter: false };
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** A database file and processes that use it one after the other. */
async function openFile() {
	const clock = fakeClock();
	const folder = await openFolder();
	dispose.push(folder.dispose);
	let store: OutboxStore | undefined;
	return {
		clock,
		/** Starts a process. The one before has died in the middle of what it did: nothing of it was ended. */
		async start(
			options: Pick<BusOptions, "outbox"> = {},
		): Promise<DurableBus<{ job: number; other: number }>> {
			await store?.close();
			const opened = sqliteStore({ path: folder.path, driver: "libsql", clock });
			store = opened;
			dispose.push(() => opened.close());
			return openDurableBus({ ...options, clock, store });
		},
	};
}

/** Registers a handler that notes its runs. */
function note(bus: Bus<{ job: number; other: number }>, name: string, options: object = {}): string[] {
	const runs: string[] = [];
	const handler = (data: number, { attempt }: HandlerContext) => void runs.push(`${name} ${data}#${attempt}`);
	bus.handle("job", handler, { name, durable: true, retry, ...options });
	return runs;
}

describe("durable handler - after its process died", () => {
	test("runs only what was not finished again, by name, with the attempt counted", async () => {
		const { clock, start } = await openFile();
		const before = await start();
		const [a, b] = [openHandler(), openHandler()];
		before.bus.handle("job", a.run, { name: "a", durable: true, retry });
		before.bus.handle("job", b.run, { name: "b", durable: true, retry, concurrency: 1 });
		for (const data of [1, 2, 3]) before.bus.emit("job", data, { id: `e${data}` });
		await before.flush();
		for (const data of [1, 2]) a.end(data);
		b.end(1);
		await before.flush();
		const after = await start();
		const runs = [note(after.bus, "b"), note(after.bus, "a")];
		await after.flush();
		await clock.advance(leaseMs);
		await after.flush();
		expect(runs.map((each) => [...each].sort())).toEqual([["b 2#2", "b 3#1"], ["a 3#2"]]);
		expect((await after.rows()).filter((row) => !row.endsWith(" delivered"))).toEqual([]);
	});

	test("an event that was stored and never claimed has its first attempt", async () => {
		const { start } = await openFile();
		const before = await start({ outbox: { deliver: false } });
		note(before.bus, "h");
		await before.bus.emit("job", 1).stored;
		const after = await start();
		const runs = note(after.bus, "h");
		await after.flush();
		expect(runs).toEqual(["h 1#1"]);
	});

	test("a retry keeps its time and its number", async () => {
		const { clock, start } = await openFile();
		const before = await start();
		const failing = (): never => {
			throw new Error("broken");
		};
		before.bus.handle("job", failing, { name: "h", durable: true, retry });
		before.bus.emit("job", 1);
		await before.flush();
		const after = await start();
		const runs = note(after.bus, "h");
		await clock.advance(999);
		await after.flush();
		expect(runs).toEqual([]);
		await clock.advance(1);
		await after.flush();
		expect(runs).toEqual(["h 1#2"]);
	});

	test("what it emits names the same cause", async () => {
		const { start } = await openFile();
		const before = await start();
		before.bus.handle("job", () => undefined, { name: "paused", durable: true }).pause();
		await before.bus.emit("job", 1, { id: "e1", correlationId: "c1", causationId: "e0", traceparent }).stored;
		const after = await start();
		const effects: unknown[] = [];
		after.bus.on("other", (_data, { causationId, correlationId, traceparent }) => {
			effects.push({ causationId, correlationId, traceparent });
		});
		after.bus.handle(
			"job",
			async (_data, { event }) => {
				await Promise.resolve();
				effects.push(event.causationId);
				after.bus.emit("other", 2);
			},
			{ name: "paused", durable: true },
		);
		await after.flush();
		expect(effects).toEqual(["e0", { causationId: "e1", correlationId: "c1", traceparent }]);
	});

	test("an event that kills the process each time is a dead letter after its attempts, and runs no more", async () => {
		const { clock, start } = await openFile();
		const runs: string[] = [];
		const first = await start();
		await first.bus.close();
		for (let life = 1; life <= 3; life++) {
			const { bus, flush } = await start();
			const handler = openHandler();
			bus.handle("job", handler.run, { name: "h", durable: true, retry });
			if (life === 1) bus.emit("job", 1, { id: "e1" });
			await flush();
			await clock.advance(leaseMs);
			await flush();
			runs.push(...handler.runs);
		}
		const last = await start();
		const failed = vi.fn();
		last.bus.observe("handler:failed", ({ error, attempts }) => failed(error, attempts));
		runs.push(...note(last.bus, "h"));
		await last.flush();
		await clock.advance(leaseMs);
		await last.flush();
		expect(runs).toEqual(["1#1", "1#2", "1#3"]);
		expect(await last.rows()).toEqual(["e1 handler:h dead"]);
		const error = { code: "ERR_CALLHOOK_CRASHED", details: { attempts: 3 } };
		expect(failed.mock.calls).toEqual([[expect.objectContaining(error), 3]]);
		expect(last.errors).toEqual([
			'handler h: Each of 3 attempts of handler "h" at event "e1" ended without an outcome: its process died, or its lease ended',
		]);
		const [row] = (await last.store.query({}, {})).items;
		expect(row?.attempts).toMatchObject([{ outcome: "failed", errorCode: "ERR_CALLHOOK_CRASHED" }]);
	});

	test("so is one with a single attempt, which its message says", async () => {
		const { clock, start } = await openFile();
		const before = await start();
		before.bus.handle("job", openHandler().run, { name: "h", durable: true });
		before.bus.emit("job", 1, { id: "e1" });
		await before.flush();
		const after = await start();
		const runs = note(after.bus, "h", { retry: { attempts: 1 } });
		await after.flush();
		await clock.advance(leaseMs);
		await after.flush();
		expect(runs).toEqual([]);
		expect(after.errors[0]).toContain('The attempt of handler "h" at event "e1" ended without an outcome');
	});
});

describe("durable handler - after its process was ended in order", () => {
	test.each(["close", "drain"] as const)(
		"by %s(): the next one runs what is left, as if never begun",
		async (how) => {
			const { start } = await openFile();
			const before = await start();
			const handler = openHandler();
			before.bus.handle("job", handler.run, { name: "h", durable: true, retry, concurrency: 1 });
			for (const data of [1, 2, 3]) before.bus.emit("job", data, { id: `e${data}` });
			await before.flush();
			const ended = before.bus[how]();
			if (how === "close") handler.end(1, new Error("stopped"));
			else handler.end(1);
			await before.flush();
			await ended;
			expect((await before.rows()).slice(1)).toEqual(["e2 handler:h pending", "e3 handler:h pending"]);
			const after = await start();
			const runs = note(after.bus, "h");
			await after.flush();
			const rest = ["h 2#1", "h 3#1"];
			expect(runs.sort()).toEqual(how === "close" ? ["h 1#1", ...rest] : rest);
		},
	);
});

describe("durable handler - a lease that ends", () => {
	test("is renewed as long as the attempt runs", async () => {
		const { clock, start } = await openFile();
		const { bus, flush, rows } = await start();
		const handler = openHandler();
		bus.handle("job", handler.run, { name: "h", durable: true });
		bus.emit("job", 1, { id: "e1" });
		await flush();
		for (let elapsedMs = 0; elapsedMs < 4 * leaseMs; elapsedMs += 5_000) await clock.advance(5_000);
		handler.end(1);
		await flush();
		expect(handler.runs).toEqual(["1#1"]);
		expect(await rows()).toEqual(["e1 handler:h delivered"]);
	});

	test("of `leaseMs` of the bus: so long after the process died, another runs it", async () => {
		const { clock, start } = await openFile();
		const outbox = { leaseMs: 500 };
		const before = await start({ outbox });
		before.bus.handle("job", openHandler().run, { name: "h", durable: true });
		before.bus.emit("job", 1);
		await before.flush();
		const after = await start({ outbox });
		const runs = note(after.bus, "h");
		await clock.advance(500);
		await after.flush();
		expect(runs).toEqual(["h 1#2"]);
	});
});

describe("durable handler - rows under another name", () => {
	test("wait, and are visible, until a handler of that name is registered", async () => {
		const { clock, start } = await openFile();
		const before = await start({ outbox: { deliver: false } });
		note(before.bus, "old");
		await before.bus.emit("job", 1, { id: "e1" }).stored;
		const after = await start();
		const runs = note(after.bus, "new");
		await clock.advance(10 * leaseMs);
		await after.flush();
		expect(runs).toEqual([]);
		expect(await rowsOf(after.store)).toEqual(["e1 handler:old pending"]);
		expect((await after.store.stats()).targets).toMatchObject([
			{ group: "handler:old", target: "old", states: { pending: 1 } },
		]);
		const late = note(after.bus, "old");
		await after.flush();
		expect(late).toEqual(["old 1#1"]);
	});

	test("are run by the handler that names them as formerNames; its own rows have its name", async () => {
		const { start } = await openFile();
		const before = await start({ outbox: { deliver: false } });
		for (const name of ["older", "old"]) note(before.bus, name);
		await before.bus.emit("job", 1, { id: "e1" }).stored;
		const after = await start();
		const succeeded = vi.fn();
		after.bus.observe("handler:succeeded", ({ handler, event }) => succeeded(handler, event.id));
		const runs = note(after.bus, "new", { formerNames: ["older", "old"] });
		after.bus.emit("job", 2, { id: "e2" });
		await after.flush();
		expect(runs.sort()).toEqual(["new 1#1", "new 1#1", "new 2#1"]);
		expect(succeeded.mock.calls.sort()).toEqual([
			["new", "e1"],
			["new", "e1"],
			["new", "e2"],
		]);
		expect(await after.rows()).toEqual([
			"e1 handler:older delivered",
			"e1 handler:old delivered",
			"e2 handler:new delivered",
		]);
	});

	test("are not idle for who has them as former ones", async () => {
		const { clock, start } = await openFile();
		const before = await start({ outbox: { deliver: false } });
		note(before.bus, "old");
		await before.bus.emit("job", 1, { id: "e1" }).stored;
		const after = await start();
		const handler = openHandler();
		const options = { name: "new", durable: true, formerNames: ["old"] };
		const subscription = after.bus.handle("job", handler.run, options);
		let isIdle = false;
		void subscription.idle().then(() => {
			isIdle = true;
		});
		await after.flush();
		expect(handler.runs).toEqual(["1#1"]);
		subscription.pause();
		expect([subscription.pending, isIdle]).toEqual([1, false]);
		handler.end(1);
		await after.flush();
		await clock.advance(0);
		expect(isIdle).toBe(true);
	});
});

describe("durable handler - outbox.deliver: false", () => {
	test("only stores: another process runs it, and nobody waits for it here", async () => {
		const { clock, start } = await openFile();
		const { bus, flush, rows, store } = await start({ outbox: { deliver: false } });
		const claim = vi.spyOn(store, "claim");
		const runs = note(bus, "h");
		const plain = vi.fn();
		bus.handle("job", plain);
		await bus.emit("job", 1, { id: "e1" }).stored;
		await clock.advance(leaseMs);
		await bus.idle();
		await flush();
		expect([runs, plain.mock.calls.length]).toEqual([[], 1]);
		expect(claim).not.toHaveBeenCalled();
		expect(await rows()).toEqual(["e1 handler:h pending"]);
		expect(clock.timers).toBe(0);
		const [subscription] = bus.stats().handlers.filter(({ name }) => name === "h");
		expect(subscription).toMatchObject({ running: 0, queued: 0 });
		expect((await bus.drain()).deliveries).toBe(1);
	});
});
