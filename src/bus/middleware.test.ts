import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { fakeGroup } from "../../test/support/target-group.ts";
import { codeOf } from "../../test/support/thrown.ts";
import { defineEvents } from "../event/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";
import type { EmitMiddleware, HandlerMiddleware } from "./middleware.ts";

const events = defineEvents({ job: z.number(), other: z.number() });
const emit = { around: "emit" } as const;
const invalid = (reason: RegExp): unknown =>
	expect.objectContaining({
		code: "ERR_CALLHOOK_INVALID_MIDDLEWARE",
		details: { reason: expect.stringMatching(reason) },
	});

function setup() {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const store = memoryStore({ clock });
	const append = vi.spyOn(store, "append");
	const bus = createBus({ events, clock, onError, store });
	bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
	const steps: string[] = [];
	const aroundEmit =
		(name: string): EmitMiddleware =>
		(event, next) => {
			steps.push(`${name} in`);
			next(event);
			steps.push(`${name} out`);
		};
	const aroundHandler =
		(name: string): HandlerMiddleware =>
		async (event, next) => {
			steps.push(`${name} in`);
			try {
				return await next(event);
			} finally {
				steps.push(`${name} out`);
			}
		};
	const stored = (): { readonly metadataJson: string }[] =>
		append.mock.calls.flatMap(([batch]) => batch.map(({ event }) => event));
	return { bus, clock, onError, steps, aroundEmit, aroundHandler, stored };
}

