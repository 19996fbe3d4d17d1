import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type JobEvents, openDurableBus, openHandler } from "../../test/support/durable-bus.ts";
import { watch } from "../../test/support/watch.ts";
import type { HandlerContext } from "./attempt.ts";
import type { Bus } from "./bus.ts";
import type { RetryOptions } from "./handler-options.ts";
import type { HandlerSubscription } from "./handler-subscription.ts";
import { PermanentError } from "./permanent-error.ts";

afterEach(() => void vi.restoreAllMocks());

const broken = new Error("broken");
const failing = (): never => {
	throw broken;
};

/** A durable handler that notes when each of its attempts began, in milliseconds since now. */
function noteTimes(retry: RetryOptions | undefined, answer: (context: HandlerContext) => unknown = failing) {
	const bench = openDurableBus();
	const startMs = bench.clock.now();
	const times: number[] = [];
	const run = (_data: number, context: HandlerContext): unknown => {
		times.push(bench.clock.now() - startMs);
		return answer(context);
	};
	bench.bus.handle("job", run, { name: "h", durable: true, retry });
	return { ...bench, times };
}

describe("durable handler - an event", () => {
	test("is one row for each handler that takes it, and runs once in each", async () => {
		const { bus, flush, rows } = openDurableBus();
		const [first, second, third] = [vi.fn(), vi.fn(), vi.fn()];
		bus.handle("job", first, { name: "first", durable: true });
		bus.handle("**", second, { name: "second", durable: true });
		bus.handle("other", third, { name: "third", durable: true });
		bus.emit("job", 1, { id: "e1" });
		bus.emit("other", 2, { id: "e2" });
		await flush();
		expect(await rows()).toEqual([
			"e1 handler:first delivered",
			"e1 handler:second delivered",
			"e2 handler:second delivered",
			"e2 handler:third delivered",
		]);
		expect([first, second, third].map(({ mock }) => mock.calls.map(([data]) => data))).toEqual([
			[1],
			[1, 2],
			[2],
		]);
	});

	test("comes back from the store as it was emitted, with the number of the attempt", async () => {
		const { bus, clock, flush } = openDurableBus();
		const handler = vi.fn((_data: number, { event, attempt }: HandlerContext) => ({ ...event, attempt }));
		bus.handle("job", handler, { name: "h", durable: true });
		const details = { id: "e1", key: "k", subject: "s", correlationId: "c", metadata: { by: "me" } };
		const { event } = bus.emit("job", 7, details);
		await clock.advance(1_000);
		await flush();
		const expected = { ...details, type: "job", source: "/", data: 7, time: event.time, attempt: 1 };
		expect(handler).toHaveReturnedWith(expected);
	});

	test("is no part of the emission's report, whatever becomes of it", async () => {
		const { bus, flush } = openDurableBus();
		const handler = openHandler();
		const subscription = bus.handle("job", handler.run, { name: "h", durable: true });
		const off = bus.on("job", () => "called");
		const { accepted, stored, settled } = bus.emit("job", 1);
		await Promise.all([accepted, stored]);
		const report = await settled;
		expect(report).toMatchObject({ ok: true, state: "delivered" });
		expect(report.outcomes).toHaveLength(1);
		expect(report.outcomeOf(off)).toMatchObject({ status: "fulfilled", value: "called" });
		expect(report.outcomeOf(subscription)).toBeUndefined();
		await flush();
		handler.end(1, broken);
		await flush();
		expect(report.ok).toBe(true);
	});

	test("that the store did not take is run by nobody", async () => {
		const { bus, store, flush, errors } = openDurableBus();
		const handler = vi.fn();
		bus.handle("job", handler, { name: "h", durable: true });
		vi.spyOn(store, "append").mockRejectedValueOnce(broken);
		await expect(bus.emit("job", 1).stored).rejects.toBe(broken);
		await flush();
		expect(handler).not.toHaveBeenCalled();
		expect(errors).toEqual(["outbox append: broken"]);
	});
});

