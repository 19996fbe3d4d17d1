import * as v8 from "node:v8";
import { describe, expect, test, vi } from "vitest";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import { Job } from "./job.ts";

interface Work {
	readonly id: number;
	readonly key?: string | undefined;
}

function setup() {
	const clock = fakeClock();
	const bus = createBus<{ work: Work }>({ clock });
	const emit = (id: number, key?: string) => bus.emit("work", { id, key });
	return { bus, clock, emit };
}

const one = { name: "worker", concurrency: 1 };
const keyOf = ({ key }: Work) => key;

describe("the memory of drop-oldest", () => {
	/** How many events handlers hold in this process; collects garbage first. */
	const countJobs = () => v8.queryObjects(Job, { format: "count" });

	test.each([
		["in a queue", {}],
		["with keys", { key: keyOf }],
		["in batches", { batch: { size: 3 } }],
		["in one batch", { batch: { size: 50 } }],
	])("%s of a paused handler is bounded by its limit over 100,000 emits", async (_title, options) => {
		const { bus, clock, emit } = setup();
		const before = countJobs();
		const ran = vi.fn();
		const jobs = bus.handle("work", ran, {
			...{ ...one, queue: { limit: 50, overflow: "drop-oldest" } },
			...(options as { readonly batch: { readonly size: number } }),
		});
		jobs.pause();
		for (let id = 0; id < 100_000; id++) emit(id, `key ${id % 7}`);
		await clock.advance(1_000);
		expect(jobs.size).toBe(50);
		expect(countJobs() - before).toBeLessThan(500);
		jobs.resume();
		await clock.advance(1_000);
		const got = ran.mock.calls.flatMap(([data]) => data as Work | Work[]).map(({ id }) => id);
		expect(got.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => 99_950 + index));
		expect(jobs.stats()).toMatchObject({ succeeded: 50, dropped: 99_950 });
	});

	test("is bounded too behind a running one of their key", async () => {
		const { bus, clock, emit } = setup();
		const before = countJobs();
		const go = createDeferred<void>();
		const ran: number[] = [];
		bus.handle(
			"work",
			({ id }) => {
				ran.push(id);
				return go.promise;
			},
			{ key: keyOf, queue: { limit: 50, overflow: "drop-oldest" } },
		);
		emit(0, "a");
		await clock.advance(0);
		for (let id = 1; id <= 100_000; id++) emit(id, "a");
		expect(countJobs() - before).toBeLessThan(500);
		go.resolve();
		await bus.idle();
		expect(ran.slice(0, 2)).toEqual([0, 99_951]);
		expect(ran).toHaveLength(51);
	});

	test("is bounded too behind a retry that came due in the pause", async () => {
		const { bus, clock, emit } = setup();
		const before = countJobs();
		const ran: number[] = [];
		const jobs = bus.handle(
			"work",
			({ id }, { attempt }) => {
				ran.push(id);
				if (id === 0 && attempt === 1) throw new Error("again");
			},
			{
				...{ ...one, queue: { limit: 50, overflow: "drop-oldest" } },
				retry: { attempts: 2, minDelayMs: 100, jitter: false },
			},
		);
		emit(0);
		await clock.advance(0);
		jobs.pause();
		await clock.advance(100);
		for (let id = 1; id <= 100_000; id++) emit(id);
		expect(countJobs() - before).toBeLessThan(500);
		jobs.resume();
		await clock.advance(0);
		expect(ran.slice(0, 3)).toEqual([0, 0, 99_952]);
		expect(ran).toHaveLength(51);
	});
});
