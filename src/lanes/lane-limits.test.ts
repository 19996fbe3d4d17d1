import { describe, expect, test } from "vitest";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createGate } from "./gate.ts";
import { createLanes } from "./lanes.ts";
import type { LaneJob, LanesOptions, RunVerdict, SlowJobs } from "./lanes-options.ts";

interface Job extends LaneJob {
	readonly name: string;
}

/** Lanes whose runs end when the test says so. */
function setup(options: Partial<LanesOptions<Job>> = {}, clock = fakeClock()) {
	const runs = new Map<string, Deferred<RunVerdict>>();
	const started: string[] = [];
	const lanes = createLanes<Job>({
		concurrency: 1,
		clock,
		...options,
		run({ name }) {
			started.push(name);
			const done = createDeferred<RunVerdict>();
			runs.set(name, done);
			return done.promise;
		},
	});
	return {
		...{ clock, lanes, started },
		async push(...names: string[]) {
			for (const name of names) lanes.push({ name, lane: undefined });
			await clock.advance(0);
		},
		async end(name: string) {
			runs.get(name)?.resolve(undefined);
			await clock.advance(0);
		},
	};
}

/** Counts what is slow, up to a limit. */
function countSlow(limit = Number.POSITIVE_INFINITY) {
	const slow: SlowJobs & { count: number } = {
		count: 0,
		afterMs: 1_000,
		begin() {
			if (slow.count >= limit) return false;
			slow.count++;
			return true;
		},
		end() {
			slow.count--;
		},
	};
	return slow;
}

describe("a slow job", () => {
	test("gives its place in the shared ceiling away, and none in its own lanes", async () => {
		const clock = fakeClock();
		const gate = createGate(1);
		const slow = countSlow();
		const hung = ["h1", "h2"].map((name) => ({ name, ...setup({ gate, slow }, clock) }));
		const good = setup({ gate, slow }, clock);
		for (const { name, push } of hung) await push(name, `${name} again`);
		await good.push("g1");
		const started = () => [...hung, good].flatMap((each) => each.started);
		await clock.advance(999);
		expect(started()).toEqual(["h1"]);
		await clock.advance(1);
		// In turn: the second of the hanging ones asked first.
		expect(started()).toEqual(["h1", "h2"]);
		await clock.advance(1_000);
		expect(started()).toEqual(["h1", "h2", "g1"]);
		expect(slow.count).toBe(2);
		await good.end("g1");
		await good.push("g2");
		expect(good.started).toEqual(["g1", "g2"]);
		await good.end("g2");
		for (const { name, end } of hung) await end(name);
		expect(slow.count).toBe(0);
		for (const { name, started: all, end } of hung) {
			expect(all).toEqual([name, `${name} again`].slice(0, all.length));
			await end(`${name} again`);
			await end(`${name} again`);
		}
		await Promise.all([...hung, good].map(({ lanes }) => lanes.idle()));
		expect([gate.pending, gate.size, clock.timers]).toEqual([0, 0, 0]);
	});

	test("leaves no timer where it ends in time", async () => {
		const slow = countSlow();
		const { clock, push, end } = setup({ slow });
		await push("a");
		await clock.advance(999);
		await end("a");
		expect([slow.count, clock.timers]).toEqual([0, 0]);
	});

	test("that may not give its place away asks again", async () => {
		const clock = fakeClock();
		const gate = createGate(1);
		const slow = countSlow(1);
		const make = () => setup({ gate, slow }, clock);
		const [first, second, third] = [make(), make(), make()];
		await first.push("a");
		await second.push("b");
		await third.push("c");
		await clock.advance(5_000);
		expect([first, second, third].flatMap(({ started }) => started)).toEqual(["a", "b"]);
		await first.end("a");
		await clock.advance(1_000);
		expect(third.started).toEqual(["c"]);
		await second.end("b");
		await third.end("c");
		expect([slow.count, clock.timers]).toEqual([0, 0]);
	});

	test("takes its turn for a new place once it has ended, and never makes more run than may", async () => {
		const clock = fakeClock();
		const gate = createGate(2);
		const slow = countSlow();
		const lanes = setup({ gate, slow, concurrency: 2 }, clock);
		await lanes.push("a", "b", "c", "d", "e");
		await clock.advance(1_000);
		expect(lanes.started).toEqual(["a", "b"]);
		await lanes.end("a");
		expect(lanes.started).toEqual(["a", "b", "c"]);
		expect(lanes.lanes.running).toBe(2);
		for (const name of ["b", "c", "d", "e"]) {
			await lanes.end(name);
			expect(lanes.lanes.running).toBeLessThanOrEqual(2);
		}
		expect(lanes.started).toHaveLength(5);
		expect([gate.pending, gate.size, slow.count, clock.timers]).toEqual([0, 0, 0, 0]);
	});
});

