import { describe, expect, test } from "vitest";
import { z } from "zod";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { type CallhookError, type CallhookErrorCode, isCallhookError } from "../errors.ts";
import { fakeClock } from "../testing/index.ts";
import { defineEvents, unknownEventType, validate } from "./catalog.ts";
import type { Schema } from "./schema.ts";

const order = z.object({ orderId: z.string(), total: z.number() });

/** A schema by hand, as another library would make it. */
function schemaOf(check: (value: unknown) => unknown): Schema {
	return { "~standard": { version: 1, validate: check as Schema["~standard"]["validate"] } };
}

function refusalOf<Code extends CallhookErrorCode>(run: () => unknown, code: Code): CallhookError<Code> {
	const error = thrownBy(run);
	if (!isCallhookError(error, code)) expect.fail(`expected ${code}, got ${error.code}`);
	return error;
}

describe("defineEvents()", () => {
	test("lists its types in the order of definition and knows each definition", () => {
		const key = ({ orderId }: { orderId: string }) => orderId;
		const catalog = defineEvents({
			"order.shipped": order,
			"order.paid": { schema: order, description: "money came", key },
		});
		expect(catalog.types).toEqual(["order.shipped", "order.paid"]);
		expect(Object.isFrozen(catalog.types)).toBe(true);
		expect(catalog.get("order.shipped")).toEqual({ schema: order });
		expect(catalog.get("order.paid")).toEqual({ schema: order, description: "money came", key });
		expect(catalog.get("order.payd")).toBeUndefined();
		expect(catalog.get("toString")).toBeUndefined();
	});

	test("takes any Standard Schema, one that is a function too", () => {
		const callable = Object.assign(
			() => undefined,
			schemaOf((value) => ({ value: [value] })),
		);
		const catalog = defineEvents({ called: callable, plain: schemaOf((value) => ({ value })) });
		expect(catalog.parse("called", 1)).toEqual([1]);
		expect(catalog.parse("plain", 1)).toBe(1);
	});

	test("is not changed by later changes of what it was given", () => {
		const definition = { schema: order, description: "before" };
		const catalog = defineEvents({ "order.paid": definition });
		definition.description = "after";
		expect(catalog.get("order.paid")?.description).toBe("before");
	});

	test.each(["order paid", "order..paid", "order.*", "order."])("refuses the type %j", (type) => {
		const error = refusalOf(() => defineEvents({ [type]: order }), "ERR_CALLHOOK_INVALID_EVENT_TYPE");
		expect(error.details).toEqual({ type });
		expect(error.message).toContain(`defineEvents() got "${type}"`);
		expect(error.message).toContain("expected segments of letters");
	});

	test("refuses a type without a name", () => {
		const error = refusalOf(() => defineEvents({ "": order }), "ERR_CALLHOOK_MISSING_NAME");
		expect(error.details).toEqual({ what: "event type", where: "defineEvents()" });
	});

	const broken: [option: string, definition: unknown, expected: string][] = [
		['events["order.paid"]', null, "a Standard Schema or an object with one as its schema"],
		['events["order.paid"]', "text", "a Standard Schema or an object with one as its schema"],
		['events["order.paid"]', {}, "a Standard Schema or an object with one as its schema"],
		['events["order.paid"]', { "~standard": {} }, "a Standard Schema or an object with one as its schema"],
		['events["order.paid"].schema', { schema: {} }, "a Standard Schema"],
		['events["order.paid"].schema', { schema: null }, "a Standard Schema"],
		['events["order.paid"].key', { schema: order, key: "orderId" }, "a function"],
	];
	test.each(broken)("refuses a definition: %s of %j", (option, definition, expected) => {
		const define = () => defineEvents({ "order.paid": definition as never });
		const error = refusalOf(define, "ERR_CALLHOOK_INVALID_OPTION");
		expect(error.details).toMatchObject({ option, expected });
		expect(error.message).toContain(`"${option}" must be ${expected}, but got `);
	});

	test("refuses what a definition does not have", () => {
		const define = () => defineEvents({ "order.paid": { schema: order, descripton: "" } as never });
		const error = refusalOf(define, "ERR_CALLHOOK_INVALID_OPTION");
		expect(error.details.option).toBe('events["order.paid"].descripton');
		expect(error.message).toBe(
			'events["order.paid"] has no option "descripton"; it takes schema, description, examples, key, version, upcast, retain; did you mean "description"?',
		);
	});

	test.each([[null], [undefined], ["order.paid"]])("refuses %j as definitions", (definitions) => {
		const error = refusalOf(() => defineEvents(definitions as never), "ERR_CALLHOOK_INVALID_OPTION");
		expect(error.details.option).toBe("events");
	});

	test("takes examples that the schema accepts, and no others", () => {
		const examples = [{ orderId: "o_1", total: 1 }];
		expect(defineEvents({ "order.paid": { schema: order, examples } }).get("order.paid")?.examples).toEqual(
			examples,
		);
		const define = (...all: unknown[]) =>
			refusalOf(
				() => defineEvents({ "order.paid": { schema: order, examples: all as typeof examples } }),
				"ERR_CALLHOOK_INVALID_OPTION",
			);
		const { details, message } = define(examples[0], { orderId: "o_2" });
		expect(details.option).toBe('events["order.paid"].examples[1]');
		expect(message).toContain("total: ");
		const asynchronous = schemaOf(async (value) => ({ value }));
		expect(() => defineEvents({ "order.paid": { schema: asynchronous, examples: [1] } })).toThrow(
			/asynchronous/,
		);
		const notAList = { schema: order, examples: {} as typeof examples };
		expect(optionOf(() => defineEvents({ "order.paid": notAList }))).toBe('events["order.paid"].examples');
	});
});