describe("durable handler - retries", () => {
	test("come after the delays of its backoff, then the event is a dead letter", async () => {
		const retry = { attempts: 5, minDelayMs: 100, maxDelayMs: 350, factor: 2, jitter: false };
		const { bus, clock, times, rows, errors } = noteTimes(retry);
		const [retried, failed] = [vi.fn(), vi.fn()];
		bus.observe("handler:retry", ({ attempt, delayMs, error }) => retried(attempt, delayMs, error));
		bus.observe("handler:failed", ({ attempts, error, handler }) => failed(attempts, error, handler));
		bus.emit("job", 1, { id: "e1" });
		await clock.advance(999);
		expect(times).toEqual([0, 100, 300, 650]);
		expect(await rows()).toEqual(["e1 handler:h waiting"]);
		expect(errors).toEqual([]);
		await clock.advance(60_000);
		expect(times).toEqual([0, 100, 300, 650, 1_000]);
		expect(await rows()).toEqual(["e1 handler:h dead"]);
		expect(retried.mock.calls).toEqual([100, 200, 350, 350].map((ms, index) => [index + 1, ms, broken]));
		expect(failed.mock.calls).toEqual([[5, broken, "h"]]);
		expect(errors).toEqual(["handler h: broken"]);
	});

	test("are four by default, with delays that are drawn", async () => {
		vi.spyOn(Math, "random").mockReturnValue(0.5);
		const { bus, clock, times, rows } = noteTimes(undefined);
		bus.emit("job", 1, { id: "e1" });
		await clock.advance(60_000);
		expect(times).toEqual([0, 100, 300, 700, 1_500]);
		expect(await rows()).toEqual(["e1 handler:h dead"]);
	});

	test("end with the first success; the store has a record of each attempt", async () => {
		const retry = { minDelayMs: 100, jitter: false };
		const { bus, clock, store, errors } = noteTimes(retry, async ({ attempt }) => {
			await new Promise<void>((resolve) => void clock.setTimeout(resolve, 30));
			if (attempt < 3) throw Object.assign(new TypeError(`no ${attempt}`), attempt === 2 && { code: "E_NO" });
		});
		const succeeded = vi.fn();
		bus.observe("handler:succeeded", ({ attempts }) => succeeded(attempts));
		bus.emit("job", 1);
		await clock.advance(60_000);
		const [row] = (await store.query({}, {})).items;
		const at = (ms: number) => new Date(Date.UTC(2026, 0) + ms).toISOString();
		expect(row?.attempts).toMatchObject([
			{
				number: 1,
				startedAt: at(0),
				durationMs: 30,
				outcome: "failed",
				errorCode: "TypeError",
				error: "no 1",
			},
			{ number: 2, startedAt: at(130), durationMs: 30, outcome: "failed", errorCode: "E_NO", error: "no 2" },
			{ number: 3, startedAt: at(360), durationMs: 30, outcome: "delivered" },
		]);
		expect(row?.attempts.at(-1)).not.toHaveProperty("error");
		expect(succeeded.mock.calls).toEqual([[3]]);
		expect(errors).toEqual([]);
	});

	test("have a record of what is no Error too, and of long messages the beginning", async () => {
		const { bus, clock, store } = noteTimes({ attempts: 2, minDelayMs: 0 }, ({ attempt }) => {
			throw attempt === 1 ? "a text" : new Error("x".repeat(5_000));
		});
		bus.emit("job", 1);
		await clock.advance(1_000);
		const attempts = (await store.query({}, {})).items[0]?.attempts ?? [];
		expect(attempts.map(({ error }) => error)).toEqual(["a text", "x".repeat(2_000)]);
		expect(attempts[0]?.errorCode).toBeUndefined();
	});

	test.each<[string, RetryOptions, unknown]>([
		["a PermanentError", {}, new PermanentError("never")],
		["an error that `when` refuses", { when: (error) => error !== broken }, broken],
	])("do not follow %s", async (_what, retry, error) => {
		const { bus, clock, times, rows } = noteTimes(retry, () => Promise.reject(error));
		bus.emit("job", 1, { id: "e1" });
		await clock.advance(60_000);
		expect(times).toEqual([0]);
		expect(await rows()).toEqual(["e1 handler:h dead"]);
	});

	test("do not follow where `when` throws, which is reported", async () => {
		const when = () => {
			throw new Error("when");
		};
		const { bus, clock, times, rows, errors } = noteTimes({ when });
		bus.emit("job", 1, { id: "e1" });
		await clock.advance(60_000);
		expect(times).toEqual([0]);
		expect(await rows()).toEqual(["e1 handler:h dead"]);
		expect(errors).toEqual(["handler h: when", "handler h: broken"]);
	});

	test("let other events pass: no slot is held meanwhile", async () => {
		const { bus, clock, flush } = openDurableBus();
		const handler = openHandler();
		const retry = { minDelayMs: 1_000, jitter: false };
		bus.handle("job", handler.run, { name: "h", durable: true, concurrency: 1, retry });
		bus.emit("job", 1);
		bus.emit("job", 2);
		await flush();
		expect(handler.runs).toEqual(["1#1"]);
		handler.end(1, broken);
		await flush();
		expect(handler.runs).toEqual(["1#1", "2#1"]);
		handler.end(2);
		await clock.advance(1_000);
		expect(handler.runs).toEqual(["1#1", "2#1", "1#2"]);
	});
});

