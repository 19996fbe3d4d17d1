import { afterEach, describe, expect, test, vi } from "vitest";
import { optionOf } from "../../test/support/thrown.ts";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { BusOptions } from "./bus-options.ts";
import { createBus } from "./create-bus.ts";
import { type LifecycleSignals, signalNames } from "./signals.ts";

const observed = [
	"callback:failed",
	"handler:succeeded",
	"handler:retry",
	"handler:failed",
	"handler:timeout",
] as const satisfies readonly (keyof LifecycleSignals)[];

type OnError = NonNullable<BusOptions["onError"]>;

function setup(onError: OnError = () => undefined) {
	const clock = fakeClock();
	const reports = vi.fn(onError);
	const bus = createBus<{ job: number }>({ clock, onError: reports });
	const seen: [string, unknown][] = [];
	for (const name of observed) bus.observe(name, (info) => void seen.push([name, info]));
	return { bus, clock, onError: reports, seen };
}

function throwing(error: unknown): () => never {
	return () => {
		throw error;
	};
}

afterEach(() => {
	vi.restoreAllMocks();
});

describe("observe() - tells of", () => {
	test("a callback that failed", async () => {
		const { bus, seen } = setup();
		bus.on("*", throwing("thrown"));
		bus.on("job", () => Promise.reject("rejected"));
		const { event, settled } = bus.emit("job", 1);
		await settled;
		expect(seen).toEqual([
			["callback:failed", { event, pattern: "*", error: "thrown" }],
			["callback:failed", { event, pattern: "job", error: "rejected" }],
		]);
	});

	test("a handler that succeeded, at the first or a later attempt", async () => {
		const { bus, clock, seen } = setup();
		bus.handle("job", (data, { attempt }) => (attempt < data ? throwing("again")() : "done"), {
			name: "worker",
			retry: { minDelayMs: 100, jitter: false },
		});
		const { event, settled } = bus.emit("job", 2);
		await clock.advance(1_000);
		await settled;
		expect(seen).toEqual([
			["handler:retry", { event, handler: "worker", attempt: 1, delayMs: 100, error: "again" }],
			["handler:succeeded", { event, handler: "worker", attempts: 2 }],
		]);
	});

	test("a handler that gave up, once for each event", async () => {
		const { bus, clock, seen } = setup();
		bus.handle("job", throwing("broken"), {
			name: "worker",
			retry: { attempts: 3, minDelayMs: 10, factor: 10, jitter: false },
		});
		const { event, settled } = bus.emit("job", 1);
		await clock.advance(1_000);
		await settled;
		const retry = { event, handler: "worker", error: "broken" };
		expect(seen).toEqual([
			["handler:retry", { ...retry, attempt: 1, delayMs: 10 }],
			["handler:retry", { ...retry, attempt: 2, delayMs: 100 }],
			["handler:failed", { event, handler: "worker", attempts: 3, error: "broken" }],
		]);
	});

	test("an attempt that ran too long, when that happens", async () => {
		const { bus, clock, seen } = setup();
		const done = createDeferred<void>();
		bus.handle("job", () => done.promise, { name: "slow", timeoutMs: 50 });
		const { event, settled } = bus.emit("job", 1);
		await clock.advance(50);
		expect(seen).toEqual([["handler:timeout", { event, handler: "slow", attempt: 1, timeoutMs: 50 }]]);
		done.resolve();
		const { failed } = await settled;
		expect(seen.slice(1)).toEqual([
			["handler:failed", { event, handler: "slow", attempts: 1, error: failed[0]?.error }],
		]);
	});

	test("events to every observer, in order, until it ends", async () => {
		const { bus } = setup();
		const calls: string[] = [];
		bus.on("job", throwing("broken"));
		const end = bus.observe("callback:failed", () => void calls.push("first"));
		bus.observe("callback:failed", () => void calls.push("second"));
		bus.emit("job", 1);
		end();
		end();
		bus.emit("job", 2);
		const another = bus.observe("callback:failed", () => void calls.push("third"));
		another[Symbol.dispose]();
		bus.emit("job", 3);
		expect(calls).toEqual(["first", "second", "second", "second"]);
	});

	test("nothing more once the bus is closed", async () => {
		const { bus, clock, seen } = setup();
		const done = createDeferred<void>();
		bus.handle("job", () => done.promise, { name: "worker" });
		bus.emit("job", 1);
		await clock.advance(0);
		await bus.close();
		done.resolve();
		await clock.advance(0);
		expect(seen).toEqual([]);
	});
});

