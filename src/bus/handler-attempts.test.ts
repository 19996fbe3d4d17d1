import { describe, expect, test, vi } from "vitest";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

interface Job {
	readonly id: number;
	readonly key?: string;
}

function setup() {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ job: Job }>({ clock, onError });
	const delays: number[] = [];
	bus.observe("handler:retry", ({ delayMs }) => void delays.push(delayMs));
	return { bus, clock, onError, delays };
}

/** A handler whose runs end when the test says so. */
function heldHandler() {
	const runs: (Deferred<unknown> & { id: number; context: HandlerContext })[] = [];
	const handler = ({ id }: Job, context: HandlerContext): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, id, context });
		return done.promise;
	};
	return { handler, runs, ids: () => runs.map(({ id }) => id) };
}

const keyOf = ({ key }: Job) => key;

function failing(): never {
	throw new Error("failing");
}

describe("handle() - timeoutMs", () => {
	test("fires the attempt's signal with ERR_CALLHOOK_TIMEOUT, not before its time", async () => {
		const { bus, clock } = setup();
		const { handler, runs } = heldHandler();
		bus.handle("job", handler, { name: "slow", timeoutMs: 1_000 });
		bus.emit("job", { id: 1 });
		await clock.advance(0);
		const { signal } = runs[0]!.context;
		const onAbort = vi.fn();
		signal.addEventListener("abort", onAbort);
		await clock.advance(999);
		expect(signal.aborted).toBe(false);
		await clock.advance(1);
		expect(onAbort).toHaveBeenCalledTimes(1);
		const reason = signal.reason as CallhookError<"ERR_CALLHOOK_TIMEOUT">;
		expect(isCallhookError(reason, "ERR_CALLHOOK_TIMEOUT")).toBe(true);
		expect(reason.details).toEqual({ timeoutMs: 1_000 });
		expect(reason.message).toContain('"slow"');
		expect(reason.message).toContain("1000 ms");
	});

	test("holds slot and key until the function has really settled", async () => {
		const { bus, clock, onError } = setup();
		const { handler, runs, ids } = heldHandler();
		const options = { concurrency: 2, timeoutMs: 1_000, key: keyOf };
		const jobs = bus.handle("job", handler, options);
		const emission = bus.emit("job", { id: 1, key: "a" });
		for (const [id, key] of [
			[2, "a"],
			[3, "b"],
			[4, "c"],
		] as const) {
			bus.emit("job", { id, key });
		}
		await clock.advance(60_000);
		expect(ids()).toEqual([1, 3]);
		expect(jobs.pending).toBe(2);
		expect(onError).not.toHaveBeenCalled();
		runs[1]!.resolve("too late");
		await clock.advance(0);
		expect(ids(), "the slot is free, the key is not").toEqual([1, 3, 4]);
		runs[2]!.resolve("in time");
		runs[0]!.resolve("too late");
		await clock.advance(0);
		expect(ids()).toEqual([1, 3, 4, 2]);
		const { failed } = await emission.settled;
		expect(failed.map(({ error }) => isCallhookError(error, "ERR_CALLHOOK_TIMEOUT"))).toEqual([true]);
		expect(onError).toHaveBeenCalledTimes(2);
	});

	test("has failed the attempt whether the function then resolves or rejects", async () => {
		const { bus, clock, onError } = setup();
		const { handler, runs } = heldHandler();
		bus.handle("job", handler, { timeoutMs: 10 });
		const emissions = [bus.emit("job", { id: 1 }), bus.emit("job", { id: 2 })];
		await clock.advance(10);
		runs[0]!.resolve("late");
		runs[1]!.reject(new Error("aborted by the signal"));
		for (const { settled } of emissions) {
			const { failed } = await settled;
			expect(failed.map(({ error }) => (error as CallhookError).code)).toEqual(["ERR_CALLHOOK_TIMEOUT"]);
		}
		expect(onError).toHaveBeenCalledTimes(2);
	});

	test("that is not reached leaves no timer and an unfired signal", async () => {
		const { bus, clock } = setup();
		const { handler, runs } = heldHandler();
		bus.handle("job", handler, { timeoutMs: 1_000 });
		bus.handle("job", () => "synchronous", { timeoutMs: 1_000, name: "sync" });
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(999);
		expect(clock.timers).toBe(1);
		runs[0]!.resolve("in time");
		expect((await emission.settled).ok).toBe(true);
		expect(clock.timers).toBe(0);
		await clock.advance(1_000);
		expect(runs[0]!.context.signal.aborted).toBe(false);
	});

	test("has fired a signal that is read for the first time afterwards", async () => {
		const { bus, clock } = setup();
		const woken = createDeferred<void>();
		let reason: unknown;
		bus.handle(
			"job",
			async (_data, context) => {
				await woken.promise;
				reason = context.signal.reason;
				expect(context.signal.aborted).toBe(true);
			},
			{ timeoutMs: 10 },
		);
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(10);
		woken.resolve();
		await emission.settled;
		expect(isCallhookError(reason, "ERR_CALLHOOK_TIMEOUT")).toBe(true);
	});

	test("counts for each attempt anew, and a retry waits for the function to settle", async () => {
		const { bus, clock } = setup();
		const { handler, runs } = heldHandler();
		const worth: unknown[] = [];
		const when = (error: unknown) => worth.push((error as CallhookError).code) > 0;
		bus.handle("job", handler, {
			timeoutMs: 100,
			retry: { attempts: 2, minDelayMs: 50, jitter: false, when },
		});
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(5_000);
		expect(runs).toHaveLength(1);
		runs[0]!.resolve(undefined);
		await clock.advance(49);
		expect(runs).toHaveLength(1);
		await clock.advance(1);
		expect(runs).toHaveLength(2);
		await clock.advance(99);
		expect(runs[1]!.context.signal.aborted).toBe(false);
		runs[1]!.resolve("second");
		const { outcomes } = await emission.settled;
		expect(outcomes).toMatchObject([{ status: "fulfilled", value: "second", attempts: 2 }]);
		expect(worth).toEqual(["ERR_CALLHOOK_TIMEOUT"]);
	});
});

