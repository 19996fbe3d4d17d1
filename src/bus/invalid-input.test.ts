import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { type CallhookErrorCode, type CallhookErrorDetails, isCallhookError } from "../errors.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";

type LooseBus = ReturnType<typeof createBus>;

/** How the table below calls the bus: anything may be passed, as JavaScript can. */
interface Loose {
	on(...args: unknown[]): unknown;
	once(...args: unknown[]): unknown;
	off(...args: unknown[]): unknown;
	handle(...args: unknown[]): unknown;
	emit(...args: unknown[]): unknown;
	emitter(...args: unknown[]): unknown;
	observe(...args: unknown[]): unknown;
	drain(...args: unknown[]): Promise<unknown>;
}

const order = z.object({ orderId: z.string(), total: z.number() });
const asyncText = z.string().refine(() => Promise.resolve(true));
const thenableResult = {
	// biome-ignore lint/suspicious/noThenProperty: a foreign thenable is what is tested.
	validate: () => ({ then: (resolve: (value: unknown) => void) => resolve({ value: 1 }) }),
};
const events = defineEvents({
	"order.paid": order,
	"order.noted": asyncText,
	"order.checked": { "~standard": { version: 1, vendor: "test", ...thenableResult } } as never,
	"order.keyed": { schema: order, key: ({ orderId }) => (orderId === "throw" ? failing() : orderId) },
});
const valid = { orderId: "o_1", total: 1 };
const noop = () => undefined;

function failing(): never {
	throw new Error("no key");
}

/** Two buses on which every way to consume an event is watched: with a catalog and an outbox, and without. */
function setup() {
	const consumer = vi.fn();
	const clock = fakeClock();
	const options = { clock, onError: consumer };
	const typed = createBus({ ...options, events, store: memoryStore({ clock }) });
	const untyped: LooseBus = createBus(options);
	for (const bus of [typed, untyped as never as typeof typed]) {
		bus.on("**", consumer);
		bus.handle("**", consumer);
		bus.observe("callback:failed", consumer);
		bus.observe("handler:succeeded", consumer);
	}
	const append = vi.spyOn(typed.outbox!.store, "append");
	typed.outbox!.register({
		name: "everything",
		accepts: ["**"],
		concurrency: 1,
		concurrencyOf: () => 1,
		run: consumer,
		abort: noop,
	});
	const calm = async () => {
		await clock.advance(60_000);
		expect(append).not.toHaveBeenCalled();
		expect(consumer).not.toHaveBeenCalled();
	};
	return { typed: typed as never as Loose, untyped: untyped as never as Loose, calm };
}

type Setup = ReturnType<typeof setup>;

async function thrownBy(run: () => unknown): Promise<unknown> {
	try {
		await run();
	} catch (error) {
		return error;
	}
	return expect.fail("nothing was thrown");
}

/** Runs a bad call and checks its error: code, details, each text the message must hold, and that nothing ran. */
async function expectRefused<Code extends CallhookErrorCode>(
	run: (buses: Setup) => unknown,
	code: Code,
	details: Partial<CallhookErrorDetails[Code]>,
	texts: readonly string[],
	isAsync = false,
): Promise<void> {
	const buses = setup();
	let returned: unknown;
	const error = await thrownBy(() => {
		returned = run(buses);
		return returned;
	});
	expect(returned instanceof Promise, "thrown, not rejected").toBe(isAsync);
	if (!isCallhookError(error, code)) expect.fail(`expected ${code}, got ${String(error)}`);
	expect(error).toBeInstanceOf(Error);
	expect(error.details).toMatchObject(details);
	for (const text of texts) expect(error.message).toContain(text);
	await buses.calm();
}

