import { describe, expect, test, vi } from "vitest";
import { createUnsubscribe } from "./subscription.ts";

describe("createUnsubscribe()", () => {
	test("ends once, whether it is called or disposed", () => {
		const end = vi.fn();
		const unsubscribe = createUnsubscribe(end);
		expect(end).not.toHaveBeenCalled();
		unsubscribe[Symbol.dispose]();
		unsubscribe();
		unsubscribe[Symbol.dispose]();
		expect(end).toHaveBeenCalledTimes(1);
	});

	test("is over before it ends, so that an end that calls it again does not loop", () => {
		const end = vi.fn(() => unsubscribe());
		const unsubscribe = createUnsubscribe(end);
		unsubscribe();
		expect(end).toHaveBeenCalledTimes(1);
	});
});
