import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keepHeaders } from "./kept-headers.ts";

describe("keepHeaders()", () => {
	test("leaves cookies out", () => {
		const headers = {
			"content-type": "text/plain",
			"set-cookie": "a=b",
			"set-cookie2": "c=d",
			"x-empty": "",
		};
		expect(keepHeaders(headers)).toEqual({ "content-type": "text/plain", "x-empty": "" });
	});

	test("does not copy what is kept whole", () => {
		const headers = { "content-type": "text/plain", "x-empty": "" };
		expect(keepHeaders(headers)).toBe(headers);
	});

	test("leaves out what no longer fits, to the byte, and keeps what still does", () => {
		expect(keepHeaders({ a: "x".repeat(8_191), b: "1" })).toEqual({ a: "x".repeat(8_191) });
		expect(keepHeaders({ a: "x".repeat(8_192), b: "1" })).toEqual({ b: "1" });
		expect(keepHeaders({ a: "x".repeat(8_189), b: "1" })).toHaveProperty("b", "1");
		expect(keepHeaders({ a: "é".repeat(4_096), b: "1" })).toEqual({ b: "1" });
	});

	test("keeps at most 8 KiB of anything, under any name", () => {
		fc.assert(
			fc.property(fc.array(fc.tuple(fc.string(), fc.string({ maxLength: 3_000 }))), (entries) => {
				const kept = Object.entries(keepHeaders(Object.fromEntries([...entries, ["__proto__", "x"]])));
				const bytes = kept.reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0);
				expect(bytes).toBeLessThanOrEqual(8_192);
			}),
		);
		expect(Object.entries(keepHeaders(Object.fromEntries([["__proto__", "x"]])))).toEqual([
			["__proto__", "x"],
		]);
	});
});