describe("handle() - retry", () => {
	test("repeats until an attempt succeeds, and reports no error of the attempts before", async () => {
		const { bus, clock, onError } = setup();
		const attempts: number[] = [];
		const jobs = bus.handle(
			"job",
			(_data, { attempt }) => {
				attempts.push(attempt);
				if (attempt < 3) throw new Error(`attempt ${attempt}`);
				return "third time";
			},
			{ name: "stubborn", retry: { attempts: 5 } },
		);
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(60_000);
		expect(attempts).toEqual([1, 2, 3]);
		expect((await emission.settled).outcomes).toEqual([
			{ kind: "handler", name: "stubborn", attempts: 3, status: "fulfilled", value: "third time" },
		]);
		expect(onError).not.toHaveBeenCalled();
		expect(jobs.stats()).toEqual({ succeeded: 1, failed: 0, retried: 2, dropped: 0, running: 0, queued: 0 });
	});

	test("gives up after its last attempt, with that attempt's error, reported once", async () => {
		const { bus, clock, onError } = setup();
		const errors: Error[] = [];
		const jobs = bus.handle(
			"job",
			async (_data, { attempt }) => {
				errors.push(new Error(`attempt ${attempt}`));
				throw errors[errors.length - 1];
			},
			{ name: "hopeless", retry: { attempts: 3 } },
		);
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(60_000);
		const { outcomes } = await emission.settled;
		const error = errors[2];
		expect(errors).toHaveLength(3);
		expect(outcomes).toEqual([{ kind: "handler", name: "hopeless", attempts: 3, status: "rejected", error }]);
		const { event } = emission;
		expect(onError.mock.calls).toEqual([[error, { source: "handler", name: "hopeless", event }]]);
		expect(jobs.stats()).toEqual({ succeeded: 0, failed: 1, retried: 2, dropped: 0, running: 0, queued: 0 });
		expect(clock.timers).toBe(0);
	});

	test("delays by minDelayMs × factor, at most maxDelayMs", async () => {
		const { bus, clock, delays } = setup();
		const startedAt: number[] = [];
		const startMs = clock.now();
		bus.handle(
			"job",
			() => {
				startedAt.push(clock.now() - startMs);
				failing();
			},
			{ retry: { attempts: 6, minDelayMs: 100, factor: 3, maxDelayMs: 2_000, jitter: false } },
		);
		bus.emit("job", { id: 1 });
		await clock.advance(60_000);
		expect(delays).toEqual([100, 300, 900, 2_000, 2_000]);
		expect(startedAt).toEqual([0, 100, 400, 1_300, 3_300, 5_300]);
	});

	test("makes five attempts by default, from 200 ms on, doubling", async () => {
		const { bus, clock, delays } = setup();
		bus.handle("job", failing, { retry: { jitter: false } });
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(60_000);
		expect(delays).toEqual([200, 400, 800, 1_600]);
		expect((await emission.settled).outcomes[0]?.attempts).toBe(5);
	});

	test("waits at most 30 seconds by default", async () => {
		const { bus, clock, delays } = setup();
		bus.handle("job", failing, { retry: { attempts: 12, jitter: false } });
		bus.emit("job", { id: 1 });
		await clock.advance(600_000);
		expect(Math.max(...delays)).toBe(30_000);
		expect(delays).toHaveLength(11);
	});

	test("draws each delay between zero and its length by default", async () => {
		const { bus, clock, delays } = setup();
		const random = vi.spyOn(Math, "random");
		try {
			for (const value of [0, 0.5, 0.999]) random.mockReturnValueOnce(value);
			bus.handle("job", failing, { retry: { attempts: 4, minDelayMs: 1_000, factor: 1 } });
			bus.emit("job", { id: 1 });
			await clock.advance(60_000);
		} finally {
			random.mockRestore();
		}
		expect(delays).toEqual([0, 500, 999]);
	});

	test("stops early when `when` says no", async () => {
		const { bus, clock, onError } = setup();
		const asked: unknown[] = [];
		const error = new Error("final");
		const handler = vi.fn((_data: Job, { attempt }: HandlerContext) => {
			throw attempt === 1 ? "temporary" : error;
		});
		const when = (cause: unknown) => {
			asked.push(cause);
			return cause === "temporary";
		};
		bus.handle("job", handler, { retry: { attempts: 9, when } });
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(60_000);
		expect(asked).toEqual(["temporary", error]);
		expect(handler).toHaveBeenCalledTimes(2);
		expect((await emission.settled).failed.map((outcome) => outcome.error)).toEqual([error]);
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test("gives up when `when` throws, and reports both errors", async () => {
		const { bus, onError } = setup();
		const whenError = new Error("when");
		const error = new Error("handler");
		const fail = (cause: unknown) => () => {
			throw cause;
		};
		bus.handle("job", fail(error), { retry: { when: fail(whenError) } });
		const report = await bus.emit("job", { id: 1 }).settled;
		expect(report.failed.map((outcome) => outcome.error)).toEqual([error]);
		expect(onError.mock.calls.map(([cause]) => cause)).toEqual([whenError, error]);
	});

	test("holds the key during a backoff while the slot is free for other keys", async () => {
		const { bus, clock } = setup();
		const { handler, runs, ids } = heldHandler();
		const retry = { attempts: 2, minDelayMs: 1_000, jitter: false };
		const jobs = bus.handle("job", handler, { concurrency: 1, key: keyOf, retry });
		for (const [index, key] of ["a", "a", "b"].entries()) bus.emit("job", { id: index + 1, key });
		await clock.advance(0);
		runs[0]!.reject(new Error("first attempt"));
		await clock.advance(0);
		expect(ids()).toEqual([1, 3]);
		runs[1]!.resolve(undefined);
		await clock.advance(999);
		expect(ids(), "the slot is free, and the key is held").toEqual([1, 3]);
		expect(jobs.pending).toBe(0);
		expect(jobs.size).toBe(2);
		await clock.advance(1);
		expect(ids()).toEqual([1, 3, 1]);
		runs[2]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([1, 3, 1, 2]);
		runs[3]!.resolve(undefined);
		await jobs.idle();
	});

	test("keeps the order of a key when its events all have to be repeated", async () => {
		const { bus, clock } = setup();
		const done: number[] = [];
		bus.handle(
			"job",
			async ({ id }, { attempt }) => {
				if (attempt <= id % 3) throw new Error("again");
				done.push(id);
			},
			{ key: keyOf, concurrency: 4, retry: { attempts: 3 } },
		);
		for (let id = 0; id < 12; id++) bus.emit("job", { id, key: id < 8 ? "a" : "b" });
		await clock.advance(600_000);
		expect(done.filter((id) => id < 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
		expect(done.filter((id) => id >= 8)).toEqual([8, 9, 10, 11]);
	});

	test("gives each attempt its own context and a fresh signal", async () => {
		const { bus, clock } = setup();
		const { handler, runs } = heldHandler();
		bus.handle("job", handler, { timeoutMs: 100, retry: { attempts: 2 } });
		const emission = bus.emit("job", { id: 1 });
		await clock.advance(100);
		runs[0]!.resolve(undefined);
		await clock.advance(30_000);
		const [first, second] = runs.map(({ context }) => context);
		expect(first?.signal.aborted).toBe(true);
		expect(second?.signal).not.toBe(first?.signal);
		expect([first?.attempt, second?.attempt]).toEqual([1, 2]);
		expect(second?.event).toBe(first?.event);
		expect(second?.event.id).toBe(emission.event.id);
		runs[1]!.resolve(undefined);
		await emission.settled;
	});
});