describe("emit() - refuses, before anything runs,", () => {
	type Case<Code extends CallhookErrorCode = CallhookErrorCode> = [
		title: string,
		run: (buses: Setup) => unknown,
		code: Code,
		details: Partial<CallhookErrorDetails[Code]>,
		texts: readonly string[],
	];
	const known = events.types;
	const cyclic: Record<string, unknown> = {};
	cyclic.self = cyclic;

	const cases: Case[] = [
		[
			"a type the catalog does not have",
			({ typed }) => typed.emit("order.payd", valid),
			"ERR_CALLHOOK_UNKNOWN_EVENT_TYPE",
			{ type: "order.payd", known },
			['"order.payd"', "order.paid, order.noted"],
		],
		[
			"such a type when it is bound",
			({ typed }) => typed.emitter("order.payd"),
			"ERR_CALLHOOK_UNKNOWN_EVENT_TYPE",
			{ type: "order.payd", known },
			['"order.payd"', "order.paid, order.noted"],
		],
		...["order paid", "order..paid", ".paid", "paid.", "order.*", "order/paid", "é"].map(
			(type): Case<"ERR_CALLHOOK_INVALID_EVENT_TYPE"> => [
				`the type ${JSON.stringify(type)}`,
				({ untyped }) => untyped.emit(type, 1),
				"ERR_CALLHOOK_INVALID_EVENT_TYPE",
				{ type },
				["emit()", `"${type}"`, "expected segments of letters"],
			],
		),
		...[undefined, null, "", 7, {}, Symbol("type")].flatMap((type): Case<"ERR_CALLHOOK_MISSING_NAME">[] =>
			(["typed", "untyped"] as const).map((name) => [
				`the type ${inspect(type)} (${name})`,
				(buses) => buses[name].emit(type, valid),
				"ERR_CALLHOOK_MISSING_NAME",
				{ what: "event type", where: "emit()" },
				["event type", "emit()", "a non-empty string", "got"],
			]),
		),
		[
			"data its schema refuses, with path and message of each fault",
			({ typed }) => typed.emit("order.paid", { orderId: 1, total: "x" }),
			"ERR_CALLHOOK_INVALID_DATA",
			{
				type: "order.paid",
				issues: [
					{ path: "orderId", message: "Invalid input: expected string, received number" },
					{ path: "total", message: "Invalid input: expected number, received string" },
				],
			},
			['"order.paid"', "orderId: Invalid input: expected string, received number", "total: "],
		],
		[
			"no data where the schema wants some",
			({ typed }) => typed.emit("order.paid"),
			"ERR_CALLHOOK_INVALID_DATA",
			{ issues: [{ path: "", message: "Invalid input: expected object, received undefined" }] },
			['"order.paid"', "expected object, received undefined"],
		],
		[
			"data of an asynchronous schema",
			({ typed }) => typed.emit("order.noted", "text"),
			"ERR_CALLHOOK_ASYNC_SCHEMA",
			{ type: "order.noted" },
			['schema of "order.noted"', "is asynchronous", "synchronous one"],
		],
		[
			"data of a schema that answers with a foreign thenable",
			({ typed }) => typed.emit("order.checked", "text"),
			"ERR_CALLHOOK_ASYNC_SCHEMA",
			{ type: "order.checked" },
			['schema of "order.checked"'],
		],
		[
			"data from which the catalog's key throws",
			({ typed }) => typed.emit("order.keyed", { ...valid, orderId: "throw" }),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: 'events["order.keyed"].key', expected: "a non-empty string" },
			['events["order.keyed"].key', "a non-empty string", "an exception"],
		],
		[
			"data of which the catalog's key is empty",
			({ typed }) => typed.emit("order.keyed", { ...valid, orderId: "" }),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: 'events["order.keyed"].key', expected: "a non-empty string" },
			["a non-empty string"],
		],
		...(
			[
				["a cycle", cyclic],
				["a bigint", { big: 1n }],
				["a function", noop],
				["a symbol", Symbol("data")],
			] as const
		).map(
			([what, note]): Case<"ERR_CALLHOOK_NOT_SERIALIZABLE"> => [
				`metadata that is or holds ${what} when the outbox takes the event`,
				({ typed }) => typed.emit("order.paid", valid, { metadata: { toJSON: () => note } }),
				"ERR_CALLHOOK_NOT_SERIALIZABLE",
				{ type: "order.paid" },
				['"order.paid"', "JSON"],
			],
		),
		...(
			[
				["id", ["", "a.b", "a b", "é", "x".repeat(257), 7, null], "1 to 256 printable ASCII characters"],
				["time", ["soon", Number.NaN, new Date(Number.NaN), null, true, {}], "a Date, a time in RFC 3339"],
				["metadata", ["text", null, [], 7, new Map(), new Date(), () => undefined], "a plain object"],
				["key", ["", 7, null, {}], "a non-empty string"],
				["subject", ["", 7], "a non-empty string"],
				["correlationId", ["", 7], "a non-empty string"],
				["causationId", ["", 7], "a non-empty string"],
				["traceparent", ["", 7], "a non-empty string"],
				["idempotencyKey", ["", 7], "a non-empty string"],
			] as const
		).flatMap(([option, values, expected]) =>
			values.map(
				(value): Case<"ERR_CALLHOOK_INVALID_OPTION"> => [
					`the option ${option} of ${inspect(value).slice(0, 20)}`,
					({ untyped }) => untyped.emit("order.paid", valid, { [option]: value }),
					"ERR_CALLHOOK_INVALID_OPTION",
					{ option },
					[`"${option}"`, expected, "but got"],
				],
			),
		),
		[
			"an option it does not know",
			({ untyped }) => untyped.emit("order.paid", valid, { ky: "k" }),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: "emit.ky" },
			['emit has no option "ky"; it takes id,', "behind one data argument", 'did you mean "key"?'],
		],
		...[null, "text", [], 7].map(
			(options): Case<"ERR_CALLHOOK_INVALID_OPTION"> => [
				`options that are ${JSON.stringify(options)}`,
				({ untyped }) => untyped.emit("order.paid", valid, options),
				"ERR_CALLHOOK_INVALID_OPTION",
				{ option: "emit", expected: "a plain object, behind one data argument" },
				['"emit"', "one data argument", "but got"],
			],
		),
	];

	test.each(cases)("%s", async (_title, run, code, details, texts) => {
		await expectRefused(run, code, details, texts);
	});

	test("data that is no JSON, only when the outbox takes the event", async () => {
		const loose = defineEvents({ "loose.data": z.unknown() });
		const clock = fakeClock();
		const callback = vi.fn();
		const bus = createBus({ clock, events: loose, store: memoryStore({ clock }) });
		bus.on("loose.data", callback);
		expect(() => bus.emit("loose.data", { big: 1n })).not.toThrow();
		expect(callback).toHaveBeenCalledTimes(1);
		const target = { name: "t", concurrency: 1, concurrencyOf: () => 1, abort: noop };
		const run = vi.fn();
		bus.outbox!.register({ ...target, accepts: ["**"], run });
		const cyclic: unknown[] = [];
		cyclic.push(cyclic);
		for (const data of [{ big: 1n }, cyclic, noop, Symbol("data")]) {
			const error = await thrownBy(() => bus.emit("loose.data", data));
			if (!isCallhookError(error, "ERR_CALLHOOK_NOT_SERIALIZABLE")) expect.fail(String(error));
			expect(error.details).toEqual({ type: "loose.data" });
			expect(error.message).toContain('The outbox takes "loose.data"');
		}
		await clock.advance(1_000);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(run).not.toHaveBeenCalled();
	});
});

