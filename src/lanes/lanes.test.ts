import { describe, expect, test, vi } from "vitest";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createGate, type Gate } from "./gate.ts";
import { createLanes, type Lanes } from "./lanes.ts";
import type { LaneJob, RunVerdict } from "./lanes-options.ts";

interface Job extends LaneJob {
	readonly name: string;
}

/** Lanes whose runs end when the test says so, with the verdict it gives. */
function setup(concurrency: number, gate?: Gate) {
	const clock = fakeClock();
	const runs = new Map<string, Deferred<RunVerdict>>();
	const started: string[] = [];
	const lanes = createLanes<Job>({
		concurrency,
		gate,
		clock,
		run({ name }) {
			started.push(name);
			const done = createDeferred<RunVerdict>();
			runs.set(name, done);
			return done.promise;
		},
	});
	const push = (...names: string[]) => {
		for (const name of names) lanes.push({ name, lane: name.includes(":") ? name.split(":")[0] : undefined });
	};
	const end = async (name: string, verdict?: number) => {
		runs.get(name)!.resolve(verdict);
		await clock.advance(0);
	};
	return { clock, lanes, started, push, end };
}

/** Lanes whose runs end at once. */
function setupSync(concurrency: number, run: (job: Job, lanes: Lanes<Job>) => RunVerdict) {
	const clock = fakeClock();
	const started: string[] = [];
	const lanes: Lanes<Job> = createLanes<Job>({
		concurrency,
		clock,
		run(job) {
			started.push(job.name);
			return run(job, lanes);
		},
	});
	const push = (...names: string[]) => {
		for (const name of names) lanes.push({ name, lane: undefined });
	};
	return { clock, lanes, started, push };
}

const unlimited = Number.POSITIVE_INFINITY;

describe("push()", () => {
	test.each([1, unlimited])(
		"starts a job in a later microtask, never at once (concurrency %s)",
		async (limit) => {
			const { lanes, started, push } = setupSync(limit, () => undefined);
			push("a", "b");
			expect(started).toEqual([]);
			expect(lanes.size).toBe(2);
			await lanes.idle();
			expect(started).toEqual(["a", "b"]);
			expect(lanes.size).toBe(0);
		},
	);

	test("counts what runs and what does not", async () => {
		const { clock, lanes, push, end } = setup(2);
		push("k:1", "k:2", "a", "b");
		await clock.advance(0);
		expect([lanes.running, lanes.size]).toEqual([2, 2]);
		await end("k:1");
		expect([lanes.running, lanes.size]).toEqual([2, 1]);
		await end("a");
		await end("b");
		expect([lanes.running, lanes.size]).toEqual([1, 0]);
		await end("k:2");
		expect([lanes.running, lanes.size]).toEqual([0, 0]);
	});

	test.each([1, unlimited])("inside a run queues behind what is there (concurrency %s)", async (limit) => {
		const { lanes, started, push } = setupSync(limit, ({ name }) => {
			if (name.length < 4) push(`${name}${name[0]}`);
			return undefined;
		});
		push("a", "b");
		await lanes.idle();
		expect(started).toEqual(["a", "b", "aa", "bb", "aaa", "bbb", "aaaa", "bbbb"]);
	});
});

describe("lanes", () => {
	test("let the first job behind a busy lane start, however many slots are free", async () => {
		const { clock, started, push, end } = setup(unlimited);
		push("k:1", "k:2", "k:3", "l:1");
		await clock.advance(0);
		expect(started).toEqual(["k:1", "l:1"]);
		await end("k:1");
		await end("k:2");
		expect(started).toEqual(["k:1", "l:1", "k:2", "k:3"]);
	});

	test("are forgotten once empty and begin anew", async () => {
		const { clock, started, push, end } = setup(1);
		push("k:1");
		await clock.advance(0);
		await end("k:1");
		push("k:2");
		await clock.advance(0);
		expect(started).toEqual(["k:1", "k:2"]);
	});
});

describe("a job that is to run again", () => {
	test("keeps its lane, gives its slot away and comes back in its time", async () => {
		const { clock, lanes, started, push, end } = setup(1);
		push("k:1", "k:2", "l:1");
		await clock.advance(0);
		await end("k:1", 1_000);
		expect(started).toEqual(["k:1", "l:1"]);
		expect([lanes.running, lanes.size]).toEqual([1, 2]);
		await end("l:1");
		await clock.advance(999);
		expect(started).toEqual(["k:1", "l:1"]);
		await clock.advance(1);
		expect(started).toEqual(["k:1", "l:1", "k:1"]);
		await end("k:1");
		expect(started).toEqual(["k:1", "l:1", "k:1", "k:2"]);
	});

	test("is over instead when `mayRunAgain` says no, and frees its lane", async () => {
		const clock = fakeClock();
		const started: string[] = [];
		const refused: string[] = [];
		const lanes = createLanes<Job>({
			...{ concurrency: 1, clock },
			run({ name }) {
				started.push(name);
				return 1_000;
			},
			mayRunAgain({ name }) {
				refused.push(name);
				return false;
			},
		});
		for (const name of ["k:1", "k:2"]) lanes.push({ name, lane: "k" });
		await lanes.idle();
		expect(started).toEqual(["k:1", "k:2"]);
		expect(refused).toEqual(["k:1", "k:2"]);
		expect(clock.timers).toBe(0);
	});

	test("after 0 ms runs again, which `undefined` does not mean", async () => {
		let runs = 0;
		const { clock, lanes, started, push } = setupSync(1, () => (++runs < 3 ? 0 : undefined));
		push("a");
		await clock.advance(0);
		await lanes.idle();
		expect(started).toEqual(["a", "a", "a"]);
	});
});

