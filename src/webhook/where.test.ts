import { describe, expect, test } from "vitest";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { compileWhere, type FilteredEvent } from "./where.ts";
import type { Where } from "./where-type.ts";

const event: FilteredEvent = {
	type: "order.paid",
	key: "o_1",
	subject: undefined,
	source: "/shop",
	time: "2026-01-02T03:04:05.678Z",
	metadata: { region: "eu" },
	data: JSON.parse(`{
		"id": "o_1", "total": 1000, "ratio": 0.5, "zero": 0, "empty": "", "gift": false, "note": null,
		"digits": "1000", "constructor": "Ferrari", "customer": { "country": "DE" },
		"items": [{ "sku": "a-1", "tags": ["x", "y"] }, { "sku": "b-2" }], "none": []
	}`),
};

function passes(where: Where, of: Partial<FilteredEvent> = {}): boolean {
	return compileWhere(where)({ ...event, ...of });
}

describe("a condition", () => {
	const cases: [where: Where, expected: boolean][] = [
		[{ "data.total": 1000 }, true],
		[{ "data.total": "1000" }, false],
		[{ "data.digits": 1000 }, false],
		[{ "data.zero": false }, false],
		[{ "data.gift": false }, true],
		[{ "data.gift": 0 }, false],
		[{ "data.note": null }, true],
		[{ "data.empty": null }, false],
		[{ "data.missing": null }, false],
		[{ "data.total": { eq: 1000 } }, true],
		[{ "data.total": { ne: 1000 } }, false],
		[{ "data.total": { ne: "1000" } }, true],
		[{ "data.customer": { ne: "DE" } }, true],
		[{ "data.total": { gt: 999.9 } }, true],
		[{ "data.total": { gt: 1000 } }, false],
		[{ "data.total": { gte: 1000 } }, true],
		[{ "data.total": { lt: 1000 } }, false],
		[{ "data.total": { lte: 1000 } }, true],
		[{ "data.total": { gte: 1000, lt: 1000 } }, false],
		[{ "data.digits": { gte: 1 } }, false],
		[{ "data.total": { gte: "1" } }, false],
		[{ "data.note": { lte: 0 } }, false],
		[{ "data.none": { gte: 0 } }, false],
		[{ "data.id": { gt: "o_0", lt: "o_2" } }, true],
		[{ "data.id": { gt: "o_1" } }, false],
		[{ "data.id": { gt: "o" } }, true],
		[{ "data.id": { in: ["o_2", "o_1"] } }, true],
		[{ "data.id": { in: [] } }, false],
		[{ "data.id": { nin: [] } }, true],
		[{ "data.total": { in: ["1000", true, null] } }, false],
		[{ "data.total": { nin: ["1000"] } }, true],
		[{ "data.id": { nin: ["o_1"] } }, false],
		[{ "data.id": { prefix: "o_" } }, true],
		[{ "data.id": { prefix: "_" } }, false],
		[{ "data.id": { suffix: "_1" } }, true],
		[{ "data.total": { prefix: "1" } }, false],
		[{ "data.empty": { prefix: "" } }, true],
		[{ "data.note": { exists: true } }, true],
		[{ "data.note": { exists: false } }, false],
		[{ "data.customer.country": "DE" }, true],
		[{ "data.items.0.sku": "a-1" }, true],
		[{ "data.items.1.sku": { suffix: "2" } }, true],
		[{ "data.items.0.tags.1": "y" }, true],
		[{ "data.items.00.sku": "a-1" }, false],
		[{ "data.items.2": { exists: true } }, false],
		[{ data: { exists: true } }, true],
		[{ type: "order.paid", key: "o_1", source: { prefix: "/" } }, true],
		[{ time: { gte: "2026-01-02", lt: "2026-01-03" } }, true],
		[{ subject: { exists: false } }, true],
		[{ "metadata.region": { in: ["eu", "us"] } }, true],
		[{ "metadata.total": 1000 }, false],
	];
	test.each(cases)("%j: %s", (where, expected) => {
		expect(passes(where)).toBe(expected);
	});

	test.each<[where: Where, expected: boolean]>([
		[{ "data.x": { exists: false } }, true],
		[{ "data.x": { ne: 1 } }, true],
		[{ "data.x": { nin: [1] } }, true],
		[{ "data.x": { exists: true } }, false],
		[{ "data.x": { eq: null } }, false],
		[{ "data.x": { in: [null] } }, false],
		[{ "data.x": { gt: "" } }, false],
		[{ "data.x": { gte: 0 } }, false],
		[{ "data.x": { lt: 1 } }, false],
		[{ "data.x": { lte: "z" } }, false],
		[{ "data.x": { prefix: "" } }, false],
		[{ "data.x": { suffix: "" } }, false],
		[{ "data.x": { ne: 1, gt: 0 } }, false],
		[{ not: { "data.x": 1 } }, true],
	])("on a value that is missing: %j: %s", (where, expected) => {
		expect(passes(where)).toBe(expected);
	});
});

