import { describe, expect, test, vi } from "vitest";
import {
	type DurableBus,
	flush,
	type JobEvents,
	type OpenHandler,
	openDurableBus,
	openHandler,
} from "../../test/support/durable-bus.ts";
import { codeOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import type { HandlerContext } from "./attempt.ts";
import type { HandleOptions } from "./handler-options.ts";
import { asyncDispose, type HandlerSubscription } from "./handler-subscription.ts";

const broken = new Error("broken");

type Setup = DurableBus<JobEvents> & {
	readonly handler: OpenHandler;
	readonly subscription: HandlerSubscription;
};

/** A durable handler that makes one attempt at a time, with the first of three events running. */
async function setup(options: Partial<HandleOptions> = {}): Promise<Setup> {
	const bench = openDurableBus();
	const handler = openHandler();
	const retry = { minDelayMs: 1_000, jitter: false };
	const subscription = bench.bus.handle("job", handler.run, {
		...{ name: "h", durable: true, concurrency: 1, retry },
		...(options as object),
	});
	for (const data of [1, 2, 3]) bench.bus.emit("job", data, { id: `e${data}` });
	await bench.flush();
	return { ...bench, handler, subscription };
}

/** The events that another bus on the same store runs, with their attempts; without a key they have no order. */
async function finishElsewhere({ clock, store }: Pick<Setup, "clock" | "store">): Promise<string[]> {
	const { bus } = openDurableBus({ clock, store });
	const runs: string[] = [];
	const handler = (data: number, { attempt }: HandlerContext) => runs.push(`${data}#${attempt}`);
	bus.handle("job", handler, { name: "h", durable: true, concurrency: 1 });
	await flush(clock);
	await bus.close();
	return runs.sort();
}

const inFlight = ["e1 handler:h in_flight", "e2 handler:h pending", "e3 handler:h pending"];
const oneDone = ["e1 handler:h delivered", "e2 handler:h pending", "e3 handler:h pending"];
const allDone = ["e1 handler:h delivered", "e2 handler:h delivered", "e3 handler:h delivered"];

describe("durable handler - pause() and resume()", () => {
	test("has nothing to give back of what its rate does not let start: that is not claimed", async () => {
		const { subscription, rows, flush } = await setup({
			concurrency: 2,
			rateLimit: { count: 1, perMs: 60_000 },
		});
		expect(await rows()).toEqual(inFlight);
		subscription.pause();
		await flush();
		expect(await rows()).toEqual(inFlight);
	});

	test("lets what runs end and claims nothing, until it is resumed", async () => {
		const { bus, subscription, handler, store, rows, clock, flush } = await setup();
		expect(await rows()).toEqual(inFlight);
		subscription.pause();
		await flush();
		expect(await rows()).toEqual(inFlight);
		const claim = vi.spyOn(store, "claim");
		handler.end(1);
		await bus.emit("job", 4, { id: "e4" }).stored;
		await clock.advance(120_000);
		expect(claim).not.toHaveBeenCalled();
		expect(handler.runs).toEqual(["1#1"]);
		expect(await rows()).toEqual([...oneDone, "e4 handler:h pending"]);
		subscription.resume();
		for (let left = 3; left > 0; left--) {
			await flush();
			expect(handler.running).toHaveLength(1);
			handler.end(handler.running[0]!);
		}
		await flush();
		expect([...handler.runs].sort()).toEqual(["1#1", "2#1", "3#1", "4#1"]);
		expect(await rows()).toEqual([...allDone, "e4 handler:h delivered"]);
	});

	test("concerns no other handler", async () => {
		const { bus, subscription, flush, rows } = await setup();
		const other = vi.fn();
		bus.handle("other", other, { name: "other", durable: true });
		subscription.pause();
		bus.emit("other", 7, { id: "e7" });
		await flush();
		expect(other).toHaveBeenCalledTimes(1);
		expect(await rows()).toEqual([...inFlight, "e7 handler:other delivered"]);
	});

	test("gives back what a claim under way brings", async () => {
		const { bus, store, flush, rows } = openDurableBus();
		const handler = openHandler();
		const subscription = bus.handle("job", handler.run, { name: "h", durable: true });
		await flush();
		const { claim } = store;
		vi.spyOn(store, "claim").mockImplementationOnce((...args) => {
			subscription.pause();
			return claim(...args);
		});
		bus.emit("job", 1, { id: "e1" });
		await flush();
		expect(handler.runs).toEqual([]);
		expect(await rows()).toEqual(["e1 handler:h pending"]);
		subscription.resume();
		await flush();
		expect(handler.runs).toEqual(["1#1"]);
	});
});

describe("durable handler - what it tells", () => {
	test("size and pending count what this process has claimed", async () => {
		const { bus, subscription, handler, flush } = await setup({
			...{ concurrency: 2, rateLimit: { count: 1, perMs: 60_000 } },
		});
		expect([subscription.size, subscription.pending]).toEqual([0, 1]);
		expect(subscription.name).toBe("h");
		expect(bus.stats().handlers).toEqual([{ name: "h", ...subscription.stats() }]);
		subscription.pause();
		expect([subscription.size, subscription.pending]).toEqual([0, 1]);
		handler.end(1);
		await flush();
		expect([subscription.size, subscription.pending]).toEqual([0, 0]);
	});

	test("stats() counts attempts by their end", async () => {
		const { clock, subscription, handler, flush } = await setup({
			retry: { attempts: 2, minDelayMs: 10, jitter: false },
		});
		const none = { succeeded: 0, failed: 0, retried: 0, dropped: 0, running: 1, queued: 0 };
		expect(subscription.stats()).toEqual(none);
		handler.end(1, broken);
		await flush();
		handler.end(2);
		await flush();
		expect(subscription.stats()).toMatchObject({ succeeded: 1, failed: 0, retried: 1, running: 1 });
		handler.end(3);
		await clock.advance(10);
		handler.end(1, broken);
		await flush();
		expect(subscription.stats()).toEqual({
			...none,
			succeeded: 2,
			failed: 1,
			retried: 1,
			running: 0,
			queued: 0,
		});
	});

	test("idle() of the subscription and of the bus waits for all that the store has for it", async () => {
		const { bus, clock, subscription, handler, flush } = await setup();
		const ends = [watch(subscription.idle()), watch(bus.idle())];
		const areOver = () => ends.map(({ isOver }) => isOver);
		handler.end(1, broken);
		await flush();
		for (const data of [2, 3]) {
			handler.end(data);
			await flush();
		}
		await clock.advance(999);
		expect(areOver()).toEqual([false, false]);
		await clock.advance(1);
		expect(handler.runs.at(-1)).toBe("1#2");
		expect(areOver()).toEqual([false, false]);
		handler.end(1);
		await flush();
		expect(areOver()).toEqual([true, true]);
	});

	test("bus.idle() waits for what a durable handler emits at its end, too", async () => {
		const { bus, flush } = openDurableBus();
		const handler = openHandler();
		bus.handle("job", () => void bus.emit("other", 1), { name: "h", durable: true });
		bus.handle("other", handler.run);
		bus.emit("job", 1);
		const idle = watch(bus.idle());
		await flush();
		expect(idle.isOver).toBe(false);
		handler.end(1);
		await flush();
		expect(idle.isOver).toBe(true);
	});
});

describe("durable handler - ended by", () => {
	test.each<[string, (setup: Setup) => unknown]>([
		["stop()", ({ subscription }) => subscription.stop()],
		["Symbol.asyncDispose", ({ subscription }) => subscription[asyncDispose]()],
		["bus.off()", ({ bus, handler }) => bus.off("job", handler.run)],
	])("%s: what runs ends, the rest stays in the store for another", async (_how, end) => {
		const bench = await setup();
		const { bus, handler, flush, rows } = bench;
		const ended = watch(Promise.resolve(end(bench)));
		await flush();
		expect(ended.isOver).toBe(_how === "bus.off()");
		expect(await rows()).toEqual(inFlight);
		bus.emit("job", 4, { id: "e4" });
		handler.end(1);
		await flush();
		expect(ended.isOver).toBe(true);
		expect(handler.runs).toEqual(["1#1"]);
		expect(await rows()).toEqual(oneDone);
		expect(bus.stats().handlers).toEqual([]);
		expect(await finishElsewhere(bench)).toEqual(["2#1", "3#1"]);
		expect(await rows()).toEqual(allDone);
	});

	test("stop() leaves a retry to another, with its attempt counted, and fires no signal", async () => {
		const bench = await setup();
		const { clock, subscription, handler, flush, rows } = bench;
		const ended = watch(subscription.stop());
		await clock.advance(60_000);
		handler.end(1, broken);
		await flush();
		expect(ended.isOver).toBe(true);
		expect((await rows())[0]).toBe("e1 handler:h waiting");
		await clock.advance(1_000);
		expect(await finishElsewhere(bench)).toEqual(["1#2", "2#1", "3#1"]);
	});

	test("stop() may be called again, and frees the name at once", async () => {
		const { bus, subscription, handler, flush } = await setup();
		const ends = [watch(subscription.stop()), watch(subscription.stop())];
		const options = { name: "h", durable: true, concurrency: 1 };
		const next = openHandler();
		bus.handle("job", next.run, options);
		await flush();
		expect(next.running).toHaveLength(1);
		expect(next.running).not.toContain(1);
		expect(ends.map(({ isOver }) => isOver)).toEqual([false, false]);
		handler.end(1);
		await flush();
		expect(ends.map(({ isOver }) => isOver)).toEqual([true, true]);
		await subscription.stop();
	});
});

describe("durable handler - bus.close() in the middle of an attempt", () => {
	/** What runs gets the signal and does this. */
	async function closeIn(onAbort: (signal: AbortSignal) => unknown) {
		const bench = openDurableBus();
		const { bus, clock } = bench;
		const reasons: unknown[] = [];
		const handler = (_data: number, { signal }: HandlerContext): unknown =>
			new Promise((resolve) => {
				signal.addEventListener("abort", () => {
					reasons.push(signal.reason);
					resolve(onAbort(signal));
				});
			});
		bus.handle("job", handler, { name: "h", durable: true, concurrency: 1 });
		for (const data of [1, 2, 3]) bus.emit("job", data, { id: `e${data}` });
		await bench.flush();
		const closed = watch(bus.close());
		await clock.advance(0);
		await bench.flush();
		expect(closed.isOver).toBe(true);
		expect(clock.timers).toBe(0);
		expect(reasons).toMatchObject([{ code: "ERR_CALLHOOK_STOPPED" }]);
		return bench;
	}

	test("gives its claim back, the attempt not counted, and what had not started", async () => {
		const bench = await closeIn(({ reason }) => Promise.reject(reason));
		const { rows, store, errors } = bench;
		expect(await rows()).toEqual([1, 2, 3].map((data) => `e${data} handler:h pending`));
		expect((await store.query({}, {})).items.flatMap(({ attempts }) => attempts)).toEqual([]);
		expect(errors).toEqual(["handler h: The bus was closed"]);
		expect(await finishElsewhere(bench)).toEqual(["1#1", "2#1", "3#1"]);
	});

	test("keeps the order of a key for who goes on", async () => {
		const bench = openDurableBus();
		const { bus, clock, store, flush } = bench;
		const handler = openHandler();
		const options = { name: "h", durable: true, key: () => "k" };
		bus.handle("job", handler.run, options);
		for (const data of [1, 2, 3]) bus.emit("job", data);
		await flush();
		const closed = bus.close();
		handler.end(1, broken);
		await closed;
		const next = openDurableBus({ clock, store });
		const runs: string[] = [];
		next.bus.handle("job", (data, { attempt }) => runs.push(`${data}#${attempt}`), options);
		await flush();
		expect(runs).toEqual(["1#1", "2#1", "3#1"]);
	});

	test("keeps a success that comes with the signal", async () => {
		const bench = await closeIn(() => undefined);
		expect(await bench.rows()).toEqual(oneDone);
		expect(bench.errors).toEqual([]);
		expect(await finishElsewhere(bench)).toEqual(["2#1", "3#1"]);
	});

	test("refuses new handlers and events", async () => {
		const { bus } = await closeIn(() => undefined);
		const options = { name: "late", durable: true };
		expect(codeOf(() => bus.handle("job", () => undefined, options))).toBe("ERR_CALLHOOK_CLOSED");
		expect(codeOf(() => bus.emit("job", 4))).toBe("ERR_CALLHOOK_CLOSED");
	});
});

describe("durable handler - bus.drain()", () => {
	test("ends what runs, begins nothing new, and leaves the rest to the next bus", async () => {
		const bench = await setup();
		const { bus, handler, flush, rows, errors } = bench;
		const drained = watch(bus.drain());
		await flush();
		expect(drained.isOver).toBe(false);
		expect(await rows()).toEqual(inFlight);
		bus.emit("job", 4, { id: "e4" });
		await flush();
		handler.end(1);
		await flush();
		expect(drained.isOver).toBe(true);
		expect(await drained.promise).toEqual({ isDrained: true, left: 0, handlers: [], deliveries: 3 });
		expect(codeOf(() => bus.emit("job", 5))).toBe("ERR_CALLHOOK_CLOSED");
		expect(handler.runs).toEqual(["1#1"]);
		expect(errors).toEqual([]);
		await bus.close();
		expect(await finishElsewhere(bench)).toEqual(["2#1", "3#1", "4#1"]);
	});

	test("takes what a durable handler that runs emits, for durable and for other handlers", async () => {
		const { bus, flush, rows } = openDurableBus();
		const running = openHandler();
		const [durable, plain] = [vi.fn(), vi.fn()];
		const work = async (data: number, context: HandlerContext): Promise<void> => {
			await running.run(data, context);
			bus.emit("other", 2, { id: "e2" });
		};
		bus.handle("job", work, { name: "h", durable: true });
		bus.handle("other", durable, { name: "other", durable: true });
		bus.handle("other", plain);
		bus.emit("job", 1, { id: "e1" });
		await flush();
		const drained = watch(bus.drain());
		await flush();
		running.end(1);
		await flush();
		expect((await drained.promise).isDrained).toBe(true);
		expect(plain).toHaveBeenCalledTimes(1);
		expect(durable).not.toHaveBeenCalled();
		expect(await rows()).toEqual(["e1 handler:h delivered", "e2 handler:other pending"]);
	});

	test("does not wait for a retry, which keeps its time", async () => {
		const bench = await setup();
		const { bus, clock, handler, flush, subscription } = bench;
		subscription.pause();
		handler.end(1, broken);
		await flush();
		const drained = watch(bus.drain());
		await flush();
		expect(await drained.promise).toMatchObject({ isDrained: true, deliveries: 3 });
		expect(await finishElsewhere(bench)).toEqual(["2#1", "3#1"]);
		await clock.advance(1_000);
		expect(await finishElsewhere(bench)).toEqual(["1#2"]);
	});

	test("fires the signal of what runs when its time is over, and gives it back", async () => {
		const bench = openDurableBus();
		const { bus, clock, flush, rows } = bench;
		const handler = (_data: number, { signal }: HandlerContext): unknown =>
			new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
		bus.handle("job", handler, { name: "h", durable: true });
		bus.emit("job", 1, { id: "e1" });
		await flush();
		const drained = watch(bus.drain({ timeoutMs: 500 }));
		await clock.advance(499);
		expect(drained.isOver).toBe(false);
		await clock.advance(1);
		await flush();
		expect(await drained.promise).toMatchObject({ isDrained: false, left: 1, deliveries: 1 });
		expect(await rows()).toEqual(["e1 handler:h pending"]);
		expect(await finishElsewhere(bench)).toEqual(["1#1"]);
	});

	test.each(["close", "drain"] as const)(
		"%s() does not wait for a function that ignores its signal",
		async (how) => {
			const { bus, handler, rows, clock, flush, errors } = await setup();
			const ended = watch<unknown>(how === "close" ? bus.close() : bus.drain({ timeoutMs: 1_000 }));
			await clock.advance(1_000);
			await flush();
			expect(ended.isOver).toBe(true);
			// The function still runs: nobody else may have its event before its lease ends.
			expect(await rows()).toEqual(inFlight);
			expect(errors).toEqual(["outbox deliver: The bus was closed"]);
			handler.end(1);
		},
	);
});