describe("a shared gate", () => {
	test("limits all lanes together and takes them in turn", async () => {
		const gate = createGate(2);
		const first = setup(unlimited, gate);
		const second = setup(1, gate);
		first.push("a1", "a2", "a3", "a4");
		second.push("b1", "b2");
		await first.clock.advance(0);
		expect([first.started, second.started]).toEqual([["a1", "a2"], []]);
		await first.end("a1");
		expect([first.started, second.started]).toEqual([["a1", "a2"], ["b1"]]);
		await first.end("a2");
		await second.end("b1");
		expect(first.lanes.running + second.lanes.running).toBe(2);
		expect(first.started).toContain("a3");
		await first.end("a3");
		await first.clock.advance(0);
		expect(second.started).toEqual(["b1", "b2"]);
		expect(first.started).toEqual(["a1", "a2", "a3", "a4"]);
	});

	test("of Infinity limits nothing", async () => {
		const { clock, started, push } = setup(unlimited, createGate(unlimited));
		push(...Array.from({ length: 50 }, (_, index) => `job${index}`));
		await clock.advance(0);
		expect(started).toHaveLength(50);
	});

	test("is not held by lanes that are paused", async () => {
		const gate = createGate(1);
		const first = setup(1, gate);
		const second = setup(1, gate);
		first.push("a1", "a2");
		first.lanes.pause();
		second.push("b1");
		await first.clock.advance(0);
		expect(first.started).toEqual([]);
		expect(second.started).toEqual(["b1"]);
		await second.end("b1");
		first.lanes.resume();
		await first.clock.advance(0);
		expect(first.started).toEqual(["a1"]);
	});
});

describe("pause() and resume()", () => {
	test.each([1, unlimited])("from inside a run stop the next one (concurrency %s)", async (limit) => {
		const { clock, lanes, started, push } = setupSync(limit, (_job, self) => {
			self.pause();
			return undefined;
		});
		push("a", "b", "c");
		await clock.advance(0);
		expect(lanes.isPaused).toBe(true);
		expect(started).toEqual(["a"]);
		lanes.resume();
		expect(lanes.isPaused).toBe(false);
		await clock.advance(0);
		expect(started).toEqual(["a", "b"]);
	});

	test("start as many jobs as the limit allows, and no more when called twice", async () => {
		const { clock, lanes, started, push, end } = setup(3);
		lanes.pause();
		push("a", "b", "c", "d", "e");
		await clock.advance(0);
		expect(started).toEqual([]);
		lanes.resume();
		lanes.resume();
		await clock.advance(0);
		expect(started).toEqual(["a", "b", "c"]);
		lanes.pause();
		await end("a");
		expect(started).toEqual(["a", "b", "c"]);
		lanes.resume();
		await clock.advance(0);
		expect(started).toEqual(["a", "b", "c", "d"]);
	});
});

describe("idle()", () => {
	test.each([1, unlimited])("waits for what runs, waits and is paused (concurrency %s)", async (limit) => {
		const { clock, lanes, push, end } = setup(limit);
		const onIdle = vi.fn();
		await lanes.idle();
		push("a");
		void lanes.idle().then(onIdle);
		await clock.advance(0);
		await end("a", 500);
		lanes.pause();
		await clock.advance(500);
		lanes.resume();
		await clock.advance(0);
		expect(onIdle).not.toHaveBeenCalled();
		await end("a");
		expect(onIdle).toHaveBeenCalledTimes(1);
		await lanes.idle();
	});
});