describe("several conditions", () => {
	const [yes, no]: Where[] = [{ "data.total": 1000 }, { "data.total": 1 }];
	test.each<[where: Where, expected: boolean]>([
		[{ "data.total": 1000, "data.id": "o_1" }, true],
		[{ "data.total": 1000, "data.id": "o_2" }, false],
		[{ and: [yes!, yes!] }, true],
		[{ and: [yes!, no!] }, false],
		[{ or: [no!, yes!] }, true],
		[{ or: [no!, no!] }, false],
		[{ not: no! }, true],
		[{ not: yes! }, false],
		[{ not: { or: [no!, { not: yes! }] } }, true],
		[{ ...yes!, or: [no!] }, false],
		[{ ...yes!, and: [yes!], or: [no!, yes!], not: no! }, true],
	])("%j: %s", (where, expected) => {
		expect(passes(where)).toBe(expected);
	});
});

describe("texts are ordered by code point", () => {
	test.each([
		["a", "b"],
		["", "a"],
		["a", "aa"],
		["Z", "a"],
		["\uffff", "\u{1f600}"],
		["\u{1f600}", "\u{1f601}"],
		["x\u{1f600}b", "x\u{1f601}a"],
		["\ud83d\uffff", "\u{1f600}"],
		["\ud83d", "\u{1f600}"],
		["\ud83da", "\ud83db"],
	])("%j before %j", (less, more) => {
		expect(passes({ "data.t": { gt: less } }, { data: { t: more } })).toBe(true);
		expect(passes({ "data.t": { gte: less } }, { data: { t: more } })).toBe(true);
		expect(passes({ "data.t": { lt: less } }, { data: { t: more } })).toBe(false);
		expect(passes({ "data.t": { lt: more } }, { data: { t: less } })).toBe(true);
		expect(passes({ "data.t": { lte: less } }, { data: { t: less } })).toBe(true);
		expect(passes({ "data.t": { gt: less } }, { data: { t: less } })).toBe(false);
	});
});

describe("only own properties count", () => {
	test.each([
		"data.__proto__",
		"data.customer.__proto__.constructor",
		"data.customer.constructor",
		"data.customer.constructor.name",
		"data.customer.toString",
		"data.customer.hasOwnProperty",
		"data.items.length",
		"data.items.map",
		"data.id.length",
		"data.id.0",
		"data.total.toFixed",
		"data.note.x",
		"metadata.__proto__",
	] as const)("%s is missing", (path) => {
		expect(passes({ [path]: { exists: true } })).toBe(false);
		expect(passes({ [path]: { exists: false } })).toBe(true);
	});

	test("also where they are named as those of a prototype", () => {
		expect(passes({ "data.constructor": "Ferrari" })).toBe(true);
		const data: unknown = JSON.parse('{ "__proto__": { "polluted": 1 }, "length": 2 }');
		expect(passes({ "data.polluted": { exists: true } }, { data })).toBe(false);
		expect(passes({ "data.length": 2 }, { data })).toBe(true);
	});

	test("whatever the data is", () => {
		for (const data of [null, 1, "text", true, [], Object.create(null)]) {
			expect(passes({ "data.a.b": { exists: true } }, { data })).toBe(false);
			expect(passes({ "metadata.a": { exists: true } }, { metadata: data })).toBe(false);
		}
	});

	test("of a getter of Object.prototype nothing is seen", () => {
		Object.defineProperty(Object.prototype, "planted", { get: () => "x", configurable: true });
		try {
			expect(passes({ "data.planted": { exists: true } })).toBe(false);
		} finally {
			delete (Object.prototype as { planted?: unknown }).planted;
		}
	});
});

describe("compileWhere()", () => {
	test("does not look at the filter again", () => {
		const values = ["o_1"];
		const where = { "data.id": { in: values } };
		const filter = compileWhere(where);
		values.push("o_2");
		where["data.id"] = { in: [] };
		expect(filter(event)).toBe(true);
		expect(filter({ ...event, data: { id: "o_2" } })).toBe(false);
	});

	test("takes texts as they are, and no regular expression", () => {
		expect(passes({ "data.id": { prefix: ".*" } })).toBe(false);
		expect(passes({ "data.id": "o_." })).toBe(false);
	});

	test("throws for a filter that cannot work", () => {
		const error = thrownBy(() => compileWhere({ "data.total": { gtee: 1 } } as unknown as Where));
		expect(optionOf(error)).toBe("where.data.total.gtee");
		expect(error.message).toContain('did you mean "gte"?');
		expect(optionOf(thrownBy(() => compileWhere(undefined as unknown as Where)))).toBe("where");
	});
});
