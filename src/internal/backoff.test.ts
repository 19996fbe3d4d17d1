import { describe, expect, test } from "vitest";
import { backoffDelayMs } from "./backoff.ts";

const plain = { minDelayMs: 200, maxDelayMs: 30_000, factor: 2, jitter: false };

describe("backoffDelayMs()", () => {
	test("begins with minDelayMs, grows by factor and stops at maxDelayMs", () => {
		const delays = [1, 2, 3, 8, 9, 10, 1_000].map((retry) => backoffDelayMs(plain, retry, 0.5));
		expect(delays).toEqual([200, 400, 800, 25_600, 30_000, 30_000, 30_000]);
	});

	test("stays the same with factor 1", () => {
		expect(backoffDelayMs({ ...plain, factor: 1 }, 50, 0)).toBe(200);
	});

	test("with jitter is drawn evenly from zero up to the full delay", () => {
		const delays = [0, 0.25, 0.999].map((random) => backoffDelayMs({ ...plain, jitter: true }, 2, random));
		expect(delays).toEqual([0, 100, 399.6]);
	});

	test("is a number after thousands of retries, also from zero", () => {
		expect(backoffDelayMs(plain, 5_000, 0)).toBe(30_000);
		expect(backoffDelayMs({ ...plain, minDelayMs: 0 }, 5_000, 0)).toBe(0);
	});
});