describe("observe() - an observer that", () => {
	test.each([
		["throws", throwing],
		["rejects", (error: unknown) => () => Promise.reject(error)],
	])("%s hurts neither the other observers nor the bus, and is reported once", async (_how, create) => {
		const { bus, onError, clock } = setup();
		const error = new Error("observer");
		const handled = vi.fn();
		const calls: string[] = [];
		bus.observe("handler:succeeded", create(error));
		bus.observe("handler:succeeded", () => void calls.push("other observer"));
		bus.handle("job", handled);
		const report = await bus.emit("job", 1).settled;
		await clock.advance(0);
		expect(report.ok).toBe(true);
		expect(calls).toEqual(["other observer"]);
		expect(onError.mock.calls).toEqual([[error, { source: "observer", name: "handler:succeeded" }]]);
	});

	test("emits itself sees its own signals, and the bus goes on", async () => {
		const { bus, seen } = setup();
		bus.on("job", throwing("broken"));
		bus.observe("callback:failed", ({ event }) => {
			if ((event.data as number) < 100) bus.emit("job", (event.data as number) + 1);
		});
		bus.emit("job", 1);
		expect(seen).toHaveLength(100);
	});
});

describe("observe() - the signal", () => {
	test.each(signalNames)("%s can be observed", (name) => {
		const { bus } = setup();
		bus.observe(name, () => undefined)();
	});

	test("names are listed, each once", () => {
		expect(new Set(signalNames).size).toBe(signalNames.length);
		expect(signalNames).toEqual(expect.arrayContaining([...observed, "delivery:delivered", "event:vetoed"]));
	});

	test.each(["handler:retried", "toString", "__proto__", "", "handler:*", undefined, null, 7])(
		"%j does not exist: refused, with the names that do",
		(name) => {
			const { bus } = setup();
			const observe = () => bus.observe(name as never, () => undefined);
			expect(optionOf(observe)).toBe("signal");
			expect(observe).toThrow("handler:failed");
		},
	);
});

describe("onError", () => {
	test("that throws hurts nobody: the error is printed with the one it was to report", async () => {
		const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
		const second = new Error("onError itself");
		const { bus } = setup(throwing(second));
		const calls: string[] = [];
		bus.on("job", throwing("first"));
		bus.on("job", () => void calls.push("after"));
		bus.handle("job", throwing("handler"), { concurrency: 1 });
		bus.handle("job", () => void calls.push("handler"), { concurrency: 1, name: "well" });
		const report = await bus.emit("job", 1).settled;
		expect(calls).toEqual(["after", "handler"]);
		expect(report.failed).toHaveLength(2);
		expect(print.mock.calls).toEqual([
			["callhook: onError failed", second, "while reporting", "first"],
			["callhook: onError failed", second, "while reporting", "handler"],
		]);
	});

	test("that rejects hurts nobody either", async () => {
		const printed = createDeferred<unknown[]>();
		vi.spyOn(console, "error").mockImplementation((...args) => printed.resolve(args));
		const second = new Error("onError itself");
		const { bus } = setup(() => Promise.reject(second));
		bus.on("job", throwing("first"));
		bus.emit("job", 1);
		expect(await printed.promise).toEqual([
			...["callhook: onError failed", second, "while reporting", "first"],
		]);
	});

	test("is console.error by default, with who failed and for which event", () => {
		const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
		const error = new Error("unheard");
		const bus = createBus();
		bus.on("job.*", throwing(error));
		bus.observe("callback:failed", throwing(error));
		bus.use(throwing(error), { around: "emit" });
		bus.emit("job.done", 1, { id: "evt_1" });
		expect(print.mock.calls).toEqual([
			['callhook: middleware "emit" failed for "job.done" evt_1', error],
			['callhook: observer "callback:failed" failed', error],
			['callhook: callback "job.*" failed for "job.done" evt_1', error],
		]);
	});

	test("prints by default what a handler gave up, and in a line by itself what a closing bus stopped", async () => {
		const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
		const error = new Error("no");
		const bus = createBus();
		bus.handle("job", throwing(error), { name: "failing" });
		bus.handle("job", () => undefined, { name: "waiting" }).pause();
		const { settled } = bus.emit("job", 1, { id: "evt_1" });
		await Promise.resolve();
		await bus.close();
		await settled;
		expect(print.mock.calls).toEqual([
			['callhook: handler "failing" failed for "job" evt_1', error],
			['callhook: handler "waiting" was stopped at "job" evt_1'],
		]);
	});

	test("gets an error whether or not somebody awaits the emission", async () => {
		const { bus, onError } = setup();
		bus.handle("job", throwing("handler"));
		const awaited = bus.emit("job", 1);
		bus.emit("job", 2);
		await awaited.settled;
		expect(onError.mock.calls.map(([error, { event }]) => [error, event?.data])).toEqual([
			["handler", 1],
			["handler", 2],
		]);
	});
});
