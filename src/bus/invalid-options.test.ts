// Wrong values of the options of what is around emit: refused before anything ran, with the option's name.
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { type CallhookErrorCode, isCallhookError } from "../errors.ts";
import { defineEvents } from "../event/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { Bus } from "./bus.ts";
import { createBus } from "./create-bus.ts";

type Loose = Record<
	"emit" | "on" | "once" | "waitFor" | "stream" | "use" | "holdAndEmit" | "create" | "define",
	(...args: unknown[]) => unknown
>;

const noop = (): undefined => undefined;

/** A bus that may be called as JavaScript can, and whether anything came of it. */
function setup(events?: ReturnType<typeof defineEvents>) {
	const clock = fakeClock();
	const [consumer, logger] = [vi.fn(), { warn: vi.fn() }];
	const options: object = { events, clock, logger, onError: consumer };
	const bus: Bus = createBus(options);
	bus.on("**", consumer);
	const held = bus.hold();
	const before = bus.stats();
	const calls = {
		...bus,
		holdAndEmit: held.emit,
		create: (options: object) => createBus({ ...options }),
		define: (definition: object) => defineEvents({ order: { schema: z.string(), ...definition } }),
	} as never as Loose;
	const expectNothing = async (): Promise<void> => {
		expect(bus.stats()).toEqual(before);
		expect([held.size, clock.timers]).toEqual([0, 0]);
		await clock.advance(60_000);
		expect(consumer).not.toHaveBeenCalled();
		expect(logger.warn).not.toHaveBeenCalled();
	};
	return { calls, expectNothing };
}

const badDelays = [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "10", null];
const delay = "a number from 0 to 2147483647";
const badMoments = ["soon", "2026-01-01", Number.NaN, new Date(Number.NaN), null, true, {}, 1e15];
const moment = "a Date, a time in RFC 3339 or milliseconds since 1970";
const badSignals = [null, {}, "signal", new AbortController()];
const badCounts = [0, -1, 1.5, Number.NaN, "4", null, 2 ** 53];

type Case = [
	call: keyof Loose,
	args: readonly unknown[],
	option: string,
	values: readonly unknown[],
	text: string,
];
const cases: Case[] = [
	...(["emit", "holdAndEmit"] as const).flatMap((call): Case[] => [
		[call, ["order", 1], "delayMs", badDelays, delay],
		[call, ["order", 1], "at", badMoments, moment],
	]),
	[
		"on",
		["order", noop],
		"replay",
		[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null],
		"a whole number",
	],
	["once", ["order", noop], "replay", [-1, 1.5, Number.NaN, "1", null], "a whole number of at least 0"],
	["on", ["order", noop], "once", [0, 1, "yes", null], "a boolean"],
	["waitFor", ["order"], "where", ["paid", null, {}], "a function"],
	["waitFor", ["order"], "signal", badSignals, "an AbortSignal"],
	["waitFor", ["order"], "timeoutMs", badDelays, delay],
	["waitFor", ["order"], "waitFor.timeout", [5], "it takes where, signal, timeoutMs"],
	["stream", ["order"], "buffer", [...badCounts, Number.POSITIVE_INFINITY], "a whole number of at least 1"],
	["stream", ["order"], "overflow", ["block", "", null, 7], "one of drop-oldest, drop-newest, reject"],
	["stream", ["order"], "signal", badSignals, "an AbortSignal"],
	["stream", ["order"], "stream.size", [5], "it takes buffer, overflow, signal"],
	["use", [noop], "around", ["handlers", "", null, 7], "handler or emit"],
	["use", [noop], "use.arround", ["emit"], "it takes around"],
	[
		"create",
		[],
		"events",
		[z.object({}), { parse: noop, get: noop }, null],
		"a catalog made by defineEvents()",
	],
	["create", [], "startHeld", [0, "yes", null], "a boolean"],
	["create", [], "trackCauses", [0, "yes", null], "a boolean"],
	["create", [], "maxListeners", badCounts, "a whole number of at least 1, or Infinity"],
	["create", [], "logger", [null, noop, {}, { warn: "yes" }, "console"], "an object with a function warn"],
	[
		"create",
		[],
		"createBus.maxListener",
		[5],
		"startHeld, deadLetterLimit, maxListeners, trackCauses, logger",
	],
	[
		"define",
		[],
		"retain",
		[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 100_001, "3", null],
		"from 0 to 100000",
	],
];

