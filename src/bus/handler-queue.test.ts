import { describe, expect, test, vi } from "vitest";
import { isCallhookError } from "../errors.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";
import type { BusOptions } from "./bus-options.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

interface Job {
	readonly id: number;
	readonly key?: string;
}

function setup(options: Partial<BusOptions> = {}) {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ job: Job; other: Job }>({ clock, onError, ...options, events: undefined });
	return { bus, clock, onError };
}

/** A handler whose runs end when the test says so. */
function heldHandler() {
	const runs: (Deferred<unknown> & { id: number; context: HandlerContext })[] = [];
	const started: number[] = [];
	const handler = ({ id }: Job, context: HandlerContext): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, id, context });
		started.push(id);
		return done.promise;
	};
	return { handler, runs, started, last: () => runs[runs.length - 1]! };
}

const keyOf = ({ key }: Job) => key;

describe("handle() - runs", () => {
	test("behind emit, never inside it, in the order of emit", async () => {
		const { bus } = setup();
		const started: string[] = [];
		bus.handle("job", ({ id }) => void started.push(`unlimited ${id}`));
		bus.handle("job", ({ id }) => void started.push(`limited ${id}`), { concurrency: 1 });
		const emissions = [bus.emit("job", { id: 1 }), bus.emit("job", { id: 2 })];
		expect(started).toEqual([]);
		for (const { settled } of emissions) await settled;
		expect(started.filter((text) => text.startsWith("unlimited"))).toEqual(["unlimited 1", "unlimited 2"]);
		expect(started.filter((text) => text.startsWith("limited"))).toEqual(["limited 1", "limited 2"]);
	});

	test("with the data, the event, the attempt and a signal; its result stands in the report", async () => {
		const { bus } = setup();
		const handler = vi.fn(async (_data: Job, _context: HandlerContext) => "result");
		bus.handle("job", handler, { name: "worker" });
		const data = { id: 1 };
		const emission = bus.emit("job", data);
		const report = await emission.settled;
		const [gotData, context] = handler.mock.calls[0]!;
		expect(gotData).toBe(data);
		expect(context.event).toBe(emission.event);
		expect(context.attempt).toBe(1);
		expect(context.signal.aborted).toBe(false);
		expect(report.outcomes).toEqual([
			{ kind: "handler", name: "worker", attempts: 1, status: "fulfilled", value: "result" },
		]);
	});

	test("only once and after an error by default, reported once, sparing the others", async () => {
		const { bus, onError } = setup();
		const error = new Error("broken");
		bus.handle("job", () => Promise.reject(error), { name: "rejecting" });
		bus.handle(
			"job",
			() => {
				throw error;
			},
			{ name: "throwing", concurrency: 1 },
		);
		bus.handle("job", () => "fine", { name: "well", concurrency: 1 });
		const emission = bus.emit("job", { id: 1 });
		const report = await emission.settled;
		expect(report.outcomes).toEqual([
			{ kind: "handler", name: "rejecting", attempts: 1, status: "rejected", error },
			{ kind: "handler", name: "throwing", attempts: 1, status: "rejected", error },
			{ kind: "handler", name: "well", attempts: 1, status: "fulfilled", value: "fine" },
		]);
		const { event } = emission;
		expect(onError).toHaveBeenCalledTimes(2);
		expect(onError).toHaveBeenCalledWith(error, { source: "handler", name: "rejecting", event });
		expect(onError).toHaveBeenCalledWith(error, { source: "handler", name: "throwing", event });
		expect((await bus.emit("job", { id: 2 }).settled).failed).toHaveLength(2);
	});

	test("on after a result whose `then` throws when it is read", async () => {
		for (const concurrency of [1, Number.POSITIVE_INFINITY]) {
			const { bus } = setup();
			const handler = vi.fn((): unknown => {
				// biome-ignore lint/suspicious/noThenProperty: a foreign thenable is what is tested.
				return Object.defineProperty({}, "then", {
					get: () => {
						throw new Error("then");
					},
				});
			});
			bus.handle("job", handler, { concurrency });
			const emissions = [bus.emit("job", { id: 1 }), bus.emit("job", { id: 2 })];
			for (const { settled } of emissions) expect((await settled).ok).toBe(false);
			expect(handler).toHaveBeenCalledTimes(2);
		}
	});

	test("after callbacks, and stands behind them in the report", async () => {
		const { bus } = setup();
		const order: string[] = [];
		bus.handle("job", () => void order.push("handler"), { name: "handler" });
		bus.on("job", () => void order.push("callback"));
		const report = await bus.emit("job", { id: 1 }).settled;
		expect(order).toEqual(["callback", "handler"]);
		expect(report.outcomes.map(({ kind }) => kind)).toEqual(["callback", "handler"]);
	});
});

