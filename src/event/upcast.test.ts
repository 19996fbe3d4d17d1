import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { defineEvents, readBack } from "./catalog.ts";

const schema = z.object({ total: z.number() });
const step = (old: unknown): unknown => old;

/** A definition whose steps note what they were given, as `version: data`. */
function noting(version: number, from = 1) {
	const seen: unknown[] = [];
	const upcast = Object.fromEntries(
		Array.from({ length: version - from }, (_, index) => [
			from + index,
			(old: number) => {
				seen.push(`${from + index}: ${old}`);
				return old + 1;
			},
		]),
	);
	return { definition: { schema: z.number(), version, upcast }, seen };
}

describe("defineEvents() - version and upcast", () => {
	const option = 'events["order.paid"]';
	test.each<[string, object]>([
		[`${option}.version`, { version: 0 }],
		[`${option}.version`, { version: 1.5 }],
		[`${option}.version`, { version: "2" }],
		[`${option}.version`, { version: 1_000_001 }],
		[`${option}.version`, { version: null }],
		[`${option}.upcast`, { version: 2, upcast: step }],
		[`${option}.upcast`, { version: 2, upcast: [step] }],
		[`${option}.upcast`, { version: 2, upcast: "1" }],
		[`${option}.upcast[1]`, { version: 2, upcast: { 1: "no step" } }],
		[`${option}.upcast`, { version: 2, upcast: { 0: step } }],
		[`${option}.upcast`, { version: 2, upcast: { 2: step } }],
		[`${option}.upcast`, { version: 2, upcast: { "01": step } }],
		[`${option}.upcast`, { version: 2, upcast: { "1.5": step } }],
		[`${option}.upcast`, { version: 2, upcast: { first: step } }],
		[`${option}.upcast`, { upcast: { 1: step } }],
	])("refuses %s of %j", (name, definition) => {
		expect(optionOf(() => defineEvents({ "order.paid": { schema, ...definition } as never }))).toBe(name);
	});

	test("names the versions it expects and the one it got", () => {
		const definition = { schema, version: 3, upcast: { 1: step, 3: step } };
		const error = thrownBy(() => defineEvents({ "order.paid": definition }));
		expect(error.details).toMatchObject({ expected: "keyed by versions before 3", received: '"3"' });
	});

	test("takes them, and a version that lacks steps: its old events wait until they can be read", () => {
		const definition = { schema, version: 12, upcast: { 2: step, 11: step } };
		expect(defineEvents({ "order.paid": definition }).get("order.paid")).toEqual(definition);
		expect(() =>
			defineEvents({ a: { schema, version: 1_000_000 }, b: { schema, upcast: {} } }),
		).not.toThrow();
	});
});

describe("readBack()", () => {
	test("without a definition gives the data as it is", () => {
		const data = { any: "thing" };
		expect(readBack("order.paid", undefined, data, 7)).toBe(data);
	});

	test("of the same version validates only, and gives what the schema gives", () => {
		const { definition, seen } = noting(3);
		expect(readBack("order.paid", definition, 5, 3)).toBe(5);
		expect(seen).toEqual([]);
		const transformed = { schema: z.string().transform((text) => text.length) };
		expect(readBack("order.paid", transformed, "four")).toBe(4);
	});

	test.each([
		[1, 13, ["1: 10", "2: 11", "3: 12"]],
		[2, 12, ["2: 10", "3: 11"]],
		[3, 11, ["3: 10"]],
		[undefined, 13, ["1: 10", "2: 11", "3: 12"]],
	])("of version %s goes from step to step, to the current one", (version, result, steps) => {
		const { definition, seen } = noting(4);
		expect(readBack("order.paid", definition, 10, version)).toBe(result);
		expect(seen).toEqual(steps);
	});

	test("a definition without a version is version 1", () => {
		expect(readBack("order.paid", { schema: z.number() }, 5, 1)).toBe(5);
		expect(thrownBy(() => readBack("order.paid", { schema: z.number() }, 5, 2)).message).toContain(
			"it has version 2, and this application knows 1",
		);
	});

	test.each<[string, unknown, number, string]>([
		["of a newer version", 5, 5, "it has version 5, and this application knows 4"],
		["of a version without a step", 5, 1, "there is no upcast from version 1"],
		["its schema refuses", "five", 4, "Invalid input: expected number, received string"],
	])("refuses data %s", (_what, data, version, message) => {
		const { definition, seen } = noting(4, 2);
		const error = thrownBy(() => readBack("order.paid", definition, data, version));
		expect(error).toMatchObject({
			code: "ERR_CALLHOOK_INVALID_DATA",
			details: { type: "order.paid", issues: [{ path: "", message }] },
			message: `Invalid data for "order.paid": ${message}`,
		});
		expect(seen).toEqual([]);
	});

	test.each<[string, z.ZodType, unknown]>([
		["undefined", z.undefined(), undefined],
		["nothing", z.void(), undefined],
		["an object or nothing", schema.optional(), undefined],
		["null, too", schema.nullish(), null],
		["anything", z.unknown(), null],
	])("null is what was emitted without data, where the schema takes %s", (_what, optional, result) => {
		expect(readBack("order.paid", { schema: optional }, null)).toBe(result);
	});

	test("null is refused as null where the schema takes no `undefined` either", () => {
		expect(thrownBy(() => readBack("order.paid", { schema }, null)).message).toContain("received null");
		expect(thrownBy(() => readBack("order.paid", { schema }, undefined)).message).toContain("undefined");
	});

	test("validates what the last step gives, not what is between", () => {
		const upcast = { 1: () => "between", 2: (old: string) => ({ total: old.length }) };
		expect(readBack("order.paid", { schema, version: 3, upcast }, {}, 1)).toEqual({ total: 7 });
		const bad = { schema, version: 2, upcast: { 1: () => ({ total: "7" }) } };
		expect(thrownBy(() => readBack("order.paid", bad, {}, 1)).message).toContain("total: ");
	});

	test("refuses a promise of a step, whose rejection is nobody's then", async () => {
		const unhandled = vi.fn();
		process.on("unhandledRejection", unhandled);
		const upcast = { 1: () => Promise.reject(new Error("no upcast today")) };
		expect(optionOf(() => readBack("order.paid", { schema: z.any(), version: 2, upcast }, {}, 1))).toBe(
			'events["order.paid"].upcast[1]',
		);
		await nextTurn();
		process.off("unhandledRejection", unhandled);
		expect(unhandled).not.toHaveBeenCalled();
	});

	test("lets through what a step throws, and makes no further one", () => {
		const later = vi.fn();
		const failure = new Error("no upcast today");
		const upcast = {
			1: () => {
				throw failure;
			},
			2: later,
		};
		expect(() => readBack("order.paid", { schema, version: 3, upcast }, {}, 1)).toThrow(failure);
		expect(later).not.toHaveBeenCalled();
	});
});
