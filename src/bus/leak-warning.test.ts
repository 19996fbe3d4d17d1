import { runInThisContext } from "node:vm";
import { describe, expect, test, vi } from "vitest";
import type { Bus } from "./bus.ts";
import type { BusOptions } from "./bus-options.ts";
import { createBus } from "./create-bus.ts";

function setup(options: Pick<BusOptions, "maxListeners"> = {}) {
	const onError = vi.fn();
	const warn = vi.fn<(message: string) => void>();
	const bus = createBus({ ...options, onError, logger: { warn } });
	const leaks: unknown[] = [];
	bus.observe("subscription:leak", (info) => void leaks.push(info));
	const add = (pattern: string, count: number): void => {
		for (let index = 0; index < count; index++) bus.on(pattern, () => undefined);
	};
	return { bus, onError, warn, leaks, add };
}

/** A function of the application, in a file of its own. */
function inApplication(code: string): (bus: Bus) => unknown {
	return runInThisContext(`\n(function subscribe(bus) { return ${code}; })`, { filename: "/app/orders.js" });
}

describe("maxListeners - a warning", () => {
	test("comes with the subscription that is one too many, once for each pattern", () => {
		const { warn, leaks, add } = setup({ maxListeners: 3 });
		add("order.paid", 3);
		add("order.*", 3);
		expect(warn).not.toHaveBeenCalled();
		add("order.paid", 10);
		add("order.*", 1);
		expect(warn).toHaveBeenCalledTimes(2);
		expect(warn.mock.calls[0]?.[0]).toMatch(/"order\.paid" has 4 subscriptions.*maxListeners \(3\)/);
		expect(warn.mock.calls[1]?.[0]).toMatch(/"order\.\*" has 4 subscriptions/);
		expect(leaks).toMatchObject([
			{ pattern: "order.paid", count: 4 },
			{ pattern: "order.*", count: 4 },
		]);
	});

	test("counts the subscriptions there are, callbacks and handlers, not those there were", () => {
		const { bus, warn } = setup({ maxListeners: 3 });
		for (let index = 0; index < 10; index++) bus.on("order.paid", () => undefined)();
		expect(warn).not.toHaveBeenCalled();
		for (let index = 0; index < 3; index++) bus.handle("order.paid", () => undefined);
		expect(warn).not.toHaveBeenCalled();
		bus.on("order.paid", () => undefined);
		expect(warn).toHaveBeenCalledTimes(1);
	});

	test("does not come for those who only wait for events or read streams", async () => {
		const { bus, warn } = setup({ maxListeners: 3 });
		const waits = Array.from({ length: 10 }, () => bus.waitFor("order.paid"));
		for (let index = 0; index < 10; index++) bus.stream("order.paid");
		bus.emit("order.paid", 1);
		await Promise.all(waits);
		expect(warn).not.toHaveBeenCalled();
	});

	test("comes above 100 unless something else is said, and never with Infinity", () => {
		const [standard, off] = [setup(), setup({ maxListeners: Number.POSITIVE_INFINITY })];
		for (const { add } of [standard, off]) add("order.paid", 100);
		expect(standard.warn).not.toHaveBeenCalled();
		for (const { add } of [standard, off]) add("order.paid", 1);
		expect(standard.warn).toHaveBeenCalledTimes(1);
		off.add("order.paid", 1_000);
		expect([off.warn.mock.calls, off.leaks]).toEqual([[], []]);
	});

	test.each([
		["on()", 'bus.on("order.paid", () => undefined)'],
		["once()", 'bus.once("order.paid", () => undefined)'],
		["handle()", 'bus.handle("order.paid", () => undefined)'],
		[
			"on() through a function of the runtime",
			'Reflect.apply(bus.on, undefined, ["order.paid", () => undefined])',
		],
	])("names the place in the application that called %s", (_how, code) => {
		const { bus, warn, leaks, add } = setup({ maxListeners: 1 });
		add("order.paid", 1);
		inApplication(code)(bus);
		expect(warn.mock.calls[0]?.[0]).toContain("/app/orders.js:2");
		expect(leaks).toMatchObject([{ site: expect.stringContaining("/app/orders.js:2") }]);
	});

	test("says so where the runtime tells no place", () => {
		const { bus, warn, leaks } = setup({ maxListeners: 1 });
		const { stackTraceLimit } = Error;
		Error.stackTraceLimit = 0;
		for (let index = 0; index < 2; index++) bus.on("order.paid", () => undefined);
		Error.stackTraceLimit = stackTraceLimit;
		expect(warn.mock.calls[0]?.[0]).toContain("unknown place");
		expect(leaks).toMatchObject([{ site: "" }]);
	});

	test("goes to the console where there is no logger", () => {
		const warn = vi.spyOn(console, "warn").mockReturnValue(undefined);
		const bus = createBus({ maxListeners: 1 });
		for (let index = 0; index < 2; index++) bus.on("order.paid", () => undefined);
		expect(warn.mock.calls).toEqual([[expect.stringContaining('"order.paid" has 2 subscriptions')]]);
		warn.mockRestore();
	});

	test("does not harm the subscription: not even when the logger throws, which is reported", () => {
		const { bus, onError, warn, leaks } = setup({ maxListeners: 1 });
		const error = new Error("logger");
		warn.mockImplementation(() => {
			throw error;
		});
		const callback = vi.fn();
		for (let index = 0; index < 3; index++) bus.on("order.paid", callback);
		bus.emit("order.paid", 1);
		expect(callback).toHaveBeenCalledTimes(3);
		expect(onError.mock.calls).toEqual([[error, { source: "observer", name: "subscription:leak" }]]);
		expect(leaks).toHaveLength(1);
	});

	test("comes when the subscription is there: what its observer does is as if done behind the call", () => {
		const { bus, onError } = setup({ maxListeners: 1 });
		bus.on("order.paid", () => undefined);
		const controller = new AbortController();
		const [once, ended] = [vi.fn((_data: unknown) => undefined), vi.fn()];
		const off = bus.observe("subscription:leak", () => void bus.emit("order.paid", 1));
		bus.once("order.paid", once);
		off();
		expect(once.mock.calls.map(([data]) => data)).toEqual([1]);
		bus.on("order.shipped", () => undefined);
		bus.observe("subscription:leak", () => controller.abort());
		bus.on("order.shipped", ended, { signal: controller.signal });
		bus.emit("order.paid", 2);
		bus.emit("order.shipped", 3);
		expect(once).toHaveBeenCalledTimes(1);
		expect(ended).not.toHaveBeenCalled();
		expect(bus.stats().subscriptions).toEqual({ "order.paid": 1, "order.shipped": 1 });
		expect(onError).not.toHaveBeenCalled();
	});
});
