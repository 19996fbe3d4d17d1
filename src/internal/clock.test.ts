import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";

describe("systemClock", () => {
	beforeEach(() => {
		vi.useFakeTimers({ now: 1_000_000 });
	});
	afterEach(() => {
		vi.useRealTimers();
	});

	test("reads the time and sets timers of the machine", () => {
		const callback = vi.fn();
		expect(systemClock.now()).toBe(1_000_000);
		systemClock.setTimeout(callback, 500);
		vi.advanceTimersByTime(499);
		expect(callback).not.toHaveBeenCalled();
		vi.advanceTimersByTime(1);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(systemClock.now()).toBe(1_000_500);
	});

	test("clears a timer, and nothing when there is none", () => {
		const callback = vi.fn();
		systemClock.clearTimeout(systemClock.setTimeout(callback, 500));
		systemClock.clearTimeout(undefined);
		vi.advanceTimersByTime(1_000);
		expect(callback).not.toHaveBeenCalled();
	});

	test("cuts a delay that timers cannot hold, instead of firing at once", () => {
		const set = vi.spyOn(globalThis, "setTimeout");
		systemClock.setTimeout(() => undefined, 10 * 2 ** 31);
		expect(set.mock.calls[0]?.[1]).toBe(2 ** 31 - 1);
	});
});