describe("catalog.parse()", () => {
	const catalog = defineEvents({ "order.paid": order.extend({ total: z.coerce.number() }) });

	test("returns what the schema returns", () => {
		expect(catalog.parse("order.paid", { orderId: "o_1", total: "7" })).toEqual({ orderId: "o_1", total: 7 });
	});

	test("throws for a type it does not have, naming the types it has", () => {
		const error = refusalOf(() => catalog.parse("order.payd", {}), "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(error.details).toEqual({ type: "order.payd", known: ["order.paid"] });
		expect(error.message).toBe(
			'The catalog has no event type "order.payd"; it has order.paid; did you mean "order.paid"?',
		);
	});

	test("throws for data its schema refuses", () => {
		const error = refusalOf(() => catalog.parse("order.paid", {}), "ERR_CALLHOOK_INVALID_DATA");
		expect(error.details.type).toBe("order.paid");
		expect(error.details.issues.map(({ path }) => path)).toEqual(["orderId", "total"]);
	});
});

describe("unknownEventType() - message", () => {
	test("names eight types at most, and none when there are none", () => {
		const types = Array.from({ length: 11 }, (_, index) => `type.${index}`);
		expect(unknownEventType("x", types).message).toMatch(/type\.7 and 3 more$/);
		expect(unknownEventType("x", types.slice(0, 8)).message).toMatch(/type\.7$/);
		expect(unknownEventType("x", []).message).toMatch(/it has none$/);
		expect(unknownEventType("x", types).details).toEqual({ type: "x", known: types });
	});
});

describe("validate()", () => {
	test("joins the paths of issues, whatever form their segments have", () => {
		const symbol = Symbol("note");
		const schema = schemaOf(() => ({
			issues: [
				{ message: "whole" },
				{ message: "plain", path: ["items", 3, symbol] },
				{ message: "object", path: [{ key: "items" }, { key: 0 }] },
				{ message: "fourth", path: [] },
				{ message: "fifth" },
			],
		}));
		const error = refusalOf(() => validate("order.paid", schema, 1), "ERR_CALLHOOK_INVALID_DATA");
		expect(error.details.issues).toEqual([
			{ path: "", message: "whole" },
			{ path: "items.3.Symbol(note)", message: "plain" },
			{ path: "items.0", message: "object" },
			{ path: "", message: "fourth" },
			{ path: "", message: "fifth" },
		]);
		expect(error.message).toBe(
			'Invalid data for "order.paid": whole; items.3.Symbol(note): plain; items.0: object; and 2 more',
		);
	});

	test("takes an issue list as a refusal even when it is empty", () => {
		expect(
			refusalOf(
				() =>
					validate(
						"t",
						schemaOf(() => ({ issues: [] })),
						1,
					),
				"ERR_CALLHOOK_INVALID_DATA",
			),
		);
	});

	test("refuses a promise, and its rejection does not end the process", async () => {
		for (const rejecting of [Promise.reject(new Error("unread")), thenableThatRejects()]) {
			const schema = schemaOf(() => rejecting);
			const error = refusalOf(() => validate("order.paid", schema, 1), "ERR_CALLHOOK_ASYNC_SCHEMA");
			expect(error.details).toEqual({ type: "order.paid" });
			expect(error.message).toContain('The schema of "order.paid" is asynchronous');
		}
		// vitest fails the run on an unhandled rejection, which Node reports once the microtasks have run.
		await fakeClock().advance(0);
	});
});

function thenableThatRejects(): PromiseLike<never> {
	const promise = Promise.reject(new Error("unread"));
	promise.catch(() => undefined);
	// biome-ignore lint/suspicious/noThenProperty: a foreign thenable is what is tested.
	return { then: promise.then.bind(promise) as PromiseLike<never>["then"] };
}