describe("setConcurrency()", () => {
	test("starts what waits when there is more", async () => {
		const { lanes, started, push } = setup();
		await push("a", "b", "c", "d");
		lanes.setConcurrency(3);
		await push();
		expect(started).toEqual(["a", "b", "c"]);
	});

	test("lets those that run end, and starts no more than it says from then on", async () => {
		const { lanes, started, push, end } = setup({ concurrency: 3, gate: createGate(10) });
		await push("a", "b", "c", "d", "e");
		lanes.setConcurrency(1);
		for (const name of ["a", "b"]) await end(name);
		expect([started, lanes.running]).toEqual([["a", "b", "c"], 1]);
		await end("c");
		expect([started, lanes.running]).toEqual([["a", "b", "c", "d"], 1]);
	});

	test("never goes beyond the shared ceiling", async () => {
		const { lanes, started, push } = setup({ gate: createGate(2) });
		await push("a", "b", "c");
		lanes.setConcurrency(100);
		await push();
		expect(started).toEqual(["a", "b"]);
	});

	test("lowered and raised again makes the old number run, slow or not", async () => {
		const slow = countSlow();
		const { clock, lanes, started, push, end } = setup({ concurrency: 2, gate: createGate(10), slow });
		await push("a", "b", "c", "d", "e", "f");
		await clock.advance(1_000);
		lanes.setConcurrency(1);
		await end("a");
		lanes.setConcurrency(3);
		await push();
		expect([started, lanes.running]).toEqual([["a", "b", "c", "d"], 3]);
	});
});

describe("setRateLimit()", () => {
	const perMs = 1_000;

	test("lets more start at once, counting what has started", async () => {
		const { clock, lanes, started, push } = setup({ concurrency: 10, rateLimit: { count: 1, perMs } });
		await push("a", "b", "c", "d");
		await clock.advance(100);
		lanes.setRateLimit({ count: 3, perMs });
		await push();
		expect(started).toEqual(["a", "b", "c"]);
		await clock.advance(899);
		expect(started).toHaveLength(3);
		await clock.advance(1);
		expect(started).toHaveLength(4);
	});

	test("lets fewer start, until enough of those before are out of its time", async () => {
		const { clock, lanes, started, push } = setup({ concurrency: 10, rateLimit: { count: 3, perMs } });
		await push("a", "b", "c");
		lanes.setRateLimit({ count: 1, perMs: 5_000 });
		await push("d", "e");
		await clock.advance(4_999);
		expect(started).toHaveLength(3);
		expect(lanes.allowance).toEqual({ count: 0, inMs: 1 });
		await clock.advance(1);
		expect(started).toHaveLength(4);
		await clock.advance(5_000);
		expect(started).toHaveLength(5);
	});

	test("can be begun and ended", async () => {
		const { clock, lanes, started, push } = setup({ concurrency: 10 });
		lanes.setRateLimit({ count: 1, perMs });
		await push("a", "b", "c");
		expect(started).toEqual(["a"]);
		lanes.setRateLimit(undefined);
		await push();
		expect(started).toEqual(["a", "b", "c"]);
		expect(clock.timers).toBe(0);
	});
});
