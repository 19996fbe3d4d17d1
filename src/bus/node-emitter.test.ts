import { getEventListeners, on, once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { codeOf } from "../../test/support/thrown.ts";
import { defineEvents } from "../event/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { Bus } from "./bus.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

function setup() {
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus({ clock: fakeClock(), onError });
	const calls: string[] = [];
	const note = (name: string) => () => void calls.push(name);
	return { bus, emitter: bus.toEventEmitter(), onError, calls, note };
}

/** The same over a catalog without `error`. */
function setupCatalog() {
	const bus = createBus({ events: defineEvents({ job: z.number() }), clock: fakeClock() });
	return { bus, emitter: bus.toEventEmitter() };
}

describe("toEventEmitter() - works with Node's", () => {
	test.each([
		["any type", setup],
		["a catalog without `error`", setupCatalog],
	])("events.once, on a bus with %s, and leaves nothing behind", async (_what, create) => {
		const { bus, emitter } = create();
		const next = once(emitter, "job");
		const { event } = (bus as Bus<{ job: number }>).emit("job", 1);
		const [data, seen] = await next;
		expect(data).toBe(1);
		expect(seen).toBe(event);
		expect(emitter.eventNames()).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("events.once, which rejects with an `error` that is emitted meanwhile", async () => {
		const { bus, emitter } = setup();
		const next = once(emitter, "job");
		const error = new Error("broken");
		bus.emit("error", error);
		await expect(next).rejects.toBe(error);
		expect(emitter.eventNames()).toEqual([]);
	});

	test("events.on: every event until the signal fires, and leaves nothing behind", async () => {
		const { emitter, bus } = setup();
		const controller = new AbortController();
		const jobs = on(emitter, "job", { signal: controller.signal });
		const emitted = [1, 2].map((number) => bus.emit("job", number).event);
		for (const event of emitted) expect((await jobs.next()).value).toEqual([event.data, event]);
		const next = jobs.next();
		controller.abort();
		await expect(next).rejects.toMatchObject({ name: "AbortError" });
		expect(emitter.eventNames()).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("events.on in a loop that is left", async () => {
		const { emitter, bus } = setupCatalog();
		const jobs = on(emitter, "job");
		for (const number of [1, 2, 3]) bus.emit("job", number);
		const seen: unknown[] = [];
		for await (const [data] of jobs) {
			seen.push(data);
			if (data === 2) break;
		}
		expect(seen).toEqual([1, 2]);
		expect(emitter.eventNames()).toEqual([]);
	});

	test("events.getEventListeners", () => {
		const { emitter, note } = setup();
		const [first, second] = [note("first"), note("second")];
		emitter.on("job", first).once("job", second);
		expect(getEventListeners(emitter, "job")).toEqual([first, second]);
	});
});

describe("toEventEmitter() - listeners", () => {
	test.each(["on", "addListener", "prependListener", "once", "prependOnceListener"] as const)(
		"added with %s get the data, the event and the emitter as `this`",
		(method) => {
			const { bus, emitter } = setup();
			const seen: unknown[][] = [];
			emitter[method]("job", function (this: unknown, ...args: unknown[]) {
				seen.push([this, ...args]);
			});
			const { event } = bus.emit("job", 1);
			expect(seen).toHaveLength(1);
			expect(seen[0]?.[0]).toBe(emitter);
			expect(seen[0]?.[1]).toBe(1);
			expect(seen[0]?.[2]).toBe(event);
		},
	);

	test("are called in the order of registration, prepended ones before, the last of these first", () => {
		const { bus, emitter, calls, note } = setup();
		const [a, b, c, d] = [note("a"), note("b"), note("c"), note("d")];
		emitter.on("job", a).prependListener("job", b).addListener("job", c).prependOnceListener("job", d);
		bus.on("job", note("callback of the bus"));
		expect(emitter.listeners("job")).toEqual([d, b, a, c]);
		expect(emitter.rawListeners("job")).toEqual([d, b, a, c]);
		bus.emit("job", 1);
		expect(calls).toEqual(["d", "b", "a", "c", "callback of the bus"]);
	});

	test.each(["once", "prependOnceListener"] as const)(
		"added with %s are called once and are gone before that",
		(method) => {
			const { emitter } = setup();
			const counts: number[] = [];
			emitter[method]("job", () => void counts.push(emitter.listenerCount("job")));
			emitter.emit("job", 1);
			emitter.emit("job", 2);
			expect(counts).toEqual([0]);
		},
	);

	test("added with once are called once, also where a listener before them emits the same", () => {
		const { emitter } = setup();
		const seen: unknown[] = [];
		emitter.on("job", (data: number) => data < 3 && emitter.emit("job", data + 1));
		emitter.once("job", (data: number) => void seen.push(data));
		emitter.emit("job", 1);
		expect(seen).toEqual([3]);
	});

	test.each(["on", "once", "prependListener", "prependOnceListener", "addListener"] as const)(
		"that are no functions are refused by %s",
		(method) => {
			const { bus, emitter } = setup();
			for (const listener of [undefined, null, 5, {}]) {
				expect(codeOf(() => emitter[method]("job", listener as never))).toBe("ERR_CALLHOOK_INVALID_OPTION");
			}
			expect(emitter.eventNames()).toEqual([]);
			expect(bus.stats().subscriptions).toEqual({});
		},
	);

	test("may be patterns of the bus", () => {
		const { emitter, bus } = setup();
		const seen: unknown[] = [];
		emitter.on("order.*", (data: unknown, { type }: { type: string }) => void seen.push([type, data]));
		bus.emit("order.paid", 1);
		expect(seen).toEqual([["order.paid", 1]]);
	});

	test.each<[string, () => unknown]>([
		[
			"throws",
			() => {
				throw "broken";
			},
		],
		["rejects", () => Promise.reject("broken")],
	])("one that %s spares the others and the emitter, and goes to onError", async (_how, listener) => {
		const { bus, emitter, calls, note, onError } = setup();
		emitter.on("job", note("before")).on("job", listener).on("job", note("after"));
		expect(emitter.emit("job", 1)).toBe(true);
		await bus.idle();
		expect(calls).toEqual(["before", "after"]);
		expect(onError.mock.calls).toEqual([
			["broken", { source: "callback", name: "job", event: expect.objectContaining({ data: 1 }) }],
		]);
	});
});

describe("toEventEmitter() - emit", () => {
	test("emits the first argument on the bus, and says whether this emitter has a listener", () => {
		const { bus, emitter, note } = setup();
		const seen: unknown[] = [];
		const end = bus.on("job", (data) => seen.push(data));
		expect(emitter.emit("job", 1, 2)).toBe(false);
		expect(emitter.emit("job")).toBe(false);
		end();
		const listener = note("listener");
		emitter.once("job", listener);
		expect(emitter.emit("job", 1)).toBe(true);
		expect(emitter.emit("job", 1)).toBe(false);
		expect(seen).toEqual([1, undefined]);
	});

	test("throws for a type that the catalog lacks and for bad data, as adding a listener does", () => {
		const { emitter } = setupCatalog();
		expect(codeOf(() => emitter.emit("jib", 1))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(codeOf(() => emitter.emit("job", "1"))).toBe("ERR_CALLHOOK_INVALID_DATA");
		for (const method of ["on", "once", "prependListener", "addListener"] as const) {
			expect(codeOf(() => emitter[method]("jib", () => undefined))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		}
		expect(emitter.eventNames()).toEqual([]);
		expect(emitter.listenerCount("jib")).toBe(0);
	});

	test.each([Symbol("job"), 7, ""])("of %o throws, and so does listening to it", (name) => {
		const { bus, emitter } = setup();
		const callback = vi.fn();
		bus.on("**", callback);
		expect(codeOf(() => emitter.emit(name as never, 1))).toBe("ERR_CALLHOOK_MISSING_NAME");
		for (const method of ["on", "addListener", "prependListener", "once", "prependOnceListener"] as const) {
			expect(codeOf(() => emitter[method](name as never, callback))).toBe("ERR_CALLHOOK_MISSING_NAME");
		}
		expect(callback).not.toHaveBeenCalled();
		expect(
			emitter
				.off(name as never, callback)
				.removeAllListeners(name as never)
				.eventNames(),
		).toEqual([]);
		expect([emitter.listeners(name as never), emitter.listenerCount(name as never)]).toEqual([[], 0]);
	});

	test("of `error` where the bus has such a type is an event like others", () => {
		const { emitter } = setup();
		const listener = vi.fn();
		expect(emitter.emit("error", "unheard")).toBe(false);
		emitter.on("error", listener);
		expect(emitter.emit("error", "heard")).toBe(true);
		expect(listener.mock.calls.map(([data]) => data)).toEqual(["heard"]);
	});
});

describe("toEventEmitter() - takes off", () => {
	test.each(["off", "removeListener"] as const)("with %s one of them, the last that was added", (method) => {
		const { emitter, calls, note } = setup();
		const twice = note("twice");
		emitter.on("job", twice).on("job", note("between")).on("job", twice);
		emitter[method]("job", twice);
		emitter[method]("other", twice);
		emitter.emit("job", 1);
		expect(calls).toEqual(["twice", "between"]);
		emitter[method]("job", twice);
		emitter[method]("job", twice);
		emitter.emit("job", 2);
		expect(calls).toEqual(["twice", "between", "between"]);
	});

	test("with off one that was added with once", () => {
		const { bus, emitter, calls, note } = setup();
		const listener = note("once");
		emitter.once("job", listener).off("job", listener).emit("job", 1);
		expect(calls).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("with removeAllListeners those of one name or all, and nothing else of the bus", () => {
		const { bus, emitter, calls, note } = setup();
		bus.on("job", note("bus"));
		bus.toEventEmitter().on("job", note("another facade"));
		emitter.on("job", note("a")).on("job", note("b")).on("other", note("other"));
		expect(emitter.removeAllListeners("job").eventNames()).toEqual(["other"]);
		bus.emit("job", 1);
		bus.emit("other", 1);
		expect(calls).toEqual(["bus", "another facade", "other"]);
		emitter.on("job", note("a")).removeAllListeners();
		bus.emit("job", 2);
		bus.emit("other", 2);
		expect(calls.slice(3)).toEqual(["bus", "another facade"]);
		expect(emitter.eventNames()).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({ job: 2 });
	});
});

describe("toEventEmitter() - tells", () => {
	test("its listeners by name, `error` included, and none of others", () => {
		const { bus, emitter } = setupCatalog();
		bus.on("job", () => undefined);
		const [a, b] = [vi.fn(), vi.fn()];
		expect([emitter.eventNames(), emitter.listenerCount("job"), emitter.listeners("job")]).toEqual([
			[],
			0,
			[],
		]);
		emitter.on("job", a).on("error", b).once("job", b);
		expect(emitter.eventNames()).toEqual(["job", "error"]);
		for (const [name, listeners] of [
			["job", [a, b]],
			["error", [b]],
		] as const) {
			expect(emitter.listenerCount(name)).toBe(listeners.length);
			expect(emitter.listeners(name)).toEqual(listeners);
			for (const listener of listeners) emitter.off(name, listener);
		}
		expect(emitter.eventNames()).toEqual([]);
		// A copy: whoever changes it changes nothing here.
		emitter.on("job", a).listeners("job").pop();
		expect(emitter.listenerCount("job")).toBe(1);
	});

	test("the limit it was given, and 10 before", () => {
		const { emitter } = setup();
		expect(emitter.getMaxListeners()).toBe(10);
		expect(emitter.setMaxListeners(50).getMaxListeners()).toBe(50);
	});
});
