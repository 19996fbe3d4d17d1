import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBus } from "../../src/bus/index.ts";
import { createPattern, isEventType } from "../../src/event/index.ts";

const parameters = { seed: 20_260_102, numRuns: 5_000 };

/** What the patterns mean, written down as plainly as can be. */
function matchesNaively(pattern: readonly string[], type: readonly string[]): boolean {
	const [head, ...rest] = pattern;
	if (head === undefined) return type.length === 0;
	if (head === "**") {
		return type.some((_, index) => matchesNaively(rest, type.slice(index))) || matchesNaively(rest, []);
	}
	return type.length > 0 && (head === "*" || head === type[0]) && matchesNaively(rest, type.slice(1));
}

// Few names, so that patterns match often.
const name = fc.constantFrom("a", "b", "order", "9-_");
const types = fc.array(name, { minLength: 1, maxLength: 7 });
const patterns = fc.array(fc.oneof(name, fc.constantFrom("*", "**", "**")), { minLength: 1, maxLength: 7 });

describe("patterns", () => {
	test("match as a naive recursive matcher does", () => {
		let matches = 0;
		fc.assert(
			fc.property(patterns, types, (pattern, type) => {
				const expected = matchesNaively(pattern, type);
				if (expected) matches++;
				expect(createPattern(pattern.join("."), "test").matches(type.join("."))).toBe(expected);
			}),
			parameters,
		);
		expect(matches, "both answers are tried often").toBeGreaterThan(parameters.numRuns / 10);
		expect(matches).toBeLessThan(parameters.numRuns * 0.9);
	});

	test("route events on a bus as a naive recursive matcher does, whenever they are registered", () => {
		fc.assert(
			fc.property(
				fc.array(patterns, { maxLength: 12 }),
				fc.array(types, { maxLength: 6 }),
				(all, emitted) => {
					const bus = createBus();
					const seen: number[] = [];
					const half = all.length / 2;
					for (const [index, pattern] of all.entries()) {
						// The first half before any emit, the rest after the first emit of each type.
						if (index === Math.ceil(half)) for (const type of emitted) bus.emit(type.join("."), 0);
						bus.on(pattern.join("."), () => void seen.push(index));
					}
					for (const type of emitted) {
						seen.length = 0;
						bus.emit(type.join("."), 0);
						expect(seen).toEqual([...all.keys()].filter((index) => matchesNaively(all[index]!, type)));
					}
				},
			),
			{ ...parameters, numRuns: 500 },
		);
	});

	test("and event types are read or refused, whatever the text", () => {
		fc.assert(
			fc.property(
				fc.string({ unit: fc.constantFrom("a", "Z", "_", "-", "0", ".", "*", " ", "é"), minLength: 1 }),
				(text) => {
					const segments = text.split(".");
					const isNamed = (segment: string) => /^[A-Za-z0-9_-]+$/.test(segment);
					const isGood = segments.every((segment) => segment === "*" || segment === "**" || isNamed(segment));
					const read = () => createPattern(text, "test");
					if (isGood) expect(read().text).toBe(text);
					else expect(read).toThrow(expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_PATTERN" }));
					expect(isEventType(text)).toBe(segments.every(isNamed));
				},
			),
			parameters,
		);
	});
});
