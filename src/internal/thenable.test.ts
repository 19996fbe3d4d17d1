import { describe, expect, test, vi } from "vitest";
import { optionOf } from "../../test/support/thrown.ts";
import { checkSynchronous, whenSettled } from "./thenable.ts";

const throwing = (): never => {
	throw new Error("hostile");
};

describe("whenSettled()", () => {
	test("tells the value or the error, later", async () => {
		const told: unknown[] = [];
		for (const promise of [Promise.resolve("value"), Promise.reject("error")]) {
			whenSettled(
				promise,
				(value) => told.push(["value", value]),
				(error) => told.push(["error", error]),
			);
		}
		expect(told).toEqual([]);
		await Promise.resolve();
		expect(told).toEqual([
			["value", "value"],
			["error", "error"],
		]);
	});

	test("tells once what a promise that cannot be read comes to, later", async () => {
		const [onValue, onError] = [vi.fn(), vi.fn()];
		whenSettled(Object.defineProperty(Promise.resolve(), "constructor", { get: throwing }), onValue, onError);
		expect(onError).not.toHaveBeenCalled();
		await Promise.resolve();
		expect(onError).toHaveBeenCalledTimes(1);
		expect(onValue).not.toHaveBeenCalled();
	});

	test("does not call a promise's own `then`", async () => {
		const onValue = vi.fn();
		// biome-ignore lint/suspicious/noThenProperty: it is about promises
		whenSettled(Object.assign(Promise.resolve(7), { then: throwing }), onValue, throwing);
		await Promise.resolve();
		expect(onValue).toHaveBeenCalledExactlyOnceWith(7);
	});
});

describe("checkSynchronous()", () => {
	test.each([undefined, null, false, "text", { value: 1 }])("lets %o through", (answer) => {
		expect(checkSynchronous("where", answer)).toBe(answer);
	});

	test("refuses a promise, and its rejection hurts nobody", async () => {
		const unhandled = vi.fn();
		process.on("unhandledRejection", unhandled);
		expect(optionOf(() => checkSynchronous("where", Promise.reject(new Error("late"))))).toBe("where");
		await new Promise((resolve) => setTimeout(resolve, 5));
		process.off("unhandledRejection", unhandled);
		expect(unhandled).not.toHaveBeenCalled();
	});
});
