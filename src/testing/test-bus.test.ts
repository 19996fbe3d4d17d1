import { readFile } from "node:fs/promises";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { codeOf } from "../../test/support/thrown.ts";
import { defineEvents } from "../event/index.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { createTestBus, fakeClock } from "./index.ts";

const startMs = Date.parse("2026-01-01T00:00:00Z");
const events = defineEvents({
	"order.paid": z.object({ orderId: z.string(), total: z.string().transform(Number) }),
	"receipt.sent": z.object({ orderId: z.string() }),
});

function throwing(error: unknown): () => never {
	return () => {
		throw error;
	};
}

describe("createTestBus() - records", () => {
	test("every event in order, with its data as consumers get it, whether or not somebody listens", () => {
		const bus = createTestBus({ events });
		bus.on("order.paid", ({ orderId }) => bus.emit("receipt.sent", { orderId }));
		const { event } = bus.emit("order.paid", { orderId: "o_1", total: "42" });
		bus.emit("receipt.sent", { orderId: "o_2" });
		expect(bus.recorded.map(({ type }) => type)).toEqual(["order.paid", "receipt.sent", "receipt.sent"]);
		expect(bus.recorded[0]).toBe(event);
		expect(bus.dataOf("order.paid")).toEqual([{ orderId: "o_1", total: 42 }]);
		expect(bus.dataOf("receipt.sent")).toEqual([{ orderId: "o_1" }, { orderId: "o_2" }]);
	});

	test("what a middleware vetoes, and not what `emit` refuses", () => {
		const bus = createTestBus({ events });
		const callback = vi.fn();
		bus.use(() => undefined, { around: "emit" });
		bus.on("**", callback);
		bus.emit("receipt.sent", { orderId: "vetoed" });
		expect(codeOf(() => bus.emit("receipt.sent", {} as never))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(callback).not.toHaveBeenCalled();
		expect(bus.dataOf("receipt.sent")).toEqual([{ orderId: "vetoed" }]);
	});

	test("a delayed or held event when it is delivered, and one that was cancelled never", async () => {
		const bus = createTestBus();
		const held = bus.hold();
		held.emit("job", "held");
		bus.emit("job", "delayed", { delayMs: 100 });
		bus.emit("job", "cancelled", { delayMs: 100 }).cancel();
		expect(bus.recorded).toEqual([]);
		held.release();
		expect(bus.dataOf("job")).toEqual(["held"]);
		await bus.settle();
		expect(bus.dataOf("job")).toEqual(["held", "delayed"]);
	});

	test("the time of the emit, whenever it is read", async () => {
		const bus = createTestBus();
		bus.on("job", (_data) => undefined);
		for (const data of [1, 2]) {
			bus.emit("job", data);
			await bus.clock.advance(60_000);
		}
		expect(bus.recorded.map(({ time }) => Date.parse(time) - startMs)).toEqual([0, 60_000]);
	});

	test("nothing of another test bus", () => {
		const [first, second] = [createTestBus(), createTestBus()];
		first.emit("job", 1);
		expect(second.recorded).toEqual([]);
		expect(second.dataOf("job")).toEqual([]);
	});
});

describe("createTestBus() - collects errors", () => {
	test("of callbacks and handlers, with their contexts, and hands them on", async () => {
		const onError = vi.fn();
		const bus = createTestBus({ onError });
		const print = vi.spyOn(console, "error");
		bus.on("job", throwing("callback"));
		bus.handle("job", throwing("handler"), { name: "worker" });
		const { event } = bus.emit("job", 1);
		await bus.settle();
		expect(bus.errors).toEqual([
			{ error: "callback", context: { source: "callback", name: "job", event } },
			{ error: "handler", context: { source: "handler", name: "worker", event } },
		]);
		expect(onError.mock.calls).toEqual(bus.errors.map(({ error, context }) => [error, context]));
		expect(print).not.toHaveBeenCalled();
		print.mockRestore();
	});
});

describe("createTestBus() - takes the options of createBus", () => {
	test("such as a source, a store and a clock of one's own", async () => {
		const clock = fakeClock({ now: startMs + 5_000 });
		const bus = createTestBus({ clock, source: "/shop", store: memoryStore({ clock }) });
		const { event } = bus.emit("job", 1);
		expect(bus.clock).toBe(clock);
		expect([event.source, Date.parse(event.time)]).toEqual(["/shop", startMs + 5_000]);
		expect(bus.outbox).toBeDefined();
		await bus.close();
	});

	test("and refuses unknown ones", () => {
		expect(codeOf(() => createTestBus({ soruce: "/shop" } as never))).toBe("ERR_CALLHOOK_INVALID_OPTION");
	});

	test("its time stands still until it is moved", async () => {
		const bus = createTestBus();
		expect(bus.clock.now()).toBe(startMs);
		bus.handle("job", () => undefined);
		bus.emit("job", 1);
		await bus.settle();
		expect(bus.clock.now()).toBe(startMs);
	});
});

describe("settle() of a test bus", () => {
	test("resolves at once where nothing is open, also on a closed bus", async () => {
		const bus = createTestBus();
		await bus.settle();
		await bus.close();
		await bus.settle();
		expect(bus.clock.now()).toBe(startMs);
	});

	test("moves the clock over retries, exactly as far as they wait", async () => {
		const bus = createTestBus();
		const attempts: number[] = [];
		bus.handle(
			"job",
			(_, { attempt }) => {
				attempts.push(bus.clock.now() - startMs);
				if (attempt < 4) throw new Error("again");
			},
			{ retry: { attempts: 4, minDelayMs: 1_000, factor: 10, maxDelayMs: 3_600_000, jitter: false } },
		);
		bus.emit("job", 1);
		await bus.settle();
		expect(attempts).toEqual([0, 1_000, 11_000, 111_000]);
		expect(bus.clock.now() - startMs).toBe(111_000);
		expect(bus.errors).toEqual([]);
	});

	test("moves the clock over delays, batches and rate limits", async () => {
		const bus = createTestBus();
		const seen: [unknown, number][] = [];
		const note = (data: unknown) => void seen.push([data, bus.clock.now() - startMs]);
		bus.on("late", note);
		bus.handle("batch", note, { batch: { size: 10, waitMs: 500 } });
		bus.handle("limited", note, { rateLimit: { count: 1, perMs: 10_000 } });
		bus.emit("late", "late", { delayMs: 3_000 });
		for (const data of [1, 2]) bus.emit("batch", data);
		for (const data of ["first", "second"]) bus.emit("limited", data);
		await bus.settle();
		expect(seen).toEqual([
			["first", 0],
			[[1, 2], 500],
			["late", 3_000],
			["second", 10_000],
		]);
		expect(bus.clock.timers).toBe(0);
	});

	test("leaves the timers of others alone once nothing is open", async () => {
		const bus = createTestBus();
		const fired = vi.fn();
		bus.clock.setTimeout(fired, 1_000);
		bus.handle("job", () => undefined);
		bus.emit("job", 1);
		await bus.settle();
		expect(fired).not.toHaveBeenCalled();
		expect(bus.clock.timers).toBe(1);
	});

	test("follows a chain of emits at any depth, over delays and retries", async () => {
		const bus = createTestBus<{ step: number }>();
		const emitNext = (data: number) =>
			data < 40 && bus.emit("step", data + 1, { delayMs: (data % 3) * 1_000 });
		bus.on("step", (data) => data % 2 === 0 && emitNext(data));
		bus.handle(
			"step",
			async (data, { attempt }) => {
				await nextTurn();
				if (data % 2 === 1 && attempt === 1) throw new Error("again");
				if (data % 2 === 1) emitNext(data);
			},
			{ retry: {} },
		);
		bus.emit("step", 1);
		await bus.settle();
		expect(bus.dataOf("step")).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
		expect(bus.stats().open).toBe(0);
	});

	test.each([0, 1, 11, 20])("follows who emits anew %i turns after the last has ended", async (turns) => {
		const bus = createTestBus();
		bus.handle("first", () => undefined);
		const emitAnew = async () => {
			await bus.emit("first", 1, { delayMs: 10 }).settled;
			for (let left = turns; left > 0; left--) await nextTurn();
			bus.emit("second", 2, { delayMs: 60_000 });
		};
		void emitAnew();
		await bus.settle();
		expect(bus.dataOf("second")).toEqual([2]);
	});

	test("waits for something real, and moves the clock over the retry when that fails", async () => {
		const bus = createTestBus();
		const attempts: number[] = [];
		bus.handle(
			"read",
			async (path, { attempt }) => {
				attempts.push(attempt);
				await readFile(path as string);
			},
			{ retry: { attempts: 3, minDelayMs: 5_000, jitter: false } },
		);
		bus.emit("read", `${import.meta.filename}.none`);
		bus.emit("read", import.meta.filename);
		await bus.settle();
		expect(attempts.toSorted()).toEqual([1, 1, 2, 3]);
		expect(bus.errors.map(({ error }) => (error as { code: string }).code)).toEqual(["ENOENT"]);
		expect(bus.clock.now() - startMs).toBe(15_000);
	});

	test("may be called again, for what was emitted since", async () => {
		const bus = createTestBus();
		const handler = vi.fn();
		bus.handle("job", handler);
		for (const data of [1, 2]) {
			bus.emit("job", data, { delayMs: 10 });
			await bus.settle();
			expect(handler).toHaveBeenCalledTimes(data);
		}
	});
});
