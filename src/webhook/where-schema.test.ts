import { describe, expect, test } from "vitest";
import { z } from "zod";
import { whereSchema } from "./where-schema.ts";

/** Each fault as `path: message`. */
function faultsOf(where: unknown): string[] {
	const { error } = whereSchema.safeParse(where);
	return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

function nest(depth: number): object {
	return depth === 1 ? { "data.a": 1 } : { not: nest(depth - 1) };
}

const wide = (count: number) =>
	Object.fromEntries(Array.from({ length: count }, (_, index) => [`data.${index}`, 1]));

describe("whereSchema", () => {
	test("takes a filter, and gives a copy of it", () => {
		const where = {
			"data.total": { gte: 1000, lt: 5000.5 },
			"data.items.0.sku": { in: ["a", 1, true, null], nin: [], prefix: "a", suffix: "", exists: true },
			type: "order.paid",
			time: { gt: "2026" },
			"metadata.region": null,
			and: [{ or: [{ key: "k" }, { not: { subject: { exists: false } } }] }],
		};
		const read = whereSchema.parse(where);
		expect(read).toStrictEqual(where);
		expect(read).not.toBe(where);
		(where["data.items.0.sku"].in as unknown[]).push(2);
		expect(read).not.toStrictEqual(where);
	});

	test.each<[where: unknown, fault: string]>([
		[undefined, ": expected an object of paths and conditions, got undefined"],
		["data", ': expected an object of paths and conditions, got "data"'],
		[[{ "data.a": 1 }], ": expected an object of paths and conditions, got an array"],
		[new Map(), ": expected an object of paths and conditions, got an object"],
		[{}, ": expected at least one condition"],
		[{ and: [{}] }, "and.0: expected at least one condition"],
		[{ not: {} }, "not: expected at least one condition"],
		[{ not: [{ "data.a": 1 }] }, "not: expected an object of paths and conditions, got an array"],
		[{ or: [] }, "or: expected a list with at least one filter, got an empty one"],
		[{ and: { "data.a": 1 } }, "and: expected a list with at least one filter, got an object"],
		[{ "data.a": {} }, "data.a: expected at least one operator"],
		[
			{ "data.a": [1] },
			"data.a: expected a text, a finite number, true, false or null, got an array, or an object of operators",
		],
		[
			{ "data.a": undefined },
			"data.a: expected a text, a finite number, true, false or null, got undefined, or an object of operators",
		],
		[
			{ "data.a": Number.NaN },
			"data.a: expected a text, a finite number, true, false or null, got number NaN, or an object of operators",
		],
		[
			{ "data.a": new Date(0) },
			"data.a: expected a text, a finite number, true, false or null, got an object, or an object of operators",
		],
		[
			{ "data.a": { eq: undefined } },
			"data.a.eq: expected a text, a finite number, true, false or null, got undefined",
		],
		[{ "data.a": { gt: true } }, "data.a.gt: expected a finite number or a text, got boolean true"],
		[
			{ "data.a": { lte: Number.POSITIVE_INFINITY } },
			"data.a.lte: expected a finite number or a text, got number Infinity",
		],
		[{ "data.a": { gte: null } }, "data.a.gte: expected a finite number or a text, got null"],
		[{ "data.a": { in: "a" } }, 'data.a.in: expected a list of scalars, got "a"'],
		[
			{ "data.a": { nin: [1, {}] } },
			"data.a.nin: value 1: expected a text, a finite number, true, false or null, got an object",
		],
		[
			{ "data.a": { in: Object.assign([1], { 2: 2 }) } },
			"data.a.in: value 1: expected a text, a finite number, true, false or null, got undefined",
		],
		[{ "data.a": { in: Array(1_001).fill(1) } }, "data.a.in: expected at most 1000 values, got more"],
		[{ "data.a": { prefix: 1 } }, "data.a.prefix: expected a text, got number 1"],
		[{ "data.a": { exists: "no" } }, 'data.a.exists: expected true or false, got "no"'],
		[
			{ "data.a": "x".repeat(1_001) },
			"data.a: expected a text of at most 1000 characters, got 1001, or an object of operators",
		],
		[
			{ [`data.${"x".repeat(500)}`]: 1 },
			`data.${"x".repeat(500)}: expected a path of at most 500 characters`,
		],
		[{ "data.": 1 }, "data.: expected a path whose names are separated by single dots"],
		[{ "data..a": 1 }, "data..a: expected a path whose names are separated by single dots"],
		[{ metadata: 1 }, 'metadata: expected "metadata." and a name'],
		[{ "type.x": 1 }, 'type.x: unknown path; "type" has nothing inside'],
	])("refuses what cannot work (%#)", (where, fault) => {
		expect(faultsOf(where)).toEqual([fault]);
	});

	test("says which operator was meant, and how to write a path", () => {
		const list = "the operators are eq, ne, gt, gte, lt, lte, in, nin, prefix, suffix or exists";
		expect(faultsOf({ type: { $eq: 1 } })).toEqual([
			`type.$eq: unknown operator; ${list}; did you mean "eq"?`,
		]);
		expect(faultsOf({ type: { "": 1 } })).toEqual([`type.: unknown operator; ${list}`]);
		expect(faultsOf({ type: { toString: 1 } })).toEqual([`type.toString: unknown operator; ${list}`]);
		expect(faultsOf({ data: { customer: "x" } })).toEqual([
			`data.customer: unknown operator; ${list}; a field inside is written "data.…"`,
		]);
	});

	test("says which root was meant", () => {
		const list = "a path begins with data. or metadata., or is type, key, subject, source or time";
		expect(faultsOf({ "date.total": 1 })).toEqual([
			`date.total: unknown path; ${list}; did you mean "data"?`,
		]);
		expect(faultsOf({ $and: [] })).toEqual([`$and: unknown path; ${list}; did you mean "and"?`]);
		expect(faultsOf({ total: 1 })).toEqual([`total: unknown path; ${list}`]);
		expect(faultsOf({ "": 1 })).toEqual([`: unknown path; ${list}`]);
		expect(faultsOf(JSON.parse('{ "__proto__": 1 }'))).toEqual([`__proto__: unknown path; ${list}`]);
	});

	test("names each fault once", () => {
		const faults = faultsOf({ "data.a": {}, and: [{ "data.b": { gt: null, lt: false } }, {}], x: 1 });
		expect(faults.map((fault) => fault.split(":")[0])).toEqual([
			"data.a",
			"and.0.data.b.gt",
			"and.0.data.b.lt",
			"and.1",
			"x",
		]);
	});

	test("takes 8 filters inside each other, and no more", () => {
		expect(faultsOf(nest(8))).toEqual([]);
		expect(faultsOf(nest(9))).toEqual([
			`${"not.".repeat(8).slice(0, -1)}: more than 8 filters inside each other`,
		]);
	});

	test("takes 100 conditions in all, and no more", () => {
		expect(faultsOf(wide(100))).toEqual([]);
		expect(faultsOf(wide(101))).toEqual([": more than 100 conditions"]);
		expect(faultsOf({ ...wide(99), or: [{ key: "a" }] })).toEqual([]);
		expect(faultsOf({ ...wide(99), or: [{ key: "a" }, { key: "b" }] })).toEqual([
			": more than 100 conditions",
		]);
		expect(faultsOf({ and: Array(101).fill({ key: "a" }) })).toEqual([": more than 100 conditions"]);
	});

	test("reads no more of a hostile one than its limits need", () => {
		const cyclic: Record<string, unknown> = {};
		cyclic.not = cyclic;
		expect(faultsOf(cyclic)).toHaveLength(1);
		const branching: Record<string, unknown> = {};
		branching.and = Array(100).fill(branching);
		branching.or = branching.and;
		expect(faultsOf(branching).length).toBeLessThanOrEqual(102);
		const list: object[] = Array(100).fill({});
		const empties = { and: list.map(() => ({ or: list.map(() => ({ and: list })) })) };
		expect(faultsOf(empties).length).toBeLessThanOrEqual(102);
		expect(faultsOf({ "data.a": wide(10_000) })).toHaveLength(1);
		expect(faultsOf({ and: Array(1_000_000).fill(1) })).toHaveLength(1);
		expect(faultsOf({ ["a.".repeat(1_000_000)]: 1 })).toHaveLength(1);
		expect(faultsOf({ "data.a": { in: Array(1_000_000).fill({}) } })).toHaveLength(1);
	});

	test("may be an optional field of another schema", () => {
		const endpoint = z.strictObject({ where: whereSchema.optional() });
		expect(endpoint.parse({})).toStrictEqual({});
		expect(endpoint.parse({ where: { key: "k" } })).toStrictEqual({ where: { key: "k" } });
		const { error } = endpoint.safeParse({ where: { "data.a": { gte: null } } });
		expect(error?.issues.map(({ path }) => path)).toEqual([["where", "data.a", "gte"]]);
	});
});
