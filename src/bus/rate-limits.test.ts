import { describe, expect, test } from "vitest";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";

interface Call {
	readonly id: number;
	readonly key?: string;
}

function setup() {
	const clock = fakeClock();
	const startMs = clock.now();
	const bus = createBus<{ call: Call }>({ clock, onError: () => undefined });
	const starts: [id: number, ms: number][] = [];
	const started = ({ id }: Call) => void starts.push([id, clock.now() - startMs]);
	const emit = (count: number, from = 0) => {
		for (let id = from; id < from + count; id++) bus.emit("call", { id });
	};
	return { bus, clock, starts, started, emit };
}

const rateLimit = { count: 3, perMs: 1_000 };

describe("handle() - rateLimit", () => {
	test.each([1, 2, undefined])(
		"starts at most so many in any so many ms (concurrency %s)",
		async (concurrency) => {
			const { bus, clock, starts, started, emit } = setup();
			bus.handle("call", started, { concurrency, rateLimit });
			emit(2);
			await clock.advance(700);
			emit(6, 2);
			await clock.advance(10_000);
			expect(starts).toEqual([
				...[0, 1].map((id) => [id, 0]),
				[2, 700],
				...[3, 4].map((id) => [id, 1_000]),
				[5, 1_700],
				...[6, 7].map((id) => [id, 2_000]),
			]);
		},
	);

	test("counts retries as starts", async () => {
		const { bus, clock, starts, started, emit } = setup();
		bus.handle(
			"call",
			(call) => {
				started(call);
				throw new Error("again");
			},
			{ rateLimit: { count: 2, perMs: 1_000 }, retry: { attempts: 2, minDelayMs: 10, jitter: false } },
		);
		emit(2);
		await clock.advance(999);
		expect(starts).toHaveLength(2);
		await clock.advance(1);
		expect(starts).toEqual([
			[0, 0],
			[1, 0],
			[0, 1_000],
			[1, 1_000],
		]);
	});

	test("counts batches, not events", async () => {
		const { bus, clock, starts, started, emit } = setup();
		bus.handle("call", (calls) => started(calls[0]!), {
			...{ batch: { size: 5 }, rateLimit: { count: 1, perMs: 100 } },
		});
		emit(15);
		await clock.advance(1_000);
		expect(starts).toEqual([
			[0, 0],
			[5, 100],
			[10, 200],
		]);
	});

	test("keeps the order of a key and other handlers out of it", async () => {
		const { bus, clock, starts, started } = setup();
		const others: number[] = [];
		bus.handle("call", started, { key: ({ key }) => key, rateLimit: { count: 1, perMs: 100 } });
		bus.handle("call", ({ id }) => void others.push(id));
		for (const id of [1, 2, 3]) bus.emit("call", { id, key: "k" });
		await clock.advance(0);
		expect(others).toEqual([1, 2, 3]);
		await clock.advance(1_000);
		expect(starts).toEqual([
			[1, 0],
			[2, 100],
			[3, 200],
		]);
	});

	test("counts what waits for it as queued, and its queue has a limit", async () => {
		const { bus, clock, starts, started, emit } = setup();
		const jobs = bus.handle("call", started, {
			...{ rateLimit: { count: 1, perMs: 100 }, queue: { limit: 2, overflow: "drop-oldest" } },
		});
		emit(1);
		await clock.advance(0);
		emit(4, 1);
		expect(jobs.stats()).toMatchObject({ succeeded: 1, queued: 2, dropped: 2 });
		await clock.advance(1_000);
		expect(starts).toEqual([
			[0, 0],
			[3, 100],
			[4, 200],
		]);
	});

	test("is kept by drain() and stop(), which lose nothing", async () => {
		for (const how of ["drain", "stop"] as const) {
			const { bus, clock, starts, started, emit } = setup();
			const jobs = bus.handle("call", started, { rateLimit });
			emit(7);
			const ended = how === "drain" ? bus.drain() : jobs.stop();
			await clock.advance(1_999);
			expect(starts).toHaveLength(6);
			await clock.advance(1);
			await ended;
			expect(starts).toHaveLength(7);
			expect(clock.timers).toBe(0);
		}
	});

	test("leaves no timer behind close()", async () => {
		const { bus, clock, starts, started, emit } = setup();
		const jobs = bus.handle("call", started, { rateLimit });
		emit(7);
		await clock.advance(0);
		await bus.close();
		expect(clock.timers).toBe(0);
		await clock.advance(10_000);
		expect(starts).toHaveLength(3);
		expect(jobs.stats()).toMatchObject({ succeeded: 3, failed: 4, queued: 0 });
	});
});
