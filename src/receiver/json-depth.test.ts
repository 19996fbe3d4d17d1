import fc from "fast-check";
import { expect, test } from "vitest";
import { isDeeperThan } from "./json-depth.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function depthOf(value: unknown): number {
	if (typeof value !== "object" || value === null) return 0;
	return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("counts what a parser finds, whatever stands in the strings", () => {
	const text = fc.oneof(fc.string(), fc.constantFrom('"', "\\", '\\"', "[[[", "}", "é]"));
	const { value } = fc.letrec((tie) => ({
		value: fc.oneof(
			{ maxDepth: 6 },
			text,
			fc.constant(null),
			fc.array(tie("value"), { maxLength: 3 }),
			fc.dictionary(text, tie("value"), { maxKeys: 3 }),
		),
	}));
	fc.assert(
		fc.property(value, fc.boolean(), (given, isIndented) => {
			const json = JSON.stringify(given, undefined, isIndented ? 2 : undefined);
			const depth = depthOf(JSON.parse(json));
			expect(isDeeperThan(bytes(json), depth)).toBe(false);
			if (depth > 0) expect(isDeeperThan(bytes(json), depth - 1)).toBe(true);
		}),
	);
});