describe("refused is", () => {
	test.each(
		cases.flatMap(([call, args, option, values, text]) =>
			values.map((value) => [call, option, value, args, text] as const),
		),
	)("%s with the option %s of %o", async (call, option, value, args, text) => {
		const { calls, expectNothing } = setup();
		const error = thrownBy(() => calls[call](...args, { [option.replace(/^.*\./, "")]: value }));
		expect(optionOf(error)).toBe(call === "define" ? `events["order"].${option}` : option);
		expect(error.message).toContain(text);
		await expectNothing();
	});

	test.each([
		["emit", ["order", 1]],
		["on", ["order", noop]],
		["waitFor", ["order"]],
		["stream", ["order"]],
		["use", [noop]],
	] as const)("%s with options that are no object", async (call, args) => {
		const { calls, expectNothing } = setup();
		for (const options of [null, "text", [], 7]) {
			expect(optionOf(() => calls[call](...args, options))).toBe(call);
		}
		await expectNothing();
	});

	test("a delay together with a moment", async () => {
		const { calls, expectNothing } = setup();
		const both = { delayMs: 5, at: 0 };
		for (const call of ["emit", "holdAndEmit"] as const) {
			const error = thrownBy(() => calls[call]("order", 1, both));
			expect(optionOf(error)).toBe("at");
			expect(error.message).toContain("left out where delayMs is given");
		}
		await expectNothing();
	});

	test("a middleware that is no function", async () => {
		const { calls, expectNothing } = setup();
		for (const middleware of [undefined, null, {}, "log"]) {
			expect(optionOf(() => calls.use(middleware, { around: "emit" }))).toBe("middleware");
		}
		calls.emit("other", 1, { delayMs: 0 });
		await expect(expectNothing()).rejects.toThrow();
	});

	test.each(["waitFor", "stream"] as const)("%s of a bad pattern, thrown and not rejected", async (call) => {
		const { calls, expectNothing } = setup(defineEvents({ "order.paid": z.number() }));
		const patterns: [unknown, CallhookErrorCode][] = [
			[undefined, "ERR_CALLHOOK_MISSING_NAME"],
			["", "ERR_CALLHOOK_MISSING_NAME"],
			["order.pa*", "ERR_CALLHOOK_INVALID_PATTERN"],
			["user.*", "ERR_CALLHOOK_INVALID_PATTERN"],
			["order.payd", "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE"],
		];
		for (const [pattern, code] of patterns) {
			const error = thrownBy(() => calls[call](pattern));
			expect(isCallhookError(error, code), `${String(pattern)}: ${error.code}`).toBe(true);
			if (code !== "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE") expect(error.message).toContain(`${call}()`);
		}
		await expectNothing();
	});
});

test("the limits of the options are taken", () => {
	const bus = createBus({ maxListeners: 1, trackCauses: true, startHeld: false, logger: console });
	const farthest = 2 ** 31 - 1;
	expect(() => {
		bus.emit("order", 1, { delayMs: farthest }).cancel();
		bus.emit("order", 1, { at: new Date("9999-12-31T23:59:59Z") }).cancel();
		bus.on("order", noop, { replay: 0 })();
		void bus.stream("order", { buffer: 1 }).return();
		void bus.stream("order", { overflow: undefined, signal: undefined, buffer: undefined }).return();
		void bus.waitFor("order", { timeoutMs: farthest, where: undefined, signal: undefined });
		bus.emit("order", 1);
		defineEvents({ none: { schema: z.string(), retain: 0 }, most: { schema: z.string(), retain: 100_000 } });
		createBus({ maxListeners: Number.POSITIVE_INFINITY });
	}).not.toThrow();
});
