import { describe, expect, test } from "vitest";
import { isCallhookError } from "../errors.ts";
import {
	checkDelayMs,
	checkFunction,
	checkNumber,
	checkOptions,
	describe as describeValue,
} from "./options.ts";

function refusal(check: () => void): string | undefined {
	try {
		check();
		return undefined;
	} catch (error) {
		if (isCallhookError(error, "ERR_CALLHOOK_INVALID_OPTION")) return error.message;
		throw error;
	}
}

describe("describe()", () => {
	test.each([
		[undefined, "undefined"],
		[null, "null"],
		["text", '"text"'],
		["x".repeat(60), `"${"x".repeat(60)}"`],
		["x".repeat(61), "a string of 61 characters"],
		[1.5, "number 1.5"],
		[Number.NaN, "number NaN"],
		[true, "boolean true"],
		[10n, "bigint 10"],
		[[1, 2], "an array"],
		[{}, "an object"],
		[() => undefined, "a function"],
		[Symbol("s"), "a symbol"],
	])("%s is told as %s", (value, text) => {
		expect(describeValue(value)).toBe(text);
	});
});

describe("checkNumber()", () => {
	test("passes undefined and what is within the bounds, the bounds included", () => {
		for (const value of [undefined, 1, 2, 3]) {
			expect(refusal(() => checkNumber("n", value, { min: 1, max: 3 }))).toBeUndefined();
		}
		expect(refusal(() => checkNumber("n", 1.5, { min: 1, integer: false }))).toBeUndefined();
		expect(refusal(() => checkNumber("n", Number.POSITIVE_INFINITY, { min: 1, infinity: true }))).toBe(
			undefined,
		);
	});

	test("refuses everything else, saying what was expected", () => {
		for (const value of [0, 4, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "2", 2n, null, {}, [2]]) {
			const message = refusal(() => checkNumber("n", value, { min: 1, max: 3 }));
			expect(message).toBe(`Option "n" must be a whole number from 1 to 3, but got ${describeValue(value)}`);
		}
		expect(refusal(() => checkNumber("n", 0, { min: 1, infinity: true }))).toContain(
			"a whole number of at least 1, or Infinity",
		);
		expect(refusal(() => checkNumber("n", 0.5, { min: 1, integer: false }))).toContain(
			"a number of at least 1,",
		);
		for (const value of [Number.POSITIVE_INFINITY, 2 ** 53]) {
			expect(refusal(() => checkNumber("n", value, { min: 1, integer: false }))).toBeDefined();
		}
	});
});

describe("checkDelayMs()", () => {
	test("takes what a timer can hold", () => {
		for (const value of [undefined, 0, 0.5, 2 ** 31 - 1]) {
			expect(refusal(() => checkDelayMs("d", value))).toBeUndefined();
		}
		for (const value of [-1, 2 ** 31, Number.POSITIVE_INFINITY, Number.NaN, "5"]) {
			expect(refusal(() => checkDelayMs("d", value))).toContain("a number from 0 to 2147483647");
		}
		expect(refusal(() => checkDelayMs("d", 0, 1))).toContain("a number from 1 to 2147483647");
	});
});

describe("checkFunction()", () => {
	test("passes undefined and functions, refuses the rest", () => {
		for (const value of [undefined, () => undefined, class {}]) {
			expect(refusal(() => checkFunction("f", value))).toBeUndefined();
		}
		for (const value of [null, {}, "f"]) {
			expect(refusal(() => checkFunction("f", value))).toContain('"f" must be a function');
		}
	});
});

describe("checkOptions()", () => {
	test("passes undefined and objects with known keys only", () => {
		const inherited: unknown = Object.create({ b: 2 });
		for (const value of [undefined, {}, { a: 1 }, { a: undefined, b: 2 }, inherited]) {
			expect(refusal(() => checkOptions("o", value, ["a", "b"]))).toBeUndefined();
		}
		for (const value of [null, "text", 7, [], () => undefined, new Map()]) {
			expect(refusal(() => checkOptions("o", value, ["a", "b"]))).toContain('"o" must be a plain object');
		}
		expect(refusal(() => checkOptions("o", { a: 1, third: undefined }, ["a", "b"]))).toBe(
			'o has no option "third"; it takes a, b',
		);
	});
});
