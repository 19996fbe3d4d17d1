import { describe, expect, test, vi } from "vitest";
import { createPattern } from "../event/index.ts";
import { fakeClock } from "../testing/index.ts";
import { Causes } from "./causes.ts";
import { createBus } from "./create-bus.ts";
import { OpenWork } from "./open-work.ts";
import { createRegistry } from "./registry.ts";
import { createSignals } from "./signals.ts";

function setup() {
	const core = {
		source: "/",
		clock: fakeClock(),
		startedAtMs: 0,
		signals: createSignals(() => undefined),
		work: new OpenWork(),
		report: () => undefined,
		causes: new Causes(false),
		deadLetters: {} as never,
		handlerMiddleware: [],
	};
	const checkType = vi.fn<(type: string) => void>();
	const registry = createRegistry({
		core,
		checkType,
		definitionOf: () => undefined,
		outboxTargetsOf: () => [],
		isGuarded: () => false,
		onAdd: () => undefined,
	});
	const add = (text: string) =>
		registry.add({
			pattern: createPattern(text, "test"),
			priority: 0,
			callback: add,
			target: () => undefined,
		});
	return { registry, checkType, add };
}

describe("registry - plan of a type", () => {
	test("is made once and kept while nothing changes", () => {
		const { registry, checkType } = setup();
		const channel = registry.channel("order.paid");
		checkType.mockClear();
		const plan = registry.plan(channel);
		expect(registry.plan(channel)).toBe(plan);
		expect(registry.channel("order.paid")).toBe(channel);
		expect(checkType).toHaveBeenCalledTimes(1);
	});

	test("is made anew when a matching subscription comes or goes", () => {
		const { registry, add } = setup();
		const channel = registry.channel("order.paid");
		for (const text of ["order.paid", "order.*", "**"]) {
			const before = registry.plan(channel);
			const end = add(text);
			const during = registry.plan(channel);
			expect(during.patterns).toEqual([text]);
			end();
			expect(registry.plan(channel)).not.toBe(during);
			expect(registry.plan(channel).patterns).toEqual(before.patterns);
		}
	});

	test("is untouched by 10,000 patterns that do not match, added or removed", () => {
		const { registry, add } = setup();
		add("order.*");
		const channel = registry.channel("order.paid");
		const plan = registry.plan(channel);
		const ends = Array.from({ length: 10_000 }, (_, index) => add(`shop${index}.**`));
		expect(registry.plan(channel)).toBe(plan);
		for (const end of ends) end();
		expect(registry.plan(channel)).toBe(plan);
		expect(registry.counts()).toEqual({ "order.*": 1 });
	});

	test("asks again whether the type may be emitted, once plans were forgotten", () => {
		const { registry, checkType } = setup();
		const channel = registry.bind("order.paid");
		registry.plan(channel);
		registry.forgetPlans();
		expect(channel.plan).toBeUndefined();
		checkType.mockImplementation(() => {
			throw new Error("closed");
		});
		expect(() => registry.plan(channel)).toThrow("closed");
	});
});

describe("bus - 10,000 patterns that do not match", () => {
	test("leave callbacks, order and later subscriptions as they are", () => {
		const bus = createBus();
		const calls: string[] = [];
		const note = (name: string) => () => void calls.push(name);
		bus.on("order.*", note("before"));
		for (let index = 0; index < 10_000; index++) bus.on(`shop${index}.*`, note(`shop${index}`));
		bus.on("order.paid", note("after"));
		bus.emit("order.paid", 1);
		bus.emit("shop9999.paid", 1);
		bus.on("**", note("all"));
		bus.emit("order.paid", 1);
		expect(calls).toEqual(["before", "after", "shop9999", "before", "after", "all"]);
	});
});

describe("registry - type names without end", () => {
	test("do not grow the table beyond 10,000", () => {
		const { registry, checkType } = setup();
		const typesAdded = 25_000;
		for (let index = 0; index < typesAdded; index++) registry.channel(`type.${index}`);
		expect(checkType).toHaveBeenCalledTimes(typesAdded);
		// A type that the table still has is not checked again.
		let kept = 0;
		while (checkType.mock.calls.length === typesAdded) registry.channel(`type.${typesAdded - 1 - kept++}`);
		expect(kept - 1).toBeGreaterThan(0);
		expect(kept - 1).toBeLessThanOrEqual(10_000);
	});

	test("that stay below 10,000 are all kept", () => {
		const { registry, checkType } = setup();
		const channels = Array.from({ length: 10_000 }, (_, index) => registry.channel(`type.${index}`));
		expect(channels.every((channel) => registry.channel(channel.type) === channel)).toBe(true);
		expect(checkType).toHaveBeenCalledTimes(10_000);
	});

	test("do not push out bound types, which still learn of new subscriptions", () => {
		const { registry, add } = setup();
		const bound = registry.bind("order.paid");
		for (let index = 0; index < 25_000; index++) registry.channel(`type.${index}`);
		expect(registry.channel("order.paid")).toBe(bound);
		registry.plan(bound);
		add("order.*");
		expect(registry.plan(bound).patterns).toEqual(["order.*"]);
	});

	test("on a bus: bound emitters, callbacks and patterns work on", () => {
		const bus = createBus();
		const seen: [string, unknown][] = [];
		const emitBound = bus.emitter("order.paid");
		bus.on("order.*", (data, { type }) => void seen.push([type, data]));
		bus.emit("order.shipped", 1);
		for (let index = 0; index < 25_000; index++) bus.emit(`generated.type-${index}`, index);
		emitBound(2);
		bus.emit("order.shipped", 3);
		bus.on("order.paid", (data) => void seen.push(["added later", data]));
		emitBound(4);
		bus.emit("generated.type-1", 5);
		expect(seen).toEqual([
			["order.shipped", 1],
			["order.paid", 2],
			["order.shipped", 3],
			["order.paid", 4],
			["added later", 4],
		]);
	});

	test("on a bus: are refused after close, the forgotten ones and the bound too", async () => {
		const bus = createBus();
		const emitBound = bus.emitter("order.paid");
		for (let index = 0; index < 10_500; index++) bus.emit(`type.${index}`, index);
		await bus.close();
		for (const emit of [() => emitBound(1), () => bus.emit("type.0", 1), () => bus.emit("type.10499", 1)]) {
			expect(emit).toThrow(expect.objectContaining({ code: "ERR_CALLHOOK_CLOSED" }));
		}
	});
});