describe("handle() - concurrency", () => {
	test("is reached and never exceeded", async () => {
		const { bus, clock } = setup();
		const { handler, runs, started } = heldHandler();
		const jobs = bus.handle("job", handler, { concurrency: 3 });
		const emissions = Array.from({ length: 10 }, (_, id) => bus.emit("job", { id }));
		await clock.advance(0);
		for (let ended = 0; ended < 10; ended++) {
			expect(jobs.pending).toBe(Math.min(3, 10 - ended));
			expect(started).toHaveLength(Math.min(10, ended + 3));
			runs[ended]!.resolve(undefined);
			await clock.advance(0);
		}
		for (const { settled } of emissions) expect((await settled).ok).toBe(true);
		expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
	});

	test("of Infinity, the default, starts everything at once", async () => {
		const { bus, clock } = setup();
		const { handler, started } = heldHandler();
		bus.handle("job", handler);
		for (let id = 0; id < 1_000; id++) bus.emit("job", { id });
		await clock.advance(0);
		expect(started).toHaveLength(1_000);
	});

	test("is given on by an attempt that throws, rejects or returns at once", async () => {
		const { bus } = setup();
		const handler = vi.fn(({ id }: Job) => {
			if (id % 3 === 0) throw new Error("sync");
			return id % 3 === 1 ? Promise.reject(new Error("async")) : id;
		});
		bus.handle("job", handler, { concurrency: 1 });
		const emissions = Array.from({ length: 9 }, (_, id) => bus.emit("job", { id }));
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ ok }) => ok)).toEqual([false, false, true, false, false, true, false, false, true]);
	});
});

describe("handle() - key", () => {
	test("runs one event of each key at a time, in the order of emit, other keys beside it", async () => {
		const { bus, clock } = setup();
		const { handler, runs, started } = heldHandler();
		bus.handle("job", handler, { concurrency: 10, key: keyOf });
		for (const [id, key] of ["a", "a", "b", "a", "b", "c"].entries()) bus.emit("job", { id, key });
		await clock.advance(0);
		expect(started).toEqual([0, 2, 5]);
		runs[0]!.reject(new Error("a failed event frees its key as well"));
		await clock.advance(0);
		expect(started).toEqual([0, 2, 5, 1]);
		runs[1]!.resolve(undefined);
		runs[3]!.resolve(undefined);
		await clock.advance(0);
		expect(started).toEqual([0, 2, 5, 1, 4, 3]);
	});

	test("of undefined makes the event independent", async () => {
		const { bus, clock } = setup();
		const { handler, started } = heldHandler();
		bus.handle("job", handler, { key: keyOf });
		for (let id = 0; id < 3; id++) bus.emit("job", { id });
		await clock.advance(0);
		expect(started).toEqual([0, 1, 2]);
	});

	test("is asked with data and event, and waiting for it takes no slot", async () => {
		const { bus, clock } = setup();
		const { handler, started } = heldHandler();
		bus.handle("job", handler, { concurrency: 2, key: (_data, event) => event.key });
		bus.emit("job", { id: 0 }, { key: "a" });
		bus.emit("job", { id: 1 }, { key: "a" });
		bus.emit("job", { id: 2 }, { key: "a" });
		bus.emit("job", { id: 3 }, { key: "b" });
		await clock.advance(0);
		expect(started).toEqual([0, 3]);
	});

	test("from a function that throws or gives no string fails its event only", async () => {
		const { bus, onError } = setup();
		const handler = vi.fn();
		const error = new Error("no key");
		const key = ({ id }: Job): string | undefined => {
			if (id === 1) throw error;
			return id === 2 ? (7 as never) : "k";
		};
		bus.handle("job", handler, { name: "keyed", key });
		const reports = await Promise.all([0, 1, 2, 3].map((id) => bus.emit("job", { id }).settled));
		expect(reports.map(({ ok }) => ok)).toEqual([true, false, false, true]);
		expect(reports[1]?.failed).toEqual([
			{ kind: "handler", name: "keyed", attempts: 0, status: "rejected", error },
		]);
		expect(isCallhookError(reports[2]?.failed[0]?.error, "ERR_CALLHOOK_INVALID_OPTION")).toBe(true);
		expect(handler).toHaveBeenCalledTimes(2);
		expect(onError).toHaveBeenCalledTimes(2);
	});

	test("and concurrency 1: a handler that emits to itself 10,000 deep neither deadlocks nor drops", async () => {
		const { bus } = setup();
		const done = createDeferred<void>();
		let handled = 0;
		let running = 0;
		const jobs = bus.handle(
			"job",
			async ({ id }) => {
				expect(++running).toBe(1);
				if (id < 10_000) bus.emit("job", { id: id + 1, key: "k" });
				await Promise.resolve();
				running--;
				handled++;
				if (id === 10_000) done.resolve();
			},
			{ concurrency: 1, key: keyOf },
		);
		bus.emit("job", { id: 1, key: "k" });
		await done.promise;
		await jobs.idle();
		expect(handled).toBe(10_000);
		expect(jobs.stats()).toMatchObject({ succeeded: 10_000, failed: 0, queued: 0, running: 0 });
	});

	test.each([
		["limited", { concurrency: 1 }],
		["unlimited", {}],
	])("no matter, two %s handlers that emit to each other run 10,000 deep", async (_name, options) => {
		const { bus } = setup();
		const done = createDeferred<void>();
		bus.handle("job", ({ id }) => void bus.emit("other", { id: id + 1 }), options);
		bus.handle(
			"other",
			({ id }) => {
				if (id < 10_000) bus.emit("job", { id: id + 1 });
				else done.resolve();
			},
			options,
		);
		bus.emit("job", { id: 1 });
		await done.promise;
	});
});

