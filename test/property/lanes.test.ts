import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDeferred, type Deferred } from "../../src/internal/deferred.ts";
import { createGate, createLanes, type LaneJob, type RunVerdict } from "../../src/lanes/index.ts";
import { fakeClock } from "../../src/testing/index.ts";

const parameters = { seed: 20_260_103, numRuns: 250 };

/** One run of a job: it ends at once or when the program says so, and the job is over or runs again. */
interface Run {
	readonly isSync: boolean;
	readonly again: number | undefined;
}

interface Job extends LaneJob {
	readonly group: number;
	readonly runs: readonly Run[];
	readonly outcomes: string[];
	runCount: number;
	/** When it runs again. */
	dueAtMs: number;
}

const run = fc.record({
	isSync: fc.boolean(),
	again: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
});
const step = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({
			push: fc.array(
				fc.record({
					group: fc.nat({ max: 1 }),
					lane: fc.constantFrom("a", "b", "c", undefined),
					runs: fc.array(run, { maxLength: 3 }),
				}),
				{ maxLength: 6 },
			),
		}),
	},
	{ weight: 6, arbitrary: fc.record({ end: fc.nat({ max: 20 }) }) },
	{ weight: 3, arbitrary: fc.record({ advance: fc.nat({ max: 120 }) }) },
	{ weight: 3, arbitrary: fc.record({ turn: fc.constant(true) }) },
	{ weight: 1, arbitrary: fc.record({ pause: fc.nat({ max: 1 }) }) },
	{ weight: 2, arbitrary: fc.record({ resume: fc.nat({ max: 1 }) }) },
	{ weight: 2, arbitrary: fc.record({ clear: fc.nat({ max: 1 }) }) },
);
const limit = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(Number.POSITIVE_INFINITY));

/** Lets everything run that is ready. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Two groups of lanes, under one ceiling or none, which check the rules at every start of a run. */
function createWorld(limits: readonly [number, number], ceiling: number | undefined) {
	const clock = fakeClock();
	const gate = ceiling === undefined ? undefined : createGate(ceiling);
	const jobs: Job[] = [];
	const running = new Set<Job>();
	const held: { readonly job: Job; readonly done: Deferred<RunVerdict>; readonly verdict: RunVerdict }[] = [];
	const broken: string[] = [];

	const isOver = (job: Job) => job.outcomes.length > 0;
	const runningIn = (group: number) => [...running].filter((job) => job.group === group).length;

	function checkStart(job: Job): void {
		const others = jobs.filter(
			({ group, lane }) => group === job.group && lane === job.lane && lane !== undefined,
		);
		const before = others.slice(0, Math.max(0, others.indexOf(job)));
		if (running.has(job)) broken.push("a job ran twice at once");
		if (isOver(job)) broken.push("a job ran after its end");
		if (others.some((other) => running.has(other))) broken.push("two of one lane ran at once");
		if (!before.every(isOver)) broken.push("a job overtook another of its lane");
		if (runningIn(job.group) >= limits[job.group as 0 | 1]) broken.push("more than the limit ran");
		if (ceiling !== undefined && running.size >= ceiling) broken.push("more than the ceiling ran");
	}

	function end(job: Job, verdict: RunVerdict): RunVerdict {
		running.delete(job);
		if (verdict === undefined) job.outcomes.push("done");
		else job.dueAtMs = clock.now() + verdict;
		return verdict;
	}

	const lanes = limits.map((concurrency) =>
		createLanes<Job>({
			...{ concurrency, gate, clock },
			run(job) {
				checkStart(job);
				running.add(job);
				const { isSync, again } = job.runs[job.runCount++] ?? { isSync: false, again: undefined };
				if (isSync) return end(job, again);
				const done = createDeferred<RunVerdict>();
				held.push({ job, done, verdict: again });
				return done.promise;
			},
		}),
	);

	return {
		clock,
		lanes,
		jobs,
		running,
		broken,
		push(job: Pick<Job, "group" | "lane" | "runs">) {
			const added: Job = { ...job, outcomes: [], runCount: 0, dueAtMs: 0 };
			jobs.push(added);
			lanes[job.group]!.push(added);
		},
		/** Ends one of the runs that are open; which, the index says. */
		end(index: number) {
			const [open] = held.splice(index % Math.max(1, held.length), 1);
			open?.done.resolve(end(open.job, open.verdict));
		},
		clear(group: number) {
			for (const job of lanes[group]!.clear()) {
				if (running.has(job)) broken.push("a running job was cleared");
				job.outcomes.push("cleared");
			}
		},
		/** At rest: nothing that might run is left lying while there is room for it. */
		checkRest() {
			for (const [group, { isPaused, size, running: count }] of lanes.entries()) {
				expect(count).toBe(runningIn(group));
				expect(size).toBe(
					jobs.filter((job) => job.group === group && !isOver(job) && !running.has(job)).length,
				);
				const isFull = count >= limits[group as 0 | 1] || (ceiling !== undefined && running.size >= ceiling);
				if (isPaused || isFull) continue;
				const heads = new Map<unknown, Job>();
				for (const job of jobs) {
					const lane = job.lane ?? job;
					if (job.group === group && !isOver(job) && !heads.has(lane)) heads.set(lane, job);
				}
				const startable = [...heads.values()].filter(
					(job) => !running.has(job) && job.dueAtMs <= clock.now(),
				);
				expect(startable, "there is room, yet a job that could run does not").toEqual([]);
			}
		},
		get openRuns() {
			return held.length;
		},
	};
}

describe("lanes", () => {
	test("keep limits, lanes and order, end each job once, and come to rest", async () => {
		const totals = { done: 0, cleared: 0, again: 0 };
		await fc.assert(
			fc.asyncProperty(
				fc.tuple(limit, limit),
				fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
				fc.array(step, { maxLength: 30 }),
				async (limits, ceiling, program) => {
					const world = createWorld(limits, ceiling);
					for (const action of program) {
						if ("push" in action) for (const job of action.push) world.push(job);
						else if ("end" in action) world.end(action.end);
						else if ("pause" in action) world.lanes[action.pause]!.pause();
						else if ("resume" in action) world.lanes[action.resume]!.resume();
						else if ("clear" in action) world.clear(action.clear);
						else if ("advance" in action) await world.clock.advance(action.advance);
						else {
							await turn();
							world.checkRest();
						}
						expect(world.broken).toEqual([]);
					}
					for (const lanes of world.lanes) lanes.resume();
					const idle = Promise.all(world.lanes.map((lanes) => lanes.idle()));
					await turn();
					while (world.openRuns > 0 || world.clock.timers > 0) {
						if (world.openRuns > 0) world.end(0);
						else await world.clock.advance(100);
						await turn();
					}
					await idle;
					expect(world.broken).toEqual([]);
					expect(world.jobs.filter(({ outcomes }) => outcomes.length !== 1)).toEqual([]);
					expect(world.lanes.map(({ size, running }) => size + running)).toEqual([0, 0]);
					for (const { outcomes, runCount } of world.jobs) {
						totals[outcomes[0] as "done" | "cleared"]++;
						if (runCount > 1) totals.again++;
					}
				},
			),
			parameters,
		);
		for (const [what, count] of Object.entries(totals))
			expect(count, `${what} is tried often`).toBeGreaterThan(100);
	});
});
