import { describe, expect, test } from "vitest";
import { createBus } from "../bus/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { settle } from "./index.ts";

// With the machine's clock on purpose: nothing here moves another one.
const setup = (options = {}) => createBus<{ job: number }>({ onError: () => undefined, ...options });

describe("settle()", () => {
	test("resolves where nothing was emitted", async () => {
		await settle(setup());
		const closed = setup();
		await closed.close();
		await settle(closed);
	});

	test.each<[string, (bus: ReturnType<typeof setup>, data: number) => unknown]>([
		["a callback", (bus, data) => bus.on("job", (n) => (n === data ? nextTurn() : undefined))],
		["a handler", (bus) => bus.handle("job", () => nextTurn())],
	])("waits for %s", async (_what, consume) => {
		const bus = setup();
		const seen: number[] = [];
		consume(bus, 1);
		const emission = bus.emit("job", 1);
		void emission.settled.then(() => seen.push(1));
		await settle(bus);
		expect(seen).toEqual([1]);
		expect(bus.stats().open).toBe(0);
	});

	test("waits for the retries of handlers", async () => {
		const bus = setup();
		const attempts: number[] = [];
		const retry = { attempts: 3, minDelayMs: 1, jitter: false };
		bus.handle(
			"job",
			(_, { attempt }) => {
				attempts.push(attempt);
				throw new Error("broken");
			},
			{ retry },
		);
		bus.emit("job", 1);
		await settle(bus);
		expect(attempts).toEqual([1, 2, 3]);
	});

	test("waits for delayed events, batches and appends to the outbox", async () => {
		const store = memoryStore();
		const bus = setup({ store });
		const seen: unknown[] = [];
		bus.handle("job", (data) => seen.push(data), { batch: { size: 10, waitMs: 1 } });
		bus.outbox?.register({
			...{ name: "all", accepts: ["**"], concurrency: 1, concurrencyOf: () => 1 },
			...{ prepare: async () => undefined, route: () => [], abort: () => undefined },
			run: async () => ({ to: { state: "routed", deliveries: [] } }),
		});
		let isStored = false;
		void bus.emit("job", 1, { delayMs: 1 }).stored.then(() => {
			isStored = true;
		});
		await settle(bus);
		expect(seen).toEqual([[1]]);
		expect(isStored).toBe(true);
		await bus.close();
	});

	test("waits for a chain of emits at any depth, also by those who await the end of one", async () => {
		const bus = setup();
		const seen: number[] = [];
		const emitNext = (data: number) => data < 60 && bus.emit("job", data + 1);
		bus.on("job", (data) => {
			seen.push(data);
			if (data % 4 === 0) emitNext(data);
		});
		bus.handle("job", async (data) => {
			if (data % 4 === 1) return void emitNext(data);
			await nextTurn();
			if (data % 4 === 2) emitNext(data);
		});
		bus.on("job", (data, { id }) => {
			if (data % 4 !== 3) return;
			// By somebody who is no consumer, and only in the turn after.
			const { settled } = bus.emit("job", 1_000, { causationId: id });
			void settled.then(nextTurn).then(() => emitNext(data));
		});
		bus.emit("job", 1);
		await settle(bus);
		expect(seen.filter((data) => data < 1_000)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
	});

	test("does not resolve while a handler runs", async () => {
		const bus = setup();
		const work = createDeferred<void>();
		bus.handle("job", () => work.promise);
		bus.emit("job", 1);
		let isSettled = false;
		const settled = settle(bus).then(() => {
			isSettled = true;
		});
		for (let turns = 0; turns < 20; turns++) await nextTurn();
		expect(isSettled).toBe(false);
		work.resolve();
		await settled;
	});
});
