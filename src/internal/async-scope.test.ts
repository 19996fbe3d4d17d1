import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openAsyncScope } from "./async-scope.ts";

describe("openAsyncScope()", () => {
	afterEach(() => {
		vi.unstubAllGlobals();
		vi.resetModules();
	});

	test("runs a function in the context in which it was opened, any number of times", () => {
		const storage = new AsyncLocalStorage<string>();
		const scope = storage.run("inside", openAsyncScope);
		const read = (...args: unknown[]) => [storage.getStore(), ...args];
		for (let round = 0; round < 2; round++) {
			expect(storage.run("another", () => scope.runInAsyncScope(read, undefined, 1, 2))).toEqual([
				"inside",
				1,
				2,
			]);
		}
		expect(storage.getStore()).toBeUndefined();
	});

	test("only calls the function where the runtime has no such contexts", async () => {
		for (const process of [undefined, {}, { getBuiltinModule: () => undefined }]) {
			vi.stubGlobal("process", process);
			vi.resetModules();
			const module = await import("./async-scope.ts");
			vi.unstubAllGlobals();
			expect(module.openAsyncScope().runInAsyncScope((a: number, b: number) => a + b, undefined, 1, 2)).toBe(
				3,
			);
		}
	});
});