describe("durable handler - timeoutMs", () => {
	test("fails the attempt, and fires its signal", async () => {
		const { bus, clock, flush, store } = openDurableBus();
		const reasons: unknown[] = [];
		const waitForSignal = (_data: number, { signal, attempt }: HandlerContext): unknown =>
			attempt === 2 || new Promise((_, reject) => signal.addEventListener("abort", () => reject(broken)));
		bus.handle(
			"job",
			(data, context) => {
				context.signal.addEventListener("abort", () => reasons.push(context.signal.reason));
				return waitForSignal(data, context);
			},
			{ name: "h", durable: true, timeoutMs: 50, retry: { minDelayMs: 10, jitter: false } },
		);
		bus.emit("job", 1);
		await clock.advance(49);
		expect(reasons).toEqual([]);
		await clock.advance(11);
		await flush();
		expect(reasons).toMatchObject([{ code: "ERR_CALLHOOK_TIMEOUT", details: { timeoutMs: 50 } }]);
		expect((await store.query({}, {})).items[0]?.attempts).toMatchObject([
			{ outcome: "failed", errorCode: "ERR_CALLHOOK_TIMEOUT" },
			{ outcome: "delivered" },
		]);
	});

	test("waits for a function that goes on all the same: its slot is not free, its row not settled", async () => {
		const { bus, clock, flush, rows } = openDurableBus();
		const handler = openHandler();
		const options = { name: "h", durable: true, timeoutMs: 50, concurrency: 1 };
		bus.handle("job", handler.run, { ...options, retry: { attempts: 1 } });
		bus.emit("job", 1, { id: "e1" });
		bus.emit("job", 2, { id: "e2" });
		await clock.advance(1_000);
		expect(handler.runs).toEqual(["1#1"]);
		expect((await rows())[0]).toBe("e1 handler:h in_flight");
		handler.end(1);
		await flush();
		expect((await rows())[0]).toBe("e1 handler:h dead");
		expect(handler.runs).toEqual(["1#1", "2#1"]);
	});
});

