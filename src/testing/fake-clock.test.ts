import { describe, expect, test } from "vitest";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
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

describe("fakeClock()", () => {
	test.each([
		"2026-13-45",
		"2026-01-01T00:00:00Z",
		Number.NaN,
		Number.POSITIVE_INFINITY,
		new Date(Number.NaN),
		null,
	])("refuses to start at %s", (now) => {
		expect(optionOf(() => fakeClock({ now: now as never }))).toBe("now");
	});

	test("refuses an option it does not know", () => {
		expect(optionOf(() => fakeClock({ start: 5 } as never))).toBe("fakeClock.start");
	});

	test("starts at the beginning of 2026, or where it is told to", () => {
		expect(fakeClock().now()).toBe(Date.UTC(2026, 0, 1));
		expect(fakeClock({ now: new Date(7) }).now()).toBe(7);
	});
});

describe("advance()", () => {
	test.each([undefined, Number.NaN, -1, Number.POSITIVE_INFINITY, "5", null])(
		"refuses %s, and stays where it is",
		async (ms) => {
			const clock = fakeClock({ now: 1_000 });
			expect(optionOf(await rejectionOf(clock.advance(ms as number)))).toBe("ms");
			expect(clock.now()).toBe(1_000);
		},
	);

	test("twice at once moves one after the other, as does advanceToNext()", async () => {
		const clock = fakeClock({ now: 0 });
		const fired: number[] = [];
		for (const delayMs of [50, 150, 250]) clock.setTimeout(() => void fired.push(clock.now()), delayMs);
		await Promise.all([clock.advance(100), clock.advance(100), clock.advanceToNext()]);
		expect(clock.now()).toBe(250);
		expect(fired).toEqual([50, 150, 250]);
	});

	test("goes on behind a timer that threw", async () => {
		const clock = fakeClock({ now: 0 });
		const broken = new Error("broken");
		clock.setTimeout(() => {
			throw broken;
		}, 1);
		await expect(clock.advance(10)).rejects.toBe(broken);
		await clock.advance(10);
		expect(clock.now()).toBe(11);
	});
});
