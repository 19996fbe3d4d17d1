import { afterEach, describe, expect, test, vi } from "vitest";
import { createId } from "./id.ts";

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The time an id holds: its first 48 bits. */
function timeOf(id: string): number {
	const hex = id.slice(id.indexOf("_") + 1).replaceAll("-", "");
	return Number.parseInt(hex.slice(0, 12), 16);
}

describe("createId()", () => {
	afterEach(() => {
		vi.restoreAllMocks();
	});

	test("is its prefix and a UUID version 7 of now", () => {
		vi.spyOn(Date, "now").mockReturnValue(Date.now() + 60_000);
		for (const prefix of ["evt", "dlv", "ep"] as const) {
			const id = createId(prefix);
			expect(id.slice(0, prefix.length + 1)).toBe(`${prefix}_`);
			expect(id.slice(prefix.length + 1)).toMatch(uuid7);
			expect(timeOf(id)).toBe(Date.now());
		}
	});

	test("never comes twice, and ids sort by the order they were made in, within a millisecond too", () => {
		vi.spyOn(Date, "now").mockReturnValue(Date.now() + 120_000);
		const ids = Array.from({ length: 5_000 }, () => createId("evt"));
		expect(new Set(ids).size).toBe(5_000);
		expect(ids.toSorted()).toEqual(ids);
	});

	test("ids sort by the order they were made in when the clock goes on and when it is set back", () => {
		const start = Date.now() + 180_000;
		const now = vi.spyOn(Date, "now");
		const ids = [0, 1, 1, 2, 1_000, 999, -50_000, 1_000, 1_001].map((ms) => {
			now.mockReturnValue(start + ms);
			return createId("evt");
		});
		expect(ids.toSorted()).toEqual(ids);
		expect(timeOf(ids[8]!)).toBe(start + 1_001);
	});

	test("differs in its random part, however many are made", () => {
		vi.spyOn(Date, "now").mockReturnValue(Date.now() + 240_000);
		const tails = Array.from({ length: 1_000 }, () => createId("evt").slice(-10));
		expect(new Set(tails).size).toBe(1_000);
	});
});