describe("on(), once() and handle() - refuse", () => {
	const methods = ["on", "once", "handle"] as const;

	test.each(methods.map((method) => [method]))("a missing pattern (%s)", async (method) => {
		for (const pattern of [undefined, null, "", 7]) {
			await expectRefused(
				({ typed }) => typed[method](pattern, noop),
				"ERR_CALLHOOK_MISSING_NAME",
				{ what: "event type", where: method === "once" ? "on()" : `${method}()` },
				["event type", "a non-empty string", "got"],
			);
		}
	});

	test.each(methods.map((method) => [method]))("a malformed pattern (%s)", async (method) => {
		const where = method === "once" ? "on()" : `${method}()`;
		const malformed: [string, string][] = [
			["order.pa*", "a wildcard must be a whole segment"],
			["***", "a wildcard must be a whole segment"],
			["order..paid", "separated by single dots"],
			[".order", "separated by single dots"],
			["order.", "separated by single dots"],
			["order paid", "letters, digits"],
		];
		for (const [pattern, reason] of malformed) {
			await expectRefused(
				({ untyped }) => untyped[method](pattern, noop),
				"ERR_CALLHOOK_INVALID_PATTERN",
				{ pattern, reason: expect.stringContaining(reason) as never },
				[where, `"${pattern}"`, reason],
			);
		}
	});

	test.each(methods.map((method) => [method]))("a pattern that no type matches (%s)", async (method) => {
		const where = method === "once" ? "on()" : `${method}()`;
		for (const pattern of ["orders.*", "order.*.paid", "*"]) {
			await expectRefused(
				({ typed }) => typed[method](pattern, noop),
				"ERR_CALLHOOK_INVALID_PATTERN",
				{ pattern },
				[where, `"${pattern}"`, "the catalog has only order.paid, order.noted, order.checked, order.keyed"],
			);
		}
		await expectRefused(
			({ typed }) => typed[method]("order.payd", noop),
			"ERR_CALLHOOK_UNKNOWN_EVENT_TYPE",
			{ type: "order.payd" },
			['"order.payd"', "it has order.paid, order.noted", 'did you mean "order.paid"?'],
		);
	});

	test("a function that is none", async () => {
		for (const [method, option] of [
			["on", "callback"],
			["once", "callback"],
			["handle", "handler"],
		] as const) {
			await expectRefused(
				({ untyped }) => untyped[method]("order.paid", "no function"),
				"ERR_CALLHOOK_INVALID_OPTION",
				{ option, expected: "a function", received: '"no function"' },
				[`"${option}"`, "a function", '"no function"'],
			);
		}
	});

	test("off() without a pattern or a function, observe() without a function", async () => {
		await expectRefused(
			({ untyped }) => untyped.off("order.paid"),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: "callback", received: "undefined" },
			['"callback"', "a function"],
		);
		await expectRefused(
			({ untyped }) => untyped.off("", noop),
			"ERR_CALLHOOK_MISSING_NAME",
			{ where: "off()" },
			["off()"],
		);
		await expectRefused(
			({ untyped }) => untyped.observe("handler:retry"),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: "observer" },
			['"observer"', "a function", "undefined"],
		);
	});

	const onOptions: [option: string, value: unknown, expected: string][] = [
		...[Number.NaN, Number.POSITIVE_INFINITY, "1", null].map((value): [string, unknown, string] => [
			"priority",
			value,
			"a number",
		]),
		...[null, {}, "signal", new AbortController()].map((value): [string, unknown, string] => [
			"signal",
			value,
			"an AbortSignal",
		]),
	];
	test.each([
		[
			{ sginal: 1 },
			"on.sginal",
			'on has no option "sginal"; it takes signal, once, priority, replay, and no `this`',
		],
		[{ sginal: 1 }, "on.sginal", 'did you mean "signal"?'],
		[new (class Shop {})(), "on", "a plain object, and no `this`"],
		[
			new (class Shop {
				orders = [];
			})(),
			"on",
			"a plain object, and no `this`",
		],
	])("as options %o", async (options, option, expected) => {
		for (const method of ["on", "once"] as const) {
			await expectRefused(
				({ untyped }) => untyped[method]("order.paid", noop, options),
				"ERR_CALLHOOK_INVALID_OPTION",
				{ option },
				[expected],
			);
		}
	});

	test.each(onOptions)("the option %s of %s", async (option, value, expected) => {
		for (const method of ["on", "once"] as const) {
			await expectRefused(
				({ untyped }) => untyped[method]("order.paid", noop, { [option.replace("on.", "")]: value }),
				"ERR_CALLHOOK_INVALID_OPTION",
				{ option },
				[`"${option}"`, expected, "but got"],
			);
		}
	});
});

