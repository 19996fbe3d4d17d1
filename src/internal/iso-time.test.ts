import { describe, expect, test } from "vitest";
import { optionOf } from "../../test/support/thrown.ts";
import { parseTime } from "./iso-time.ts";
import { readTime } from "./options.ts";

const bad = [
	...["", "soon", "2026", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00Z", "26-01-01T00:00:00Z"],
	...["2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-04-31T00:00:00+02:00", "2026-13-01T00:00:00Z"],
	...["2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00+0200"],
	...[" 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z!", "+002026-01-01T00:00:00Z", "2026-01-01 00:00:00Z"],
	...["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"],
];

describe("parseTime()", () => {
	test.each([
		["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"],
		["2026-01-01t00:00:00z", "2026-01-01T00:00:00.000Z"],
		["2024-02-29T23:59:59.25+02:00", "2024-02-29T21:59:59.250Z"],
		["2026-01-01T00:30:00-01:00", "2026-01-01T01:30:00.000Z"],
		["2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123Z"],
		["0000-01-01T00:01:00+00:01", "0000-01-01T00:00:00.000Z"],
		["9999-12-31T23:58:59.999-00:01", "9999-12-31T23:59:59.999Z"],
	])("reads %s", (text, expected) => {
		expect(new Date(parseTime(text)).toISOString()).toBe(expected);
	});

	test.each(bad)("refuses %j", (text) => {
		expect(parseTime(text)).toBeNaN();
	});
});

test.each([...bad, new Date(Number.NaN), 7, null])("readTime() - refuses %j", (time) => {
	expect(optionOf(() => readTime("since", time as string))).toBe("since");
});