describe("durable handler - key", () => {
	test("is that of the data as they were emitted, whoever changes them afterwards, and asked for once", async () => {
		const { bus, store, flush } = openDurableBus<{ job: { id: string } }>();
		const context = new AsyncLocalStorage<string>();
		const key = vi.fn(({ id }: { id: string }) => `${id} ${context.getStore()}`);
		bus.handle("job", () => undefined, { name: "h", durable: true, key }).pause();
		bus.on("job", (data) => {
			data.id += " changed by a callback";
		});
		const data = { id: "1" };
		context.run("emit", () => bus.emit("job", data));
		data.id = "2";
		bus.emit("job", data);
		await flush();
		const { items } = await store.query({}, {});
		expect(items.map(({ orderKey }) => orderKey)).toEqual(["2 undefined", "1 emit"]);
		expect(key).toHaveBeenCalledTimes(2);
	});

	test("keeps the order of its events across their retries, other keys beside them", async () => {
		const { bus, clock, flush } = openDurableBus();
		const handler = openHandler();
		bus.handle("job", handler.run, {
			...{ name: "h", durable: true, retry: { minDelayMs: 1_000, jitter: false } },
			key: (data) => (data < 10 ? "low" : "high"),
		});
		for (const data of [1, 2, 11]) bus.emit("job", data);
		await flush();
		expect(handler.running).toEqual([1, 11]);
		handler.end(1, broken);
		await clock.advance(999);
		expect(handler.runs).toEqual(["1#1", "11#1"]);
		await clock.advance(1);
		expect(handler.runs).toEqual(["1#1", "11#1", "1#2"]);
		handler.end(1);
		await flush();
		expect(handler.runs).toEqual(["1#1", "11#1", "1#2", "2#1"]);
	});

	type End = (bus: Bus<JobEvents>, handler: HandlerSubscription) => unknown;
	const ends: [string, End][] = [
		["stopped", (_bus, handler) => handler.stop()],
		["taken off with off()", (bus) => bus.off("job", failing)],
		["closed with its bus", (bus) => bus.close()],
	];
	const moments = ["just behind the emit", "in the middle of it"];
	test.each(ends.flatMap(([what, end]) => moments.map((when): [string, string, End] => [what, when, end])))(
		"holds for an event whose handler is %s %s",
		async (_what, when, end) => {
			const { bus, clock, store } = openDurableBus();
			const handler = bus.handle("job", failing, { name: "h", durable: true, key: () => "k" });
			if (when === moments[1]) bus.on("job", () => end(bus, handler));
			bus.emit("job", 1);
			void end(bus, handler);
			await clock.advance(0);
			const { items } = await store.query({}, {});
			expect(items).toMatchObject([{ group: "handler:h", target: "h", orderKey: "k", state: "pending" }]);
		},
	);

	test("is that of each handler alone; events without one are independent", async () => {
		const { bus, flush } = openDurableBus();
		const [keyed, plain] = [openHandler(), openHandler()];
		const key = vi.fn((data: number, event: { readonly id: string }) => (data > 0 ? event.id : undefined));
		bus.handle("job", keyed.run, { name: "keyed", durable: true, key });
		bus.handle("job", plain.run, { name: "plain", durable: true });
		for (const data of [-1, -2]) bus.emit("job", data, { id: "e1".repeat(-data), key: "same" });
		await flush();
		expect(keyed.running).toEqual([-1, -2]);
		expect(plain.running).toEqual([-1, -2]);
		expect(key.mock.calls.map(([data]) => data)).toEqual([-1, -2]);
	});

	test.each<[string, () => string, string]>([
		["throws", () => failing(), "broken"],
		[
			"gives no string",
			() => 7 as never,
			'Option "key" must be a function that returns a string or undefined, but got number 7',
		],
	])("that %s is reported, and the event is delivered all the same", async (_what, key, message) => {
		const { bus, flush, rows, errors } = openDurableBus();
		const other = vi.fn();
		bus.handle("job", () => undefined, { name: "h", durable: true, key });
		bus.handle("job", other, { name: "other", durable: true });
		await bus.emit("job", 1, { id: "e1" }).stored;
		await flush();
		expect(errors).toEqual([`handler h: ${message}`]);
		expect(await rows()).toEqual(["e1 handler:h delivered", "e1 handler:other delivered"]);
	});
});

describe("durable handler - how much at once", () => {
	const emitMany = (bus: Bus<JobEvents>, count: number): void => {
		for (let data = 1; data <= count; data++) bus.emit("job", data);
	};

	test.each([
		[3, 3],
		[undefined, 16],
		[Number.POSITIVE_INFINITY, 16],
	])("concurrency %s: %i, and each that ends makes room for one", async (concurrency, most) => {
		const { bus, flush } = openDurableBus();
		const handler = openHandler();
		bus.handle("job", handler.run, { name: "h", durable: true, concurrency });
		emitMany(bus, 40);
		await flush();
		expect(handler.running).toHaveLength(most);
		for (let ended = 1; ended <= 40; ended++) {
			handler.end(handler.running[0]!);
			await flush();
			expect(handler.running).toHaveLength(Math.min(most, 40 - ended));
		}
	});

	test("the ceiling of the bus counts durable and other handlers together", async () => {
		const { bus, flush } = openDurableBus({ concurrency: 3 });
		const handlers = [openHandler(), openHandler(), openHandler()];
		handlers.forEach(({ run }, index) => {
			bus.handle("job", run, { name: `h${index}`, durable: index > 0 });
		});
		const running = (): number[] => handlers.map((handler) => handler.running.length);
		emitMany(bus, 6);
		await flush();
		const total = (): number => running().reduce((sum, count) => sum + count, 0);
		expect(total()).toBe(3);
		const ran = (): number => handlers.reduce((sum, { runs }) => sum + runs.length, 0);
		for (let rounds = 0; total() > 0; rounds++) {
			expect(total()).toBeLessThanOrEqual(3);
			const [busy] = handlers.filter(({ running: open }) => open.length > 0);
			busy?.end(busy.running[0]!);
			await flush();
			if (rounds > 30) break;
		}
		expect(ran()).toBe(18);
	});

	test("claims no more than the ceiling of the bus lets run: a claim counts an attempt", async () => {
		const { bus, flush, rows } = openDurableBus({ concurrency: 2 });
		const handler = openHandler();
		bus.handle("job", handler.run, { name: "h", durable: true });
		emitMany(bus, 20);
		await flush();
		expect(handler.running).toHaveLength(2);
		expect((await rows()).filter((row) => row.endsWith(" in_flight"))).toHaveLength(2);
	});

	test("rateLimit: so many attempts start in so long", async () => {
		const { bus, clock } = openDurableBus();
		const startMs = clock.now();
		const times: number[] = [];
		const handler = () => times.push(clock.now() - startMs);
		bus.handle("job", handler, { name: "h", durable: true, rateLimit: { count: 2, perMs: 1_000 } });
		emitMany(bus, 5);
		await clock.advance(10_000);
		expect(times).toEqual([0, 0, 1_000, 1_000, 2_000]);
	});
});

