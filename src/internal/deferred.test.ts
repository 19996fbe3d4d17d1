import { describe, expect, test } from "vitest";
import { createDeferred, isThenable } from "./deferred.ts";

describe("createDeferred()", () => {
	test("resolves or rejects its promise from outside, once", async () => {
		const good = createDeferred<number>();
		good.resolve(1);
		good.reject(new Error("too late"));
		expect(await good.promise).toBe(1);
		const bad = createDeferred<number>();
		bad.reject(new Error("broken"));
		await expect(bad.promise).rejects.toThrow("broken");
	});
});

describe("isThenable()", () => {
	test("takes promises and whatever else has a function `then`", () => {
		// biome-ignore lint/suspicious/noThenProperty: foreign thenables are what is tested.
		const [foreign, broken] = [{ then: () => undefined }, { then: 1 }];
		for (const value of [Promise.resolve(), foreign]) expect(isThenable(value)).toBe(true);
		for (const value of [undefined, null, 0, "text", {}, broken, () => undefined]) {
			expect(isThenable(value)).toBe(false);
		}
	});
});