describe("use() around emit", () => {
	test("runs around the callbacks, the first registered outermost, for every event", () => {
		const { bus, steps, aroundEmit } = setup();
		bus.on("job", (data) => void steps.push(`callback ${data}`));
		bus.emit("job", 0);
		bus.use(aroundEmit("first"), emit);
		bus.use(aroundEmit("second"), emit);
		const around = (name: string): string[] => ["first in", "second in", name, "second out", "first out"];
		bus.emit("job", 1);
		bus.emitter("job")(2);
		expect(steps).toEqual(["callback 0", ...around("callback 1"), ...around("callback 2")]);
	});

	test("gets the event that consumers get", () => {
		const { bus } = setup();
		const [middleware, callback] = [vi.fn<EmitMiddleware>((event, next) => next(event)), vi.fn()];
		bus.use(middleware, emit);
		bus.on("job", callback);
		const { event } = bus.emit("job", 1);
		expect(middleware.mock.calls[0]?.[0]).toBe(event);
		expect(callback.mock.calls).toEqual([[1, event]]);
	});

	test("runs around held and delayed events when they are delivered, and around none that is cancelled", async () => {
		const { bus, clock, steps, aroundEmit } = setup();
		bus.use(aroundEmit("around"), emit);
		bus.on("job", (data) => void steps.push(`callback ${data}`));
		const held = bus.hold();
		held.emit("job", 1);
		bus.emit("job", 2, { delayMs: 1_000 });
		bus.emit("job", 3, { delayMs: 1_000 }).cancel();
		expect(steps).toEqual([]);
		held.release();
		await clock.advance(1_000);
		expect(steps).toEqual(["around in", "callback 1", "around out", "around in", "callback 2", "around out"]);
	});

	test("that does not call next vetoes: no consumer, no store, and the report says so", async () => {
		const { bus, clock, steps, aroundEmit, stored, onError } = setup();
		const [callback, handler, vetoed] = [vi.fn(), vi.fn(), vi.fn()];
		bus.on("job", callback);
		bus.handle("job", handler);
		const stream = bus.stream("job");
		bus.observe("event:vetoed", ({ event }) => vetoed(event));
		bus.use(aroundEmit("outer"), emit);
		bus.use((event, next) => void (event.data === 1 || next(event)), emit);
		bus.use(aroundEmit("inner"), emit);
		const emission = bus.emit("job", 1);
		expect(steps).toEqual(["outer in", "outer out"]);
		await Promise.all([emission.accepted, emission.stored]);
		expect(await emission.settled).toMatchObject({ state: "vetoed", ok: true, outcomes: [], failed: [] });
		expect(vetoed.mock.calls).toEqual([[emission.event]]);
		expect((await bus.emit("job", 2).settled).state).toBe("delivered");
		await clock.advance(0);
		expect([callback, handler].map(({ mock }) => mock.calls.map(([data]) => data))).toEqual([[2], [2]]);
		expect((await stream.next()).value).toMatchObject({ data: 2 });
		expect(stored()).toMatchObject([{ dataJson: "2" }]);
		expect(vetoed).toHaveBeenCalledTimes(1);
		expect(onError).not.toHaveBeenCalled();
	});

	test("vetoes a held event at its release", async () => {
		const { bus } = setup();
		bus.use(() => undefined, emit);
		const held = bus.hold();
		const emission = held.emit("job", 1);
		held.release();
		await Promise.all([emission.accepted, emission.stored]);
		expect((await emission.settled).state).toBe("vetoed");
		expect(emission.cancel()).toBe(false);
		expect(bus.stats().open).toBe(0);
	});

	test("adds metadata for who is further in, for consumers and for the outbox", async () => {
		const { bus, clock, stored } = setup();
		const seen: unknown[] = [];
		bus.use((event, next) => next(event, { tenant: "t1", by: "outer" }), emit);
		bus.use((event, next) => {
			seen.push(event.metadata);
			next(event, { by: "inner" });
		}, emit);
		bus.on("job", (_data, { metadata }) => void seen.push(metadata));
		bus.handle("job", (_data, { event }) => void seen.push(event.metadata));
		const given = { given: true, by: "emit" };
		bus.emit("job", 1, { metadata: given });
		await clock.advance(0);
		const all = { given: true, tenant: "t1", by: "inner" };
		expect(seen).toEqual([{ given: true, tenant: "t1", by: "outer" }, all, all]);
		expect(stored().map(({ metadataJson }) => JSON.parse(metadataJson))).toEqual([all]);
		expect(given).toEqual({ given: true, by: "emit" });
	});

	test("that adds what cannot be JSON fails in the outbox alone", async () => {
		const { bus, onError, stored } = setup();
		const callback = vi.fn();
		bus.on("job", callback);
		const end = bus.use((event, next) => next(event, { big: 1n }), emit);
		const emission = bus.emit("job", 1);
		const error = expect.objectContaining({ code: "ERR_CALLHOOK_NOT_SERIALIZABLE" });
		await expect(emission.stored).rejects.toEqual(error);
		expect((await emission.settled).ok).toBe(true);
		expect(callback).toHaveBeenCalledTimes(1);
		const context = { source: "outbox", name: "append", event: emission.event };
		expect(onError.mock.calls).toEqual([[error, context]]);
		end();
		await bus.emit("job", 2).stored;
		expect(stored()).toMatchObject([{ dataJson: "2" }]);
	});

	test.each(["before", "after"])(
		"that throws %s next is reported, and the event goes on, once",
		async (when) => {
			const { bus, clock, onError, steps, aroundEmit, stored } = setup();
			const error = new Error("middleware");
			bus.use(aroundEmit("outer"), emit);
			bus.use((event, next) => {
				if (when === "after") next(event);
				throw error;
			}, emit);
			bus.use(aroundEmit("inner"), emit);
			bus.on("job", () => void steps.push("callback"));
			const emission = bus.emit("job", 1);
			expect(steps).toEqual(["outer in", "inner in", "callback", "inner out", "outer out"]);
			expect(onError.mock.calls).toEqual([
				[error, { source: "middleware", name: "emit", event: emission.event }],
			]);
			expect(await emission.settled).toMatchObject({ state: "delivered", ok: true });
			await clock.advance(0);
			expect(stored()).toHaveLength(1);
		},
	);

	test("that calls next twice is reported, and the event comes once", () => {
		const { bus, onError } = setup();
		const callback = vi.fn();
		bus.use((event, next) => {
			next(event);
			next(event);
		}, emit);
		bus.on("job", callback);
		bus.emit("job", 1);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(onError.mock.calls.map(([error]) => error)).toEqual([invalid(/twice/)]);
	});

	test("may call next without the event", () => {
		const { bus, onError } = setup();
		const seen: unknown[] = [];
		bus.use((_event, next) => next(undefined, { by: "outer" }), { around: "emit" });
		bus.use((_event, next) => next(), { around: "emit" });
		bus.on("**", (data, { metadata }) => void seen.push([data, metadata]));
		bus.emit("job", 1);
		expect(seen).toEqual([[1, { by: "outer" }]]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("that passes another event on is reported, and the event goes on as it was emitted", () => {
		const { bus, onError } = setup();
		const callback = vi.fn();
		bus.use((event, next) => next({ ...event, data: 2 }), emit);
		bus.on("job", callback);
		const { event } = bus.emit("job", 1);
		expect(callback.mock.calls).toEqual([[1, event]]);
		expect(onError.mock.calls.map(([error]) => error)).toEqual([invalid(/the event as it is/)]);
	});

	test("that calls next when the event was vetoed already is reported, and nothing comes of it", async () => {
		const { bus, onError } = setup();
		const callback = vi.fn();
		const late: (() => void)[] = [];
		bus.use((event, next) => void late.push(() => next(event)), emit);
		bus.on("job", callback);
		const { settled } = bus.emit("job", 1);
		late[0]?.();
		expect(onError.mock.calls.map(([error]) => error)).toEqual([
			invalid(/after the middleware had returned/),
		]);
		expect((await settled).state).toBe("vetoed");
		expect(callback).not.toHaveBeenCalled();
	});

	test("that is asynchronous is reported, is no veto, and what it does later hurts nobody", async () => {
		const { bus, clock, onError } = setup();
		const unhandled = vi.fn();
		process.on("unhandledRejection", unhandled);
		const callback = vi.fn();
		const asynchronous = async (...[event, next]: Parameters<EmitMiddleware>): Promise<void> => {
			await Promise.resolve();
			next(event);
		};
		bus.use(asynchronous, emit);
		bus.on("job", callback);
		const emission = bus.emit("job", 1);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(onError.mock.calls[0]).toEqual([
			invalid(/synchronous/),
			{ source: "middleware", name: "emit", event: emission.event },
		]);
		await clock.advance(0);
		expect(callback).toHaveBeenCalledTimes(1);
		expect((await emission.settled).state).toBe("delivered");
		process.off("unhandledRejection", unhandled);
		expect(unhandled).not.toHaveBeenCalled();
	});

	test.each([
		[
			"that throws when it is read",
			Object.defineProperty({}, "by", { enumerable: true, get: () => JSON.parse("{") }),
		],
		["that is a text", "abc"],
		["that is a list", []],
		["that is null", null],
		["that is an instance of a class", new Map()],
	])("is no veto by metadata %s", async (_what, metadata) => {
		const { bus, onError } = setup();
		const callback = vi.fn((_data: number) => undefined);
		bus.on("job", callback);
		bus.use((event, next) => next(event, metadata as never), emit);
		const { event, settled } = bus.emit("job", 1);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(event.metadata).toEqual({});
		expect(onError).toHaveBeenCalledTimes(1);
		expect((await settled).state).toBe("delivered");
	});

	test("leaves the errors of validation to emit, and does not run for them", () => {
		const { bus, onError } = setup();
		const middleware = vi.fn<EmitMiddleware>((event, next) => next(event));
		bus.use(middleware, emit);
		expect(codeOf(() => bus.emit("job", "x" as never))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(codeOf(() => bus.emit("jobs" as never, 1 as never))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(codeOf(() => bus.emit("job", 1, { metadata: { big: 1n } }))).toBe("ERR_CALLHOOK_NOT_SERIALIZABLE");
		expect(middleware).not.toHaveBeenCalled();
		expect(onError).not.toHaveBeenCalled();
	});

	test("ends when it is taken out, in the middle of an emit only from the next one on", () => {
		const { bus, steps, aroundEmit } = setup();
		const endFirst = bus.use((event, next) => {
			steps.push("first");
			endFirst();
			endFirst();
			next(event);
		}, emit);
		bus.use(aroundEmit("second"), emit);
		bus.on("job", () => void steps.push("callback"));
		bus.emit("job", 1);
		expect(steps.splice(0)).toEqual(["first", "second in", "callback", "second out"]);
		bus.emit("job", 2);
		expect(steps).toEqual(["second in", "callback", "second out"]);
	});

	test("that is registered twice runs twice, and each registration ends by itself", () => {
		const { bus, steps, aroundEmit } = setup();
		const [twice, between] = [aroundEmit("twice"), aroundEmit("between")];
		bus.use(twice, emit);
		bus.use(between, emit);
		const endSecond = bus.use(twice, emit);
		endSecond();
		endSecond();
		bus.emit("job", 1);
		expect(steps).toEqual(["twice in", "between in", "between out", "twice out"]);
	});

	test("runs on a bus without a catalog, which has nothing to check, too", () => {
		const bus = createBus();
		const callback = vi.fn((_data: unknown) => undefined);
		bus.on("job", callback);
		bus.emit("job", 1);
		const end = bus.use(() => undefined, emit);
		bus.emit("job", 2);
		end();
		bus.emit("job", 3);
		expect(callback.mock.calls.map(([data]) => data)).toEqual([1, 3]);
	});
});

describe("use() around handlers", () => {
	test("runs around every handler, the first registered outermost, and not around callbacks", async () => {
		const { bus, clock, steps, aroundHandler } = setup();
		bus.use(aroundHandler("first"));
		bus.use(aroundHandler("second"), { around: "handler" });
		bus.on("job", () => void steps.push("callback"));
		bus.handle("job", () => void steps.push("handler"));
		bus.emit("job", 1);
		expect(steps.splice(0)).toEqual(["callback"]);
		await clock.advance(0);
		expect(steps).toEqual(["first in", "second in", "handler", "second out", "first out"]);
	});

	test("knows the handler, the event and the attempt, and can tell what the handler returned", async () => {
		const { bus } = setup();
		const seen: unknown[] = [];
		bus.use(async (event, next, { handler, attempt, event: own, signal }) => {
			const value = await next(event);
			seen.push([handler, attempt, own === event, signal.aborted, value]);
			return "from the middleware";
		});
		bus.handle("job", () => "from the handler", { name: "worker" });
		const report = await bus.emit("job", 1).settled;
		expect(seen).toEqual([["worker", 1, true, false, "from the handler"]]);
		expect(report.outcomes).toMatchObject([{ status: "fulfilled", value: "from the middleware" }]);
	});

	test("adds metadata for who is further in and for the handler, not for other handlers", async () => {
		const { bus, clock, stored } = setup();
		const seen: unknown[] = [];
		bus.use((event, next, { handler }) => next(event, handler === "a" ? { tenant: "t1" } : undefined));
		bus.use((event, next) => {
			seen.push(event.metadata);
			return next(event, { inner: true });
		});
		for (const name of ["a", "b"]) {
			bus.handle("job", (data, { event }) => void seen.push([name, data, event.id, event.metadata]), {
				name,
			});
		}
		bus.emit("job", 1, { id: "evt_1", metadata: { given: true } });
		await clock.advance(0);
		expect(seen).toEqual([
			{ given: true, tenant: "t1" },
			["a", 1, "evt_1", { given: true, tenant: "t1", inner: true }],
			{ given: true },
			["b", 1, "evt_1", { given: true, inner: true }],
		]);
		expect(stored().map(({ metadataJson }) => metadataJson)).toEqual(['{"given":true}']);
	});

	test("that does not call next keeps the handler from running; its value stands for the handler's", async () => {
		const { bus } = setup();
		const handler = vi.fn();
		bus.use((event, next) => (event.data === 1 ? "skipped" : next(event)));
		bus.handle("job", handler);
		expect((await bus.emit("job", 1).settled).outcomes).toMatchObject([
			{ status: "fulfilled", value: "skipped" },
		]);
		await bus.emit("job", 2).settled;
		expect(handler.mock.calls.map(([data]) => data)).toEqual([2]);
	});

	test.each(["throws", "rejects"])("that %s fails the attempt, once reported", async (how) => {
		const { bus, onError } = setup();
		const error = new Error("middleware");
		const handler = vi.fn();
		bus.use(() => {
			if (how === "throws") throw error;
			return Promise.reject(error);
		});
		bus.handle("job", handler, { name: "worker" });
		const { settled, event } = bus.emit("job", 1);
		expect((await settled).failed).toMatchObject([{ name: "worker", error }]);
		expect(onError.mock.calls).toEqual([[error, { source: "handler", name: "worker", event }]]);
		expect(handler).not.toHaveBeenCalled();
	});

	test("that calls next twice fails the attempt, and the handler runs once", async () => {
		const { bus } = setup();
		const handler = vi.fn();
		bus.use(async (event, next) => {
			await next(event);
			await next(event);
		});
		bus.handle("job", handler);
		const report = await bus.emit("job", 1).settled;
		expect(handler).toHaveBeenCalledTimes(1);
		expect(report.failed.map(({ error }) => error)).toEqual([invalid(/twice/)]);
	});

	test("runs inside the retries: once for each attempt, and sees each of them fail", async () => {
		const { bus, clock } = setup();
		const seen: string[] = [];
		bus.use(async (event, next, { attempt }) => {
			try {
				return await next(event);
			} catch (error) {
				seen.push(`${attempt}: ${(error as Error).message}`);
				throw error;
			}
		});
		bus.handle(
			"job",
			(_data, { attempt }) => {
				if (attempt < 3) throw new Error(`failed ${attempt}`);
			},
			{ retry: { minDelayMs: 1_000, jitter: false } },
		);
		const { settled } = bus.emit("job", 1);
		await clock.advance(60_000);
		expect(seen).toEqual(["1: failed 1", "2: failed 2"]);
		expect((await settled).outcomes).toMatchObject([{ status: "fulfilled", attempts: 3 }]);
	});

	test("starts each attempt with the event as it was emitted", async () => {
		const { bus, clock } = setup();
		const seen: unknown[] = [];
		bus.use((event, next, { attempt }) => {
			seen.push(event.metadata);
			return next(event, { [`attempt${attempt}`]: true });
		});
		bus.handle("job", () => Promise.reject(new Error("again")), { retry: { attempts: 2, jitter: false } });
		bus.emit("job", 1);
		await clock.advance(60_000);
		expect(seen).toEqual([{}, {}]);
	});

	test("runs inside the time limit, which fires its signal and counts its own time", async () => {
		const { bus, clock } = setup();
		const gate = createDeferred<void>();
		const signals: AbortSignal[] = [];
		bus.use(async (event, next, { signal }) => {
			signals.push(signal);
			await gate.promise;
			return next(event);
		});
		bus.handle("job", (_data, { signal }) => void signals.push(signal), { timeoutMs: 1_000 });
		const { settled } = bus.emit("job", 1);
		await clock.advance(1_000);
		expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
		gate.resolve();
		expect((await settled).failed).toMatchObject([{ error: { code: "ERR_CALLHOOK_TIMEOUT" } }]);
		expect(signals[1]).toBe(signals[0]);
	});

	test("ends when it is taken out; an attempt that runs keeps those it began with", async () => {
		const { bus, clock, steps, aroundHandler } = setup();
		const gate = createDeferred<void>();
		const end = bus.use(async (event, next) => {
			steps.push("first");
			await gate.promise;
			return next(event);
		});
		bus.use(aroundHandler("second"));
		bus.handle("job", () => void steps.push("handler"));
		bus.emit("job", 1);
		await clock.advance(0);
		end();
		bus.use(aroundHandler("third"));
		gate.resolve();
		await clock.advance(0);
		expect(steps.splice(0)).toEqual(["first", "second in", "handler", "second out"]);
		bus.emit("job", 2);
		await clock.advance(0);
		expect(steps).toEqual(["second in", "third in", "handler", "third out", "second out"]);
	});

	test("runs once around a batch, whose context has its first event", async () => {
		const { bus, clock } = setup();
		const seen: unknown[] = [];
		bus.use((event, next, { handler }) => {
			seen.push([handler, event.data]);
			return next(event);
		});
		bus.handle("job", (data) => void seen.push(data), { name: "batches", batch: { size: 2 } });
		bus.emit("job", 1);
		bus.emit("job", 2);
		await clock.advance(0);
		expect(seen).toEqual([
			["batches", 1],
			[1, 2],
		]);
	});
});
