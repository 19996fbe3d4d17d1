import { describe, expect, test, vi } from "vitest";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import type { HandleOptions } from "./handler-options.ts";

interface Job {
	readonly id: number;
	readonly key?: string;
}

function setup() {
	const clock = fakeClock();
	const bus = createBus<{ job: Job; other: Job }>({ clock, onError: () => undefined });
	const runs: (Deferred<unknown> & { id: number })[] = [];
	const handler = ({ id }: Job): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, id });
		return done.promise;
	};
	return { bus, clock, handler, runs, ids: () => runs.map(({ id }) => id) };
}

const limits: [string, HandleOptions<Job>][] = [
	["limited", { concurrency: 1 }],
	["unlimited", {}],
];

describe("HandlerSubscription - name", () => {
	test("is the given one, else that of the function, else the pattern", () => {
		const { bus, handler } = setup();
		expect(bus.handle("job", handler, { name: "given" }).name).toBe("given");
		expect(bus.handle("job", handler).name).toBe("handler");
		expect(bus.handle("*", () => undefined).name).toBe("*");
	});
});

describe("HandlerSubscription - pause() and resume()", () => {
	test.each(limits)("let running attempts end and start no more (%s)", async (_name, options) => {
		const { bus, clock, handler, runs, ids } = setup();
		const jobs = bus.handle("job", handler, options);
		bus.emit("job", { id: 1 });
		await clock.advance(0);
		jobs.pause();
		const later = [bus.emit("job", { id: 2 }), bus.emit("job", { id: 3 })];
		runs[0]!.resolve(undefined);
		await clock.advance(60_000);
		expect(ids()).toEqual([1]);
		expect(jobs.size).toBe(2);
		jobs.resume();
		await clock.advance(0);
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		runs[2]!.resolve(undefined);
		for (const { settled } of later) expect((await settled).ok).toBe(true);
		expect(ids()).toEqual([1, 2, 3]);
	});

	test.each(limits)("take effect before the event just emitted (%s)", async (_name, options) => {
		const { bus, clock, handler, ids } = setup();
		const jobs = bus.handle("job", handler, options);
		bus.emit("job", { id: 1 });
		jobs.pause();
		await clock.advance(0);
		expect(ids()).toEqual([]);
		jobs.resume();
		jobs.resume();
		await clock.advance(0);
		expect(ids()).toEqual([1]);
	});

	test.each(limits)("take effect at once when the handler itself pauses (%s)", async (_name, options) => {
		const { bus, clock } = setup();
		const handled: number[] = [];
		const jobs = bus.handle(
			"job",
			({ id }) => {
				handled.push(id);
				jobs.pause();
			},
			options,
		);
		for (const id of [1, 2, 3]) bus.emit("job", { id });
		await clock.advance(0);
		expect(handled).toEqual([1]);
		expect(jobs.size).toBe(2);
		jobs.resume();
		await clock.advance(0);
		expect(handled).toEqual([1, 2]);
	});

	test("hold back a retry that comes due meanwhile", async () => {
		const { bus, clock, handler, runs, ids } = setup();
		const jobs = bus.handle("job", handler, { retry: { jitter: false } });
		bus.emit("job", { id: 1 });
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		jobs.pause();
		await clock.advance(60_000);
		expect(ids()).toEqual([1]);
		jobs.resume();
		await clock.advance(0);
		expect(ids()).toEqual([1, 1]);
	});

	test("reach the concurrency again after a pause and do not exceed it", async () => {
		const { bus, clock, handler, runs, ids } = setup();
		const jobs = bus.handle("job", handler, { concurrency: 2 });
		for (let id = 0; id < 6; id++) bus.emit("job", { id });
		await clock.advance(0);
		jobs.pause();
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		jobs.resume();
		jobs.pause();
		jobs.resume();
		await clock.advance(0);
		expect(ids()).toEqual([0, 1, 2]);
		expect(jobs.pending).toBe(2);
	});
});

describe("HandlerSubscription - size and pending", () => {
	test("count what waits, behind its key and for a retry too, and what runs", async () => {
		const { bus, clock, handler, runs } = setup();
		const jobs = bus.handle("job", handler, {
			concurrency: 2,
			key: ({ key }) => key,
			retry: { minDelayMs: 1_000, jitter: false },
		});
		expect([jobs.size, jobs.pending]).toEqual([0, 0]);
		for (const [id, key] of ["a", "a", "a", "b", "c", "d"].entries()) bus.emit("job", { id, key });
		expect([jobs.size, jobs.pending]).toEqual([6, 0]);
		await clock.advance(0);
		expect([jobs.size, jobs.pending]).toEqual([4, 2]);
		runs[0]!.reject(new Error("waits for its retry"));
		await clock.advance(0);
		expect([jobs.size, jobs.pending]).toEqual([4, 2]);
		runs[1]!.resolve(undefined);
		runs[2]!.resolve(undefined);
		await clock.advance(0);
		expect([jobs.size, jobs.pending]).toEqual([3, 1]);
		expect(jobs.stats()).toEqual({ succeeded: 2, failed: 0, retried: 1, dropped: 0, running: 1, queued: 3 });
	});
});