describe("handle() - refuses the option", () => {
	const wholeNumber = "a whole number of at least 1, or Infinity";
	const notWhole = [0, -1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY, "4", null, 2 ** 53];
	const badDelays = [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "10", null];
	const validGroups: Record<string, object> = {
		queue: { limit: 1 },
		rateLimit: { count: 1, perMs: 1 },
		batch: { size: 1 },
	};
	const cases: [option: string, values: readonly unknown[], expected: string][] = [
		["concurrency", notWhole, wholeNumber],
		["key", ["orderId", 7, null], "a function"],
		["timeoutMs", [0, 0.5, ...badDelays], "a number from 1 to 2147483647"],
		["retry", [null, 5, "5", []], "a plain object"],
		["retry.attempts", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY], "a whole number of at least 1"],
		["retry.minDelayMs", badDelays, "a number from 0 to 2147483647"],
		["retry.maxDelayMs", badDelays, "a number from 0 to 2147483647"],
		["retry.maxDelayMs", [199], "at least retry.minDelayMs (200), with a default of 30000"],
		["retry.factor", [0, 0.9, Number.NaN, Number.POSITIVE_INFINITY, "2"], "a number of at least 1"],
		["retry.jitter", [0, "yes", null], "a boolean"],
		["retry.when", [true, "yes", null], "a function"],
		["retry.atempts", [3], "it takes attempts, minDelayMs, maxDelayMs, factor, jitter, when"],
		["queue", [null, 5, "block", []], "a plain object"],
		["queue.limit", [undefined], "a whole number"],
		["queue.limit", [...notWhole, Number.POSITIVE_INFINITY], "a whole number of at least 1"],
		[
			"queue.overflow",
			["", "drop", null, 7, "Block"],
			"one of block, reject, drop-oldest, drop-newest, coalesce",
		],
		["queue.size", [5], "it takes limit, overflow"],
		["rateLimit", [null, 5, "5/s", []], "a plain object"],
		["rateLimit.count", [undefined], "a whole number"],
		["rateLimit.count", [...notWhole, Number.POSITIVE_INFINITY], "a whole number of at least 1"],
		["rateLimit.perMs", [undefined], "a whole number"],
		["rateLimit.perMs", [0, 0.5, ...badDelays], "a number from 1 to 2147483647"],
		["rateLimit.per", [5], "it takes count, perMs"],
		["batch", [null, 5, "5", []], "a plain object"],
		["batch.size", [undefined], "a whole number"],
		["batch.size", [...notWhole, Number.POSITIVE_INFINITY, 100_001], "a whole number from 1 to 100000"],
		["batch.waitMs", badDelays, "a number from 0 to 2147483647"],
		["batch.wait", [5], "it takes size, waitMs"],
		["handle.concurency", [3], "it takes name, concurrency, key, timeoutMs, retry"],
	];
	test.each(
		cases.flatMap(([option, values, expected]) => values.map((value) => [option, value, expected] as const)),
	)("%s of %s", async (option, value, expected) => {
		const [group = "", name = ""] = option.replace("handle.", "").split(".");
		const options = name === "" ? { [group]: value } : { [group]: { ...validGroups[group], [name]: value } };
		await expectRefused(
			({ untyped }) => untyped.handle("order.paid", noop, options),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option },
			[`"${expected.startsWith("it takes") ? name || group : option}"`, expected],
		);
	});

	test("queue.limit smaller than batch.size, and coalesce beside batch, with or without key", async () => {
		const cases = [
			[{ limit: 2 }, "queue.limit", "at least batch.size (3)"],
			[{ limit: 9, overflow: "coalesce" }, "queue.overflow", "events coalesce by key"],
		] as const;
		for (const [queue, option, expected] of cases) {
			for (const key of [undefined, noop]) {
				if (key !== undefined && option === "queue.limit") continue;
				await expectRefused(
					({ untyped }) => untyped.handle("order.paid", noop, { key, queue, batch: { size: 3 } }),
					"ERR_CALLHOOK_INVALID_OPTION",
					{ option },
					[option, expected],
				);
			}
		}
	});

	test.each([
		[
			"key that is missing where events coalesce by it",
			{ queue: { limit: 1, overflow: "coalesce" } },
			"given",
		],
		["key beside batch", { key: noop, batch: { size: 1 } }, "left out"],
	])("%s", async (_title, options, expected) => {
		await expectRefused(
			({ untyped }) => untyped.handle("order.paid", noop, options),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option: "key" },
			['"key"', expected, "but got"],
		);
	});

	test("nothing at the limits of what it allows", () => {
		const { untyped } = setup();
		for (const options of [
			{ queue: { limit: 1, overflow: undefined }, rateLimit: { count: 1, perMs: 1 } },
			{ queue: { limit: Number.MAX_SAFE_INTEGER, overflow: "coalesce" }, key: noop },
			{ rateLimit: { count: Number.MAX_SAFE_INTEGER, perMs: 2_147_483_647 }, batch: undefined },
			{ batch: { size: 100_000, waitMs: 0 }, queue: undefined, rateLimit: undefined },
			{ batch: { size: 1, waitMs: 2_147_483_647 }, key: undefined },
		]) {
			expect(() => untyped.handle("order.paid", noop, options)).not.toThrow();
		}
	});

	test.each(["", null, 7])("name of %s, a missing name", async (name) => {
		await expectRefused(
			({ untyped }) => untyped.handle("order.paid", noop, { name }),
			"ERR_CALLHOOK_MISSING_NAME",
			{ what: "handler name", where: "handle()" },
			["handler name", "handle()", "a non-empty string", "got"],
		);
	});
});

