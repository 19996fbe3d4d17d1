import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/index.ts";
import { createLanes } from "./lanes.ts";
import type { LaneJob } from "./lanes-options.ts";
import { createPace } from "./pace.ts";

/** A clock whose time the test sets, backwards too. */
function settableClock() {
	const clock = { ...fakeClock(), nowMs: 1_000_000, now: () => clock.nowMs };
	return clock;
}

describe("a pace", () => {
	test("lets so many start at once and the next when the first of them is perMs old", async () => {
		const clock = fakeClock();
		const pace = createPace({ count: 2, perMs: 1_000 }, clock);
		expect(pace.waitMs()).toBe(0);
		pace.take();
		await clock.advance(300);
		expect(pace.waitMs()).toBe(0);
		pace.take();
		expect(pace.waitMs()).toBe(700);
		await clock.advance(699);
		expect(pace.waitMs()).toBe(1);
		await clock.advance(1);
		expect(pace.waitMs()).toBe(0);
		pace.take();
		expect(pace.waitMs()).toBe(300);
	});

	test("is a window that slides: no two halves of fixed ones make more than count", async () => {
		const clock = fakeClock();
		const pace = createPace({ count: 3, perMs: 100 }, clock);
		const starts: number[] = [];
		for (let ms = 0; ms < 1_000; ms += 7) {
			while (pace.waitMs() === 0) {
				pace.take();
				starts.push(ms);
			}
			await clock.advance(7);
		}
		for (const from of starts)
			expect(starts.filter((ms) => ms >= from && ms < from + 100).length).toBeLessThanOrEqual(3);
		expect(starts.length).toBeGreaterThanOrEqual(3 * Math.floor(1_000 / 105));
	});

	test("asked often counts nothing: only take() does", () => {
		const pace = createPace({ count: 1, perMs: 1_000 }, fakeClock());
		for (let asked = 0; asked < 5; asked++) expect(pace.waitMs()).toBe(0);
	});

	test("forgets starts in the future when the clock was set back", () => {
		const clock = settableClock();
		const pace = createPace({ count: 1, perMs: 1_000 }, clock);
		pace.take();
		clock.nowMs -= 60_000;
		expect(pace.waitMs()).toBe(0);
		pace.take();
		expect(pace.waitMs(), "what starts then counts again").toBe(1_000);
	});

	test("waits no longer than perMs when the clock was set back a little", () => {
		const clock = settableClock();
		const pace = createPace({ count: 2, perMs: 1_000 }, clock);
		pace.take();
		clock.nowMs += 100;
		pace.take();
		clock.nowMs -= 50;
		expect(pace.waitMs()).toBe(950);
	});
});

describe("lanes with a rate limit", () => {
	interface Job extends LaneJob {
		readonly name: string;
	}

	function setup(concurrency: number, again?: (name: string) => number | undefined) {
		const clock = fakeClock();
		const startMs = clock.now();
		const starts: [name: string, ms: number][] = [];
		const lanes = createLanes<Job>({
			...{ concurrency, clock, rateLimit: { count: 2, perMs: 100 } },
			run({ name }) {
				starts.push([name, clock.now() - startMs]);
				return again?.(name);
			},
		});
		const push = (...names: string[]) => {
			for (const name of names) lanes.push({ name, lane: undefined });
		};
		return { clock, lanes, starts, push };
	}
	const limits = [1, 4, Number.POSITIVE_INFINITY];

	test.each(limits)("start as fast as it lets them, in their order (concurrency %s)", async (concurrency) => {
		const { clock, lanes, starts, push } = setup(concurrency);
		push("a", "b", "c", "d", "e");
		await clock.advance(0);
		expect(starts).toHaveLength(2);
		await clock.advance(60);
		push("f");
		await clock.advance(39);
		expect(starts).toHaveLength(2);
		await clock.advance(1_000);
		expect(starts).toEqual([
			...[["a", 0] as const, ["b", 0] as const, ["c", 100] as const, ["d", 100] as const],
			...[["e", 200] as const, ["f", 200] as const],
		]);
		await lanes.idle();
		expect(clock.timers).toBe(0);
	});

	test("count a job that runs again each time", async () => {
		let left = 2;
		const { clock, starts, push } = setup(4, (name) => (name === "a" && left-- > 0 ? 1 : undefined));
		push("a", "b");
		await clock.advance(1_000);
		expect(starts).toEqual([
			["a", 0],
			["b", 0],
			["a", 100],
			["a", 101],
		]);
	});

	test("that are paused meanwhile start when they are resumed, not before", async () => {
		const { clock, lanes, starts, push } = setup(1);
		push("a", "b", "c");
		await clock.advance(50);
		lanes.pause();
		await clock.advance(500);
		expect(starts).toHaveLength(2);
		lanes.resume();
		await clock.advance(0);
		expect(starts.at(-1)).toEqual(["c", 550]);
	});

	test("that are cleared leave no timer and keep to the limit afterwards", async () => {
		const { clock, lanes, starts, push } = setup(1);
		push("a", "b", "c");
		await clock.advance(0);
		expect(lanes.clear()).toHaveLength(1);
		expect(clock.timers).toBe(0);
		push("d");
		await clock.advance(99);
		expect(starts).toHaveLength(2);
		await clock.advance(1);
		expect(starts.at(-1)).toEqual(["d", 100]);
	});
});
