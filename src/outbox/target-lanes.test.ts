import { describe, expect, test } from "vitest";
import { numbered, openRelay, ranIds } from "../../test/support/relay.ts";
import { type FakeGroup, fakeGroup } from "../../test/support/target-group.ts";
import type { RateLimit } from "../lanes/index.ts";
import type { TargetGroup } from "./target-group.ts";

/** A relay with one group, whose targets have the limits that `limits` says at the moment. */
function setup({
	open = false,
	concurrency = 2,
	slowAfterMs,
}: {
	open?: boolean;
	concurrency?: number;
	slowAfterMs?: number;
} = {}) {
	const bench = openRelay();
	const limits = new Map<string, { concurrency?: number; rateLimit?: RateLimit }>();
	const fake: FakeGroup = fakeGroup(bench.clock, open ? () => undefined : () => "delivered", { concurrency });
	const group: TargetGroup = {
		...fake,
		run: fake.run,
		concurrencyOf: (target) => limits.get(target)?.concurrency ?? 10,
		rateLimitOf: (target) => limits.get(target)?.rateLimit,
		slowAfterMs,
	};
	bench.relay.add(group);
	const countOf = (target: string) => fake.runs.filter(({ claim }) => claim.target === target).length;
	return { ...bench, fake, limits, countOf };
}

/** Ends all that runs of a target. */
function endAll({ running }: FakeGroup, target: string): void {
	for (const run of [...running]) if (run.claim.target === target) run.end("delivered");
}

describe("a rate limit of a target", () => {
	test("lets so many start in any such time, and no more", async () => {
		const { fake, limits, add, advance, flush, clock } = setup();
		limits.set("a", { rateLimit: { count: 2, perMs: 1_000 } });
		await add(numbered("e", 6));
		await flush();
		expect(ranIds(fake)).toEqual(["e1", "e2"]);
		await advance(999);
		expect(ranIds(fake)).toHaveLength(2);
		await advance(1);
		expect(ranIds(fake)).toHaveLength(4);
		await advance(1_000);
		expect(ranIds(fake)).toHaveLength(6);
		const startMs = clock.now() - 2_000;
		expect(fake.runs.map(({ atMs }) => atMs - startMs)).toEqual([0, 0, 1_000, 1_000, 2_000, 2_000]);
	});

	test("takes no places of others, however many such targets have something to do", async () => {
		const { fake, limits, add, advance, flush, countOf } = setup();
		for (const target of numbered("slow", 50)) {
			limits.set(target, { rateLimit: { count: 1, perMs: 3_600_000 } });
			await add(numbered(`${target}-`, 3), { target });
		}
		await add(numbered("e", 40), { target: "free" });
		await flush();
		expect(countOf("free")).toBe(40);
		expect(ranIds(fake)).toHaveLength(90);
		await advance(3_600_000);
		expect(ranIds(fake)).toHaveLength(140);
	});

	test("counts no attempt for what it puts off", async () => {
		const { fake, limits, add, advance } = setup();
		limits.set("a", { rateLimit: { count: 1, perMs: 1_000 } });
		await add(numbered("e", 3));
		await advance(2_000);
		expect(fake.runs.map(({ claim }) => claim.attempt)).toEqual([1, 1, 1]);
	});

	test("goes on beside an attempt that takes long", async () => {
		const { fake, limits, add, advance, flush } = setup({ open: true, concurrency: 10 });
		limits.set("a", { concurrency: 4, rateLimit: { count: 1, perMs: 1_000 } });
		await add(numbered("e", 4));
		await flush();
		for (let count = 1; count <= 4; count++) {
			expect(ranIds(fake)).toHaveLength(count);
			await advance(1_000);
		}
	});

	test("counts at once when it is changed, and what has started counts for it", async () => {
		const { fake, limits, add, advance, flush, relay } = setup();
		limits.set("a", { rateLimit: { count: 1, perMs: 60_000 } });
		await add(numbered("e", 10));
		await flush();
		expect(ranIds(fake)).toHaveLength(1);
		limits.set("a", { rateLimit: { count: 3, perMs: 60_000 } });
		relay.wake();
		await flush();
		expect(ranIds(fake)).toHaveLength(3);
		await advance(60_000);
		expect(ranIds(fake)).toHaveLength(6);
	});

	test("counts no more when it is taken away", async () => {
		const { fake, limits, add, flush, relay } = setup({ open: true, concurrency: 10 });
		limits.set("a", { rateLimit: { count: 1, perMs: 60_000 } });
		await add(["e1"]);
		await flush();
		await add(numbered("f", 5));
		await flush();
		expect(ranIds(fake)).toHaveLength(1);
		limits.delete("a");
		relay.wake();
		await flush();
		expect(ranIds(fake)).toHaveLength(6);
		endAll(fake, "a");
	});

	test("leaves no timer behind when its group is removed", async () => {
		const { limits, add, flush, relay, clock } = setup();
		limits.set("a", { rateLimit: { count: 1, perMs: 60_000 } });
		await add(numbered("e", 3));
		await flush();
		await relay.remove("g", 0);
		expect(clock.timers).toBe(0);
	});
});

describe("the concurrency of a target", () => {
	test("counts at once when it is raised, and as attempts end when it is lowered", async () => {
		const { fake, limits, add, flush, relay } = setup({ open: true, concurrency: 20 });
		limits.set("a", { concurrency: 1 });
		await add(numbered("e", 30));
		await flush();
		expect(fake.running.size).toBe(1);
		limits.set("a", { concurrency: 5 });
		relay.wake();
		await flush();
		expect(fake.running.size).toBe(5);
		limits.set("a", { concurrency: 2 });
		relay.wake();
		await flush();
		expect(fake.running.size).toBe(5);
		for (let left = 3; left > 0; left--) [...fake.running][0]?.end("delivered");
		await flush();
		expect(fake.running.size).toBe(2);
		[...fake.running][0]?.end("delivered");
		await flush();
		expect(fake.running.size).toBe(2);
	});
});

describe("attempts that take long", () => {
	test("do not keep those of other targets waiting for longer than slowAfterMs", async () => {
		const { fake, limits, add, advance, flush, countOf } = setup({
			...{ open: true, concurrency: 4, slowAfterMs: 1_000 },
		});
		for (const target of numbered("hung", 20)) {
			limits.set(target, { concurrency: 2 });
			await add(numbered(`${target}-`, 10), { target });
		}
		await flush();
		expect(fake.running.size).toBe(4);
		await add(numbered("e", 10), { target: "good" });
		// A wave of four a second frees its places: behind them the good one has its turn.
		for (let seconds = 0; seconds < 20 && countOf("good") === 0; seconds++) {
			await advance(1_000);
			endAll(fake, "good");
		}
		expect(countOf("good")).toBeGreaterThan(0);
	});

	test("are at most sixteen times as many as count, and then the others have to wait", async () => {
		const { fake, limits, add, advance, flush } = setup({ open: true, concurrency: 2, slowAfterMs: 1_000 });
		for (const target of numbered("hung", 100)) {
			limits.set(target, { concurrency: 1 });
			await add([`${target}-1`], { target });
		}
		await flush();
		for (let seconds = 0; seconds < 30; seconds++) await advance(1_000);
		expect(fake.running.size).toBe(2 * 16 + 2);
		expect(fake.mostAtOnce).toBe(34);
		endAll(fake, "hung1");
		await flush();
		for (let seconds = 0; seconds < 2; seconds++) await advance(1_000);
		expect(fake.running.size).toBe(34);
	});
});