describe("createBus() - concurrency", () => {
	test("is a ceiling over all handlers, below and above theirs", async () => {
		const { bus, clock } = setup({ concurrency: 3 });
		const { handler, runs, started } = heldHandler();
		bus.handle("job", handler, { concurrency: 2, name: "two" });
		bus.handle("job", handler, { name: "any" });
		bus.handle("job", handler, { concurrency: 50, name: "fifty" });
		for (let id = 0; id < 5; id++) bus.emit("job", { id });
		for (let ended = 0; ended < 15; ended++) {
			await clock.advance(0);
			const running = bus.stats().handlers.reduce((sum, stats) => sum + stats.running, 0);
			expect(running).toBe(Math.min(3, 15 - ended));
			expect(bus.stats().handlers[0]?.running).toBeLessThanOrEqual(2);
			runs[ended]!.resolve(undefined);
		}
		await clock.advance(0);
		expect(started).toHaveLength(15);
	});

	test("gives the handlers fair turns, whatever one of them has queued", async () => {
		for (const isAsync of [true, false]) {
			const { bus } = setup({ concurrency: 1 });
			const order: string[] = [];
			const note = (name: string) => (): unknown => {
				order.push(name);
				return isAsync ? Promise.resolve() : undefined;
			};
			bus.handle("job", note("busy"), { concurrency: 1 });
			bus.handle("other", note("calm"), { concurrency: 1 });
			const settled: Promise<unknown>[] = [];
			for (let id = 0; id < 20; id++) settled.push(bus.emit("job", { id }).settled);
			for (let id = 0; id < 3; id++) settled.push(bus.emit("other", { id }).settled);
			await Promise.all(settled);
			expect(order.slice(0, 6)).toEqual(["busy", "calm", "busy", "calm", "busy", "calm"]);
			expect(order).toHaveLength(23);
		}
	});

	test("of Infinity limits nothing", async () => {
		const { bus, clock } = setup({ concurrency: Number.POSITIVE_INFINITY });
		const { handler, started } = heldHandler();
		bus.handle("job", handler);
		for (let id = 0; id < 100; id++) bus.emit("job", { id });
		await clock.advance(0);
		expect(started).toHaveLength(100);
	});
});