describe("drain() - rejects", () => {
	test.each([
		["timeoutMs", -1],
		["timeoutMs", Number.NaN],
		["timeoutMs", "5"],
		["drain.timeout", 5],
	])("the option %s of %s and stays open", async (option, value) => {
		await expectRefused(
			({ untyped }) => untyped.drain({ [option.replace("drain.", "")]: value }),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option },
			[`"${option.replace("drain.", "")}"`],
			true,
		);
		const { untyped } = setup();
		await thrownBy(() => untyped.drain({ [option.replace("drain.", "")]: value }));
		expect(() => untyped.emit("order.paid", 1)).not.toThrow();
	});
});

describe("createBus() - refuses the option", () => {
	const cases: [option: string, values: readonly unknown[], expected: string][] = [
		["concurrency", [0, -1, 1.5, Number.NaN, "4", null], "a whole number of at least 1, or Infinity"],
		["events", [null, {}, "orders", { "order.paid": order }], "a catalog made by defineEvents()"],
		["source", ["", "my shop", "söurce", 7, null], "a URI reference"],
		["store", [null, {}, "memory"], "an outbox store such as memoryStore()"],
		["clock", [null, {}, Date, 7], "a clock with now, setTimeout and clearTimeout"],
		["onError", ["log", null, {}], "a function"],
		["deadLetterLimit", [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "9", null], "of at least 0"],
		["createBus.onErorr", [noop], "it takes events, source, store, concurrency, onError, clock"],
	];
	test.each(
		cases.flatMap(([option, values, expected]) => values.map((value) => [option, value, expected] as const)),
	)("%s of %s", async (option, value, expected) => {
		await expectRefused(
			() => createBus({ [option.replace("createBus.", "")]: value }),
			"ERR_CALLHOOK_INVALID_OPTION",
			{ option },
			[`"${option.replace("createBus.", "")}"`, expected],
		);
	});

	test("options themselves when they are no object", async () => {
		for (const options of [null, 7, "orders", []]) {
			await expectRefused(
				() => createBus(options as never),
				"ERR_CALLHOOK_INVALID_OPTION",
				{ option: "createBus", expected: "a plain object" },
				['"createBus"', "a plain object", "but got"],
			);
		}
	});
});