describe("durable handler - runs", () => {
	test("in the middleware of handlers, which knows the handler, the attempt and the event", async () => {
		const { bus, clock } = openDurableBus();
		const seen: unknown[] = [];
		bus.use(async (event, next, { handler, attempt }) => {
			seen.push([event.id, handler, attempt]);
			return next(event, { enriched: attempt });
		});
		const retry = { attempts: 2, minDelayMs: 10, jitter: false };
		const handler = (_data: number, { event, attempt }: HandlerContext): void => {
			seen.push(event.metadata);
			if (attempt === 1) throw broken;
		};
		bus.handle("job", handler, { name: "h", durable: true, retry });
		bus.emit("job", 1, { id: "e1" });
		await clock.advance(10);
		expect(seen).toEqual([["e1", "h", 1], { enriched: 1 }, ["e1", "h", 2], { enriched: 2 }]);
	});

	test.each([true, false])("as the cause of what it emits (trackCauses: %s)", async (trackCauses) => {
		const { bus, flush } = openDurableBus({ trackCauses });
		const effects: unknown[] = [];
		bus.on("other", (data, { causationId, correlationId }) => {
			effects.push([data, causationId, correlationId]);
		});
		const handler = async (data: number): Promise<void> => {
			bus.emit("other", data);
			await Promise.resolve();
			bus.emit("other", data * 10);
		};
		bus.handle("job", handler, { name: "h", durable: true });
		bus.emit("job", 1, { id: "e1", correlationId: "c1" });
		bus.emit("job", 2, { id: "e2" });
		await flush();
		bus.emit("other", 3);
		const known = [
			[1, "e1", "c1"],
			[2, "e2", "e2"],
		];
		const late = trackCauses
			? known.map(([data, ...cause]) => [Number(data) * 10, ...cause])
			: [10, 20].map((data) => [data, undefined, undefined]);
		expect(effects).toEqual(expect.arrayContaining([...known, ...late, [3, undefined, undefined]]));
		expect(effects).toHaveLength(5);
	});

	test.each([1, 5])(
		"in the AsyncLocalStorage context of its registration, which it cannot change for the next (%i attempts)",
		async (attempts) => {
			const { bus, flush } = openDurableBus<JobEvents>();
			const context = new AsyncLocalStorage<string>();
			const seen: unknown[] = [];
			const handler = async (): Promise<void> => {
				seen.push(context.getStore());
				context.enterWith("entered");
				await Promise.resolve();
				seen.push(context.getStore());
			};
			context.run("registration", () =>
				bus.handle("job", handler, { name: "h", durable: true, concurrency: 1, retry: { attempts } }),
			);
			context.run("emit", () => bus.emit("job", 1));
			bus.emit("job", 2);
			await flush();
			expect(seen).toEqual(["registration", "entered", "registration", "entered"]);
		},
	);

	test("without its emission: who awaits `settled` in it waits for itself only", async () => {
		const { bus, flush, rows } = openDurableBus();
		const settled = vi.fn();
		bus.handle("job", async () => void settled(await bus.emit("other", 2).settled), {
			name: "h",
			durable: true,
		});
		const idle = watch(bus.idle());
		bus.emit("job", 1, { id: "e1" });
		await flush();
		expect(settled).toHaveBeenCalledTimes(1);
		expect(await rows()).toEqual(["e1 handler:h delivered"]);
		expect(idle.isOver).toBe(true);
		expect(bus.stats().open).toBe(0);
	});
});
