import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileWhere, type FilteredEvent, type Where, whereSchema } from "../../src/webhook/index.ts";

const parameters = { seed: 20_261_129, numRuns: 5_000 };

/** What a filter means, written down as plainly as can be. */
function passesNaively(where: object, event: FilteredEvent): boolean {
	return Object.entries(where).every(([key, content]) => {
		if (key === "and") return content.every((each: object) => passesNaively(each, event));
		if (key === "or") return content.some((each: object) => passesNaively(each, event));
		if (key === "not") return !passesNaively(content, event);
		const found = findNaively(key.split("."), event);
		if (content === null || typeof content !== "object") return found.length === 1 && found[0] === content;
		return Object.entries(content).every(([operator, operand]) => holdsNaively(operator, operand, found));
	});
}

/** The value in a list, or an empty one. */
function findNaively(path: string[], from: unknown): unknown[] {
	const [name, ...rest] = path;
	if (name === undefined) return from === undefined ? [] : [from];
	if (from === null || typeof from !== "object") return [];
	const entry = Object.entries(from).find(([each]) => each === name);
	return entry === undefined ? [] : findNaively(rest, entry[1]);
}

function holdsNaively(
	operator: string,
	operand: unknown,
	[value, ...none]: unknown[],
	isThere = value !== undefined,
): boolean {
	expect(none).toEqual([]);
	const list = Array.isArray(operand) ? operand : [operand];
	if (operator === "exists") return isThere === operand;
	if (operator === "ne" || operator === "nin") return !isThere || !list.some((each) => each === value);
	if (!isThere) return false;
	if (operator === "eq" || operator === "in") return list.some((each) => each === value);
	if (operator === "prefix")
		return typeof value === "string" && value.slice(0, String(operand).length) === operand;
	if (operator === "suffix") {
		return (
			typeof value === "string" &&
			value.length >= String(operand).length &&
			value.slice(value.length - String(operand).length) === operand
		);
	}
	if (typeof value !== typeof operand || !["number", "string"].includes(typeof value)) return false;
	const order =
		typeof value === "number"
			? value - (operand as number)
			: orderNaively(codePoints(value as string), codePoints(operand as string));
	return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[operator as "gt"];
}

const codePoints = (text: string) => Array.from(text, (character) => character.codePointAt(0) as number);

function orderNaively([left, ...lefts]: number[], [right, ...rights]: number[]): number {
	if (left === undefined) return right === undefined ? 0 : -1;
	if (right === undefined) return 1;
	return left === right ? orderNaively(lefts, rights) : left - right;
}

// Few names and values, so that filters pass often.
const name = fc.constantFrom("a", "b", "0", "1", "__proto__", "constructor");
const text = fc.string({ unit: fc.constantFrom("a", "b", "\ud83d", "\ude00", "\uffff"), maxLength: 3 });
const scalar = fc.oneof(fc.constantFrom<unknown>(0, 1, -1.5, true, false, null, "", "a", "ab"), text);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
	json: fc.oneof(
		{ maxDepth: 3 },
		scalar,
		fc.array(tie("json"), { maxLength: 3 }),
		// As JSON.parse makes it: `__proto__` may be one of its own properties.
		fc.array(fc.tuple(name, tie("json")), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
	),
}));
const events: fc.Arbitrary<FilteredEvent> = fc.record({
	type: fc.constantFrom("a", "b"),
	key: fc.option(fc.constantFrom("a", "ab"), { nil: undefined }),
	source: fc.constant("/"),
	time: fc.constant("2026-01-01T00:00:00.000Z"),
	metadata: fc.constant({ a: 1 }),
	data: json,
});
const path = fc.oneof(
	{ arbitrary: fc.array(name, { maxLength: 3 }).map((names) => ["data", ...names].join(".")), weight: 5 },
	{ arbitrary: fc.constantFrom("type", "key", "subject", "metadata.a"), weight: 1 },
);
const ordered = fc.oneof(fc.constantFrom<unknown>(0, 1, -1.5, "a"), text);
const condition = fc.oneof(
	scalar,
	fc
		.record(
			{
				...{ eq: scalar, ne: scalar, gt: ordered, gte: ordered, lt: ordered, lte: ordered },
				...{ in: fc.array(scalar, { maxLength: 3 }), nin: fc.array(scalar, { maxLength: 3 }) },
				...{ prefix: text, suffix: text, exists: fc.boolean() },
			},
			{ requiredKeys: [] },
		)
		.map((all) => Object.fromEntries(Object.entries(all).slice(0, 2)))
		.filter((all) => Object.keys(all).length > 0),
);
const { where } = fc.letrec<{ where: object }>((tie) => ({
	where: fc.oneof(
		{ maxDepth: 3, withCrossShrink: true },
		fc.dictionary(path, condition, { minKeys: 1, maxKeys: 2 }),
		fc.record({ not: tie("where") }),
		fc.record({ and: fc.array(tie("where"), { minLength: 1, maxLength: 3 }) }),
		fc
			.tuple(fc.array(tie("where"), { minLength: 1, maxLength: 3 }), path, condition)
			.map(([or, key, value]) => ({ or, [key]: value })),
	),
}));

describe("content filters", () => {
	test("pass what a naive interpreter passes", () => {
		let passed = 0;
		fc.assert(
			fc.property(where, events, (filter, event) => {
				const expected = passesNaively(filter, event);
				if (expected) passed++;
				expect(compileWhere(filter as Where)(event)).toBe(expected);
			}),
			parameters,
		);
		expect(passed, "both answers are tried often").toBeGreaterThan(parameters.numRuns / 10);
		expect(passed).toBeLessThan(parameters.numRuns * 0.9);
	});

	test("mean the same behind JSON, as a store keeps them", () => {
		fc.assert(
			fc.property(where, (filter) => {
				const read = whereSchema.parse(filter);
				expect(whereSchema.parse(JSON.parse(JSON.stringify(read)))).toStrictEqual(read);
			}),
			{ ...parameters, numRuns: 1_000 },
		);
	});

	test("are read or refused, whatever is given", () => {
		fc.assert(
			fc.property(fc.anything({ withNullPrototype: true, withMap: true, withDate: true }), (anything) => {
				const { success, error } = whereSchema.safeParse(anything);
				expect(success || error!.issues.length > 0).toBe(true);
			}),
			parameters,
		);
	});
});
