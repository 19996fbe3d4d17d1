import { describe, expect, test } from "vitest";
import { fakeClock } from "./fake-clock.ts";

describe("advanceToNext()", () => {
	test("moves to the next timer, fires it alone and says so, until none is left", async () => {
		const clock = fakeClock({ now: 1_000 });
		const fired: [string, number][] = [];
		const set = (name: string, delayMs: number) =>
			clock.setTimeout(() => void fired.push([name, clock.now()]), delayMs);
		set("late", 3_600_000);
		set("soon", 50);
		set("soon too", 50);
		clock.clearTimeout(set("cleared", 10));
		for (const expected of [
			["soon", 1_050],
			["soon too", 1_050],
			["late", 3_601_000],
		]) {
			expect(await clock.advanceToNext()).toBe(true);
			expect(fired.at(-1)).toEqual(expected);
		}
		expect(fired).toHaveLength(3);
		expect(await clock.advanceToNext()).toBe(false);
		expect([clock.now(), clock.timers]).toEqual([3_601_000, 0]);
	});

	test("never moves back, for a timer without length", async () => {
		const clock = fakeClock({ now: 1_000 });
		clock.setTimeout(() => undefined, -5_000);
		expect(await clock.advanceToNext()).toBe(true);
		expect(clock.now()).toBe(1_000);
	});

	test("sees a timer that code which is ready sets, and lets run what the timer starts", async () => {
		const clock = fakeClock();
		const steps: string[] = [];
		void Promise.resolve().then(() =>
			clock.setTimeout(() => {
				steps.push("fired");
				setImmediate(() => steps.push("a turn later"));
			}, 1),
		);
		expect(await clock.advanceToNext()).toBe(true);
		expect(steps).toEqual(["fired", "a turn later"]);
	});
});
