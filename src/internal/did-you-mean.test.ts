import { describe, expect, test } from "vitest";
import { didYouMean } from "./did-you-mean.ts";

describe("didYouMean()", () => {
	const names = ["key", "timeoutMs", "order.paid", "order.shipped", "onError"];

	test.each([
		["order.payd", "order.paid"],
		["ordr.shiped", "order.shipped"],
		["Order.Paid", "order.paid"],
		["onEror", "onError"],
		["timeout", "timeoutMs"],
		["kee", "key"],
		["keys", "key"],
		["ky", "key"],
	])("finds for %s the name %s", (name, expected) => {
		expect(didYouMean(name, names)).toBe(`; did you mean "${expected}"?`);
	});

	test.each(["by", "user.created", "", "x".repeat(1_000_000)])("finds none for %.20s", (name) => {
		expect(didYouMean(name, names)).toBe("");
	});

	test("takes the nearest, and of equally near ones the first", () => {
		expect(didYouMean("abcdef", ["abcxyf", "abcdex"])).toContain('"abcdex"');
		expect(didYouMean("abc", ["abd", "abe"])).toContain('"abd"');
	});
});