describe("HandlerSubscription - idle()", () => {
	test("resolves at once when there is nothing, else when no event waits or runs", async () => {
		const { bus, clock, handler, runs } = setup();
		const jobs = bus.handle("job", handler, { retry: { minDelayMs: 1_000, jitter: false } });
		await jobs.idle();
		const isIdle = vi.fn();
		bus.emit("job", { id: 1 });
		void jobs.idle().then(isIdle);
		const same = jobs.idle();
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(999);
		expect(isIdle).not.toHaveBeenCalled();
		await clock.advance(1);
		expect(isIdle).not.toHaveBeenCalled();
		runs[1]!.resolve(undefined);
		await same;
		expect(isIdle).toHaveBeenCalledTimes(1);
		await jobs.idle();
	});
});

describe("HandlerSubscription - stop()", () => {
	test("takes no more events and resolves when those it took, with their retries, have ended", async () => {
		const { bus, clock, handler, runs, ids } = setup();
		const jobs = bus.handle("job", handler, { concurrency: 1, retry: { jitter: false } });
		bus.emit("job", { id: 1 });
		bus.emit("job", { id: 2 });
		await clock.advance(0);
		const stopped = vi.fn();
		const stop = jobs.stop().then(stopped);
		const after = await bus.emit("job", { id: 3 }).settled;
		expect(after.outcomes).toEqual([]);
		runs[0]!.reject(new Error("again"));
		await clock.advance(60_000);
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([1, 2, 1]);
		expect(stopped).not.toHaveBeenCalled();
		runs[2]!.resolve(undefined);
		await stop;
		expect(ids()).toEqual([1, 2, 1]);
	});

	test("resumes a paused handler, so that it can end", async () => {
		const { bus, clock, handler, runs } = setup();
		const jobs = bus.handle("job", handler);
		jobs.pause();
		bus.emit("job", { id: 1 });
		const stopped = jobs.stop();
		await clock.advance(0);
		runs[0]!.resolve(undefined);
		await stopped;
	});

	test("may be called again, and while idle", async () => {
		const { bus, handler } = setup();
		const jobs = bus.handle("job", handler);
		await Promise.all([jobs.stop(), jobs.stop()]);
		await jobs.stop();
	});

	test("inside an emit waits for the event of that emit, which it still takes", async () => {
		const { bus, clock, handler, runs } = setup();
		const jobs = bus.handle("job", handler);
		const stopped = vi.fn();
		bus.on("job", () => void jobs.stop().then(stopped));
		bus.emit("job", { id: 1 });
		await clock.advance(0);
		expect(runs).toHaveLength(1);
		expect(stopped).not.toHaveBeenCalled();
		expect(bus.stats().handlers).toHaveLength(1);
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		expect(stopped).toHaveBeenCalledTimes(1);
	});

	test("is what `await using` calls", async () => {
		const { bus, clock, handler, runs } = setup();
		const left = vi.fn();
		async function scope(): Promise<void> {
			await using jobs = bus.handle("job", handler);
			bus.emit("job", { id: 1 });
			expect(jobs.size).toBe(1);
		}
		const scoped = scope().then(left);
		await clock.advance(0);
		expect(left).not.toHaveBeenCalled();
		runs[0]!.resolve(undefined);
		await scoped;
		expect((await bus.emit("job", { id: 2 }).settled).outcomes).toEqual([]);
	});
});

describe("bus.stats()", () => {
	test("lists subscriptions by pattern, handlers with their counts, and what is open", async () => {
		const { bus, clock, handler, runs } = setup();
		expect(bus.stats()).toEqual({ subscriptions: {}, handlers: [], open: 0 });
		bus.on("job", () => undefined);
		const pending = createDeferred<void>();
		bus.on("job", () => pending.promise);
		bus.handle("*", handler, { concurrency: 1 });
		bus.emit("job", { id: 1 });
		bus.emit("other", { id: 2 });
		await clock.advance(0);
		const none = { succeeded: 0, failed: 0, retried: 0, dropped: 0 };
		expect(bus.stats()).toEqual({
			subscriptions: { job: 2, "*": 1 },
			handlers: [{ name: "handler", ...none, running: 1, queued: 1 }],
			open: 3,
		});
		pending.resolve();
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		runs[1]!.reject(new Error("failed"));
		await clock.advance(0);
		expect(bus.stats()).toMatchObject({ handlers: [{ succeeded: 1, failed: 1 }], open: 0 });
	});

	test.each(["stop", "off"])(
		"keeps a handler ended by %s() while it has events, then forgets it",
		async (end) => {
			const { bus, clock, handler, runs } = setup();
			const jobs = bus.handle("job", handler);
			const emission = bus.emit("job", { id: 1 });
			await clock.advance(0);
			if (end === "stop") void jobs.stop();
			else bus.off("job", handler);
			await clock.advance(0);
			expect((await bus.emit("job", { id: 2 }).settled).outcomes).toEqual([]);
			expect(bus.stats()).toMatchObject({ subscriptions: {}, handlers: [{ name: "handler", running: 1 }] });
			runs[0]!.resolve("ended");
			expect((await emission.settled).ok).toBe(true);
			await clock.advance(0);
			expect(bus.stats().handlers).toEqual([]);
		},
	);
});
