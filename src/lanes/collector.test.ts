import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/index.ts";
import { createCollector } from "./collector.ts";

/** A collector, the batches it made, and how to fill it. */
function setup(size: number, waitMs = 100) {
	const clock = fakeClock();
	const batches: string[][] = [];
	const collector = createCollector<string>({ size, waitMs }, clock, (jobs) => void batches.push(jobs));
	const add = (...jobs: string[]) => {
		for (const job of jobs) collector.add(job);
	};
	return { clock, batches, collector, add };
}

describe("a collector", () => {
	test("closes a batch as soon as it is full, in the order of its jobs", async () => {
		const { clock, batches, collector, add } = setup(3);
		add("a", "b");
		expect([batches, collector.size]).toEqual([[], 2]);
		add("c", "d");
		expect([batches, collector.size]).toEqual([[["a", "b", "c"]], 1]);
		await clock.advance(99);
		expect(batches, "the next batch waits for its own first job").toHaveLength(1);
		await clock.advance(1);
		expect(batches).toEqual([["a", "b", "c"], ["d"]]);
	});

	test("closes a batch that is not full so long after its first job", async () => {
		const { clock, batches, add } = setup(3);
		add("a");
		await clock.advance(60);
		add("b");
		await clock.advance(39);
		expect(batches).toEqual([]);
		await clock.advance(1);
		expect(batches).toEqual([["a", "b"]]);
	});

	test("of size 1 makes a batch of each job at once, without a timer", () => {
		const { clock, batches, add } = setup(1);
		add("a", "b");
		expect(batches).toEqual([["a"], ["b"]]);
		expect(clock.timers).toBe(0);
	});

	test("with waitMs of 0 collects what comes before the next timer", async () => {
		const { clock, batches, add } = setup(10, 0);
		add("a", "b");
		expect(batches).toEqual([]);
		await clock.advance(0);
		expect(batches).toEqual([["a", "b"]]);
	});

	test("leaves no timer behind a batch that was full or flushed", async () => {
		const { clock, batches, collector, add } = setup(2);
		add("a", "b", "c");
		collector.flush();
		expect(clock.timers).toBe(0);
		await clock.advance(50);
		add("d");
		await clock.advance(99);
		expect(batches).toEqual([["a", "b"], ["c"]]);
	});

	test("takes jobs that are added while a batch is handed over into the next one", () => {
		const batches: string[][] = [];
		const collector = createCollector<string>({ size: 2, waitMs: 100 }, fakeClock(), (jobs) => {
			batches.push(jobs);
			if (batches.length === 1) for (const job of ["c", "d"]) collector.add(job);
		});
		for (const job of ["a", "b"]) collector.add(job);
		expect(batches).toEqual([
			["a", "b"],
			["c", "d"],
		]);
		expect(collector.size).toBe(0);
	});
});

describe("flush()", () => {
	test("closes the batch that is being filled, and makes none of nothing", () => {
		const { batches, collector, add } = setup(3);
		collector.flush();
		expect(batches).toEqual([]);
		add("a");
		collector.flush();
		collector.flush();
		expect(batches).toEqual([["a"]]);
	});
});

describe("remove()", () => {
	test("takes one job out of the batch, which is full later for it", () => {
		const { batches, collector, add } = setup(3);
		add("a", "b");
		collector.remove("a");
		expect(collector.size).toBe(1);
		add("c");
		expect(batches).toEqual([]);
		add("d");
		expect(batches).toEqual([["b", "c", "d"]]);
	});

	test("leaves the others alone when the job is not there", () => {
		const { collector, add } = setup(3);
		add("a", "b");
		collector.remove("z");
		expect(collector.clear()).toEqual(["a", "b"]);
	});

	test("does not put the batch off, even when it took its only job", async () => {
		const { clock, batches, collector, add } = setup(3);
		add("a");
		await clock.advance(60);
		collector.remove("a");
		add("b");
		await clock.advance(40);
		expect(batches).toEqual([["b"]]);
	});

	test("of the only job makes no batch of nothing", async () => {
		const { clock, batches, collector, add } = setup(3);
		add("a");
		collector.remove("a");
		await clock.advance(200);
		expect(batches).toEqual([]);
		add("b");
		await clock.advance(99);
		expect(batches).toEqual([]);
		await clock.advance(1);
		expect(batches, "the next one waits its full time").toEqual([["b"]]);
	});
});

describe("clear()", () => {
	test("takes out all jobs and the timer, and the next batch begins anew", async () => {
		const { clock, batches, collector, add } = setup(3);
		add("a", "b");
		expect(collector.clear()).toEqual(["a", "b"]);
		expect([collector.size, clock.timers]).toEqual([0, 0]);
		await clock.advance(200);
		expect(batches).toEqual([]);
		add("c");
		await clock.advance(100);
		expect(batches).toEqual([["c"]]);
	});
});