describe("clear()", () => {
	test("takes out what is ready, behind a lane and waiting, and leaves what runs", async () => {
		const { clock, lanes, started, push, end } = setup(2);
		push("w:1", "w:2", "k:1", "k:2", "a", "b");
		await clock.advance(0);
		await end("w:1", 1_000);
		expect(started).toEqual(["w:1", "k:1", "a"]);
		expect(lanes.clear().map(({ name }) => name)).toEqual(["w:1", "b", "w:2", "k:2"]);
		expect([lanes.running, lanes.size, clock.timers]).toEqual([2, 0, 0]);
		const idle = lanes.idle();
		await end("k:1");
		await end("a");
		await idle;
		await clock.advance(10_000);
		expect(started).toHaveLength(3);
		push("w:3", "k:3");
		await clock.advance(0);
		expect(started.slice(3), "their lanes are free again").toEqual(["w:3", "k:3"]);
	});

	test("keeps the lane of a running job held", async () => {
		const { clock, lanes, started, push, end } = setup(5);
		push("k:1", "k:2");
		await clock.advance(0);
		lanes.clear();
		push("k:3");
		await clock.advance(0);
		expect(started).toEqual(["k:1"]);
		await end("k:1");
		expect(started).toEqual(["k:1", "k:3"]);
	});

	test("resolves idle() when nothing runs", async () => {
		const { lanes, push } = setup(1);
		lanes.pause();
		push("a");
		const idle = lanes.idle();
		expect(lanes.clear()).toHaveLength(1);
		await idle;
		expect(lanes.clear()).toEqual([]);
	});

	test.each([1, unlimited])("from inside a run stops the ones behind it (concurrency %s)", async (limit) => {
		const { clock, lanes, started, push } = setupSync(limit, (_job, self) => {
			self.clear();
			return undefined;
		});
		push("a", "b", "c");
		await clock.advance(0);
		expect(started).toEqual(["a"]);
		expect(lanes.running).toBe(0);
		push("d");
		await lanes.idle();
		expect(started).toEqual(["a", "d"]);
	});
});

describe("remove()", () => {
	/** Lanes that are paused, and a way to take jobs out by their names. */
	function setupRemove(concurrency: number) {
		const { clock, lanes, started, end } = setup(concurrency);
		const jobs = new Map<string, Job>();
		const push = (...names: string[]) => {
			for (const name of names) {
				const job = { name, lane: name.includes(":") ? name.split(":")[0] : undefined };
				jobs.set(name, job);
				lanes.push(job);
			}
		};
		const remove = (...names: string[]) => {
			for (const name of names) lanes.remove(jobs.get(name)!);
		};
		lanes.pause();
		return { clock, lanes, started, push, remove, end };
	}

	test.each([1, unlimited])("takes a job out that has not started (concurrency %s)", async (limit) => {
		const { clock, lanes, started, push, remove, end } = setupRemove(limit);
		push("a", "b", "c", "d");
		remove("a", "c");
		expect(lanes.size).toBe(2);
		lanes.resume();
		await clock.advance(0);
		await end("b");
		expect(started).toEqual(["b", "d"]);
		await end("d");
		await lanes.idle();
		expect([lanes.running, lanes.size]).toEqual([0, 0]);
	});

	test.each([1, unlimited])("hands its lane on to the one behind it (concurrency %s)", async (limit) => {
		const { clock, lanes, started, push, remove, end } = setupRemove(limit);
		push("a", "k:1", "k:2", "l:1", "k:3");
		remove("k:1", "l:1");
		expect(lanes.size).toBe(3);
		push("l:2");
		lanes.resume();
		for (const name of ["a", "k:2", "l:2", "k:3"]) {
			await clock.advance(0);
			await end(name);
		}
		expect([...started].sort()).toEqual(["a", "k:2", "k:3", "l:2"]);
		expect(started.indexOf("k:2")).toBeLessThan(started.indexOf("k:3"));
		expect(lanes.size).toBe(0);
	});

	test("takes out the first behind a running one of its lane", async () => {
		const { clock, lanes, started, push, remove, end } = setupRemove(1);
		push("k:1", "k:2", "k:3");
		lanes.resume();
		await clock.advance(0);
		remove("k:2");
		expect(lanes.size).toBe(1);
		await end("k:1");
		expect(started).toEqual(["k:1", "k:3"]);
	});

	test("starts the one whose lane it freed while there is a slot", async () => {
		const { clock, lanes, started, push, remove, end } = setupRemove(1);
		lanes.resume();
		push("a");
		await clock.advance(0);
		push("k:1", "k:2");
		remove("k:1");
		await end("a");
		expect(started).toEqual(["a", "k:2"]);
	});

	test("lets idle() resolve when it took the last one", async () => {
		const { lanes, push, remove } = setupRemove(1);
		push("a");
		const idle = lanes.idle();
		remove("a");
		await idle;
	});

	test("leaves to clear() only what was not taken out", async () => {
		const { clock, lanes, started, push, remove } = setupRemove(1);
		push("a", "k:1", "b", "k:2", "c");
		remove("k:1", "b");
		expect(lanes.clear().map(({ name }) => name)).toEqual(["a", "c", "k:2"]);
		expect(lanes.size).toBe(0);
		push("k:3");
		lanes.resume();
		await clock.advance(0);
		expect(started).toEqual(["k:3"]);
	});

	test("keeps in order what is left when it took out most of what was there", async () => {
		const { clock, lanes, started, push, remove, end } = setupRemove(1);
		push("a", "b", "k:1", "c", "k:2", "d", "e", "f");
		remove("k:1", "c", "b", "d", "e");
		expect(lanes.size).toBe(3);
		lanes.resume();
		for (const name of ["a", "f"]) {
			await clock.advance(0);
			await end(name);
		}
		expect(started).toEqual(["a", "f", "k:2"]);
	});
});
