import { describe, expect, test, vi } from "vitest";
import { openFolder } from "../../test/support/sqlite.ts";
import { watch } from "../../test/support/watch.ts";
import { createBus } from "../bus/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { sqliteStore } from "../stores/sqlite/index.ts";
import { createTestBus, fakeClock, settle } from "./index.ts";

const startMs = Date.parse("2026-01-01T00:00:00Z");
const options = { name: "h", durable: true };

function setup() {
	const clock = fakeClock();
	return createTestBus({ clock, store: memoryStore({ clock }) });
}

describe("createTestBus().settle() - durable handlers", () => {
	test("waits until they have done everything", async () => {
		const bus = setup();
		const seen: unknown[] = [];
		bus.handle("job", async (data) => void seen.push(data), options);
		for (let data = 1; data <= 100; data++) bus.emit("job", data);
		await bus.settle();
		expect(seen.sort((a, b) => Number(a) - Number(b))).toEqual(
			Array.from({ length: 100 }, (_, index) => index + 1),
		);
		expect(bus.clock.now()).toBe(startMs);
	});

	test("moves the clock over their retries, to the dead letter", async () => {
		const bus = setup();
		const attempts: number[] = [];
		const retry = { attempts: 3, minDelayMs: 1_000, jitter: false };
		const handler = (_data: unknown, { attempt }: { attempt: number }): never => {
			attempts.push(attempt);
			throw new Error("broken");
		};
		bus.handle("job", handler, { ...options, retry });
		bus.emit("job", 1);
		await bus.settle();
		expect(attempts).toEqual([1, 2, 3]);
		expect(bus.clock.now()).toBe(startMs + 3_000);
		expect(bus.errors.map(({ context }) => context.name)).toEqual(["h"]);
		expect((await bus.deadLetters.list()).items).toHaveLength(1);
	});

	test("waits for what they emit, through several of them, and for who awaits that", async () => {
		const bus = setup();
		const end = vi.fn();
		for (let step = 1; step <= 5; step++) {
			bus.handle(`step.${step}`, () => void bus.emit(`step.${step + 1}`, step), {
				name: `${step}`,
				durable: true,
			});
		}
		bus.handle("step.6", () => nextTurn());
		bus.on(
			"step.6",
			() =>
				void bus
					.emit("last", 1)
					.settled.then(nextTurn)
					.then(() => bus.emit("end", 1)),
		);
		bus.handle("end", end, { name: "end", durable: true });
		bus.emit("step.1", 0);
		await bus.settle();
		expect(end).toHaveBeenCalledTimes(1);
		expect(bus.recorded.map(({ type }) => type)).toEqual([
			...[1, 2, 3, 4, 5, 6].map((step) => `step.${step}`),
			...["last", "end"],
		]);
	});

	test("waits for what the store had before", async () => {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const before = createTestBus({ clock, store, outbox: { deliver: false } });
		before.handle("job", () => undefined, options);
		before.emit("job", 1);
		await before.settle();
		const bus = createTestBus({ clock, store });
		const handler = vi.fn();
		bus.handle("job", handler, options);
		await bus.settle();
		expect(handler).toHaveBeenCalledTimes(1);
	});

	test("does not wait for rows that no handler of the bus runs", async () => {
		const bus = setup();
		const subscription = bus.handle("job", () => new Promise(() => {}), options);
		subscription.pause();
		bus.emit("job", 1);
		await subscription.stop();
		await bus.settle();
		expect(bus.clock.now()).toBe(startMs);
	});

	test("waits for what is real, too", async () => {
		const bus = setup();
		const real = createDeferred<void>();
		const after = vi.fn();
		bus.handle("job", () => real.promise.then(after), options);
		bus.emit("job", 1);
		const settled = watch(bus.settle());
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(settled.isOver).toBe(false);
		real.resolve();
		await settled.promise;
		expect(after).toHaveBeenCalledTimes(1);
	});

	test("on a SQLite store, which takes more turns", async () => {
		const { path, dispose } = await openFolder();
		const clock = fakeClock();
		const store = sqliteStore({ path, driver: "libsql", clock });
		const bus = createTestBus({ clock, store });
		const seen: unknown[] = [];
		const handler = (data: unknown, { attempt }: { attempt: number }): void => {
			seen.push([data, attempt]);
			if (attempt === 1) throw new Error("broken");
		};
		bus.handle("job", handler, { ...options, retry: { minDelayMs: 30_000, jitter: false } });
		for (const data of [1, 2]) bus.emit("job", data);
		await bus.settle();
		expect(seen.sort()).toEqual([
			...[
				[1, 1],
				[1, 2],
			],
			...[
				[2, 1],
				[2, 2],
			],
		]);
		await bus.close();
		await store.close();
		await dispose();
	});
});

test("settle() - waits for durable handlers, on the machine's clock", async () => {
	const bus = createBus({ store: memoryStore(), onError: () => undefined });
	const attempts: number[] = [];
	const handler = (_data: unknown, { attempt }: { attempt: number }): void => {
		attempts.push(attempt);
		if (attempt < 3) throw new Error("broken");
		bus.emit("done", 1);
	};
	const done = vi.fn(() => nextTurn());
	bus.handle("job", handler, { ...options, retry: { minDelayMs: 1, jitter: false } });
	bus.handle("done", done, { name: "done", durable: true });
	bus.emit("job", 1);
	await settle(bus);
	expect(attempts).toEqual([1, 2, 3]);
	expect(done).toHaveBeenCalledTimes(1);
	await bus.close();
});
