import { describe, expect, test, vi } from "vitest";
import { thrownBy } from "../../test/support/thrown.ts";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

function setup() {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ job: number; other: number }>({ clock, onError });
	const runs: (Deferred<unknown> & { context: HandlerContext })[] = [];
	const handler = (_data: number, context: HandlerContext): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, context });
		return done.promise;
	};
	return { bus, clock, onError, handler, runs };
}

function expectClosed(run: () => unknown): void {
	const error = thrownBy(run);
	expect(error).toMatchObject({ code: "ERR_CALLHOOK_CLOSED", details: { what: "bus" } });
	expect(error.message).toContain("closed");
}

/** Every way into the bus. */
function expectIntakeClosed(bus: ReturnType<typeof setup>["bus"], emitJob: (data: number) => unknown): void {
	expectClosed(() => bus.emit("job", 1));
	expectClosed(() => bus.emit("job", 1, { key: "k" }));
	expectClosed(() => bus.emit("other", 1));
	expectClosed(() => emitJob(1));
	expectClosed(() => bus.emitter("other"));
	expectClosed(() => bus.on("job", () => undefined));
	expectClosed(() => bus.once("*", () => undefined));
	expectClosed(() => bus.handle("job", () => undefined));
}

describe("drain()", () => {
	test("of a bus with nothing to do reports so and closes the intake", async () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.on("job", callback);
		const emitJob = bus.emitter("job");
		emitJob(1);
		expect(await bus.drain()).toMatchObject({ isDrained: true, left: 0, handlers: [], deliveries: 0 });
		expectIntakeClosed(bus, emitJob);
		expect(callback).toHaveBeenCalledTimes(1);
	});

	test("waits for callbacks, for queued events and for retries", async () => {
		const { bus, clock, handler, runs } = setup();
		const callback = createDeferred<void>();
		bus.on("job", () => callback.promise);
		bus.handle("job", handler, { concurrency: 1, retry: { minDelayMs: 1_000, jitter: false } });
		bus.emit("job", 1);
		bus.emit("job", 2);
		const drained = vi.fn();
		const report = bus.drain();
		void report.then(drained);
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(0);
		runs[1]!.resolve(undefined);
		callback.resolve();
		await clock.advance(999);
		expect(drained).not.toHaveBeenCalled();
		await clock.advance(1);
		expect(drained).not.toHaveBeenCalled();
		runs[2]!.resolve(undefined);
		expect(await report).toMatchObject({ isDrained: true, left: 0, handlers: [], deliveries: 0 });
		expect(clock.timers).toBe(0);
	});

	test("accepts what consumers emit while it waits", async () => {
		const { bus } = setup();
		const handled: number[] = [];
		bus.handle("job", (data) => {
			handled.push(data);
			if (data < 100) bus.emit("job", data + 1);
		});
		bus.emit("job", 1);
		expect((await bus.drain()).isDrained).toBe(true);
		expect(handled).toHaveLength(100);
		expectClosed(() => bus.emit("job", 1));
	});

	test("waits too for what is emitted by who awaited the last emission", async () => {
		const { bus } = setup();
		const handled: number[] = [];
		bus.handle("job", async (data) => {
			await Promise.resolve();
			handled.push(data);
		});
		void bus.emit("job", 1).settled.then(() => bus.emit("job", 2));
		expect(await bus.drain()).toMatchObject({ isDrained: true, left: 0 });
		expect(handled).toEqual([1, 2]);
	});

	test("ends after timeoutMs, closes the intake and says what is left", async () => {
		const { bus, clock, handler, runs } = setup();
		const callback = createDeferred<void>();
		bus.on("other", () => callback.promise);
		bus.handle("job", handler, { name: "slow", concurrency: 1 });
		bus.handle("job", () => undefined, { name: "quick" });
		const emitJob = bus.emitter("job");
		const emission = emitJob(1);
		emitJob(2);
		bus.emit("other", 3);
		const report = bus.drain({ timeoutMs: 5_000 });
		const drained = vi.fn();
		void report.then(drained);
		await clock.advance(4_999);
		expect(drained).not.toHaveBeenCalled();
		expect(() => bus.emit("other", 4)).not.toThrow();
		await clock.advance(1);
		expect(await report).toMatchObject({
			isDrained: false,
			left: 4,
			handlers: [{ name: "slow", succeeded: 0, failed: 0, retried: 0, running: 1, queued: 1 }],
			deliveries: 0,
		});
		expectIntakeClosed(bus, emitJob);
		expect(runs[0]!.context.signal.aborted, "drain gives nothing up").toBe(false);
		runs[0]!.resolve("late");
		expect((await emission.settled).ok).toBe(true);
	});

	test("with a timeoutMs leaves no timer when it ends before", async () => {
		const { bus, clock, handler, runs } = setup();
		bus.handle("job", handler);
		bus.emit("job", 1);
		const report = bus.drain({ timeoutMs: 5_000 });
		await clock.advance(0);
		expect(clock.timers).toBe(1);
		runs[0]!.resolve(undefined);
		expect((await report).isDrained).toBe(true);
		expect(clock.timers).toBe(0);
	});

	test("of timeoutMs 0 closes the intake in this turn", async () => {
		const { bus, clock, handler } = setup();
		bus.handle("job", handler);
		bus.emit("job", 1);
		const report = bus.drain({ timeoutMs: 0 });
		await clock.advance(0);
		expect(await report).toMatchObject({ isDrained: false, left: 1 });
	});
});

describe("close()", () => {
	test("refuses emits and subscriptions from the moment it is called", async () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.on("job", callback);
		const emitJob = bus.emitter("job");
		emitJob(1);
		const closed = bus.close();
		expectIntakeClosed(bus, emitJob);
		await closed;
		expectIntakeClosed(bus, emitJob);
		expect(callback).toHaveBeenCalledTimes(1);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("gives up what is queued, behind a key and waiting for a retry, each reported once", async () => {
		const { bus, clock, onError, handler, runs } = setup();
		bus.handle("job", handler, {
			name: "worker",
			concurrency: 2,
			key: (data) => String(Math.min(data, 3)),
			retry: { jitter: false },
		});
		const emissions = [1, 2, 3, 4, 5].map((data) => bus.emit("job", data));
		await clock.advance(0);
		runs[0]!.reject(new Error("waits for its retry"));
		await clock.advance(0);
		await bus.close();
		expect(onError).toHaveBeenCalledTimes(3);
		await clock.advance(60_000);
		expect(runs.map(({ context }) => context.event.data)).toEqual([1, 2, 3]);
		const givenUp = [emissions[0]!, emissions[3]!, emissions[4]!];
		for (const { settled, event } of givenUp) {
			const error = (await settled).failed[0]?.error as CallhookError<"ERR_CALLHOOK_STOPPED">;
			expect(isCallhookError(error, "ERR_CALLHOOK_STOPPED")).toBe(true);
			expect(error.details).toEqual({ what: "bus" });
			expect(onError).toHaveBeenCalledWith(error, { source: "handler", name: "worker", event });
		}
		expect((await givenUp[0]!.settled).outcomes[0]?.attempts).toBe(1);
		expect((await givenUp[1]!.settled).outcomes[0]?.attempts).toBe(0);
		expect(clock.timers).toBe(0);
	});

	test("fires the signals of what runs, and a success behind that still counts", async () => {
		const { bus, clock, handler, runs } = setup();
		bus.handle("job", handler, { retry: { attempts: 5 } });
		const emissions = [bus.emit("job", 1), bus.emit("job", 2)];
		await clock.advance(0);
		const onAbort = vi.fn();
		const { signal } = runs[0]!.context;
		signal.addEventListener("abort", onAbort);
		await bus.close();
		expect(onAbort).toHaveBeenCalledTimes(1);
		expect(isCallhookError(signal.reason, "ERR_CALLHOOK_STOPPED")).toBe(true);
		expect(runs[1]!.context.signal.aborted, "read for the first time after close").toBe(true);
		runs[0]!.resolve("finished all the same");
		const error = new Error("aborted");
		runs[1]!.reject(error);
		await clock.advance(60_000);
		expect((await emissions[0]!.settled).ok).toBe(true);
		expect((await emissions[1]!.settled).failed).toMatchObject([{ attempts: 1, error }]);
		expect(runs, "no retry").toHaveLength(2);
	});

	test("inside a callback runs the callbacks of that emit and none of its handlers", async () => {
		const { bus, clock, onError } = setup();
		const after = vi.fn();
		const handler = vi.fn();
		bus.on("job", () => void bus.close());
		bus.on("job", after);
		bus.handle("job", handler);
		const report = await bus.emit("job", 1).settled;
		await clock.advance(0);
		expect(after).toHaveBeenCalledTimes(1);
		expect(handler).not.toHaveBeenCalled();
		expect(report.failed.map(({ error }) => (error as CallhookError).code)).toEqual(["ERR_CALLHOOK_STOPPED"]);
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test.each([
		["limited", { concurrency: 1 }],
		["unlimited", {}],
	])("inside a handler gives up the events behind it (%s)", async (_name, options) => {
		const { bus, clock } = setup();
		const handled: number[] = [];
		bus.handle(
			"job",
			(data) => {
				handled.push(data);
				void bus.close();
			},
			options,
		);
		const emissions = [1, 2, 3].map((data) => bus.emit("job", data));
		await clock.advance(0);
		expect(handled).toEqual([1]);
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ ok }) => ok)).toEqual([true, false, false]);
	});

	test.each([
		["inside the signal of the failed attempt", (close: () => void) => close()],
		["between the failed attempt and its wait", (close: () => void) => queueMicrotask(close)],
	])("%s gives up its retry as well", async (_when, call) => {
		for (const options of [{ concurrency: 1 }, {}]) {
			for (const isAsync of [true, false]) {
				const { bus, clock, onError } = setup();
				const handler = vi.fn((): unknown => {
					if (isAsync) return Promise.reject(new Error("failed"));
					throw new Error("failed");
				});
				bus.handle("job", handler, { ...options, retry: { jitter: false } });
				bus.observe("handler:retry", () => call(() => void bus.close()));
				const { settled } = bus.emit("job", 1);
				await clock.advance(0);
				expect(clock.timers).toBe(0);
				const report = await settled;
				expect(report.failed).toMatchObject([{ attempts: 1, error: { code: "ERR_CALLHOOK_STOPPED" } }]);
				expect(onError).toHaveBeenCalledTimes(1);
				await clock.advance(60_000);
				expect(handler).toHaveBeenCalledTimes(1);
			}
		}
	});

	test("gives up what a paused handler holds, and may be called again", async () => {
		const { bus, handler, onError } = setup();
		const jobs = bus.handle("job", handler);
		jobs.pause();
		const { settled } = bus.emit("job", 1);
		await Promise.all([bus.close(), bus.close()]);
		await bus.close();
		expect((await settled).failed).toHaveLength(1);
		expect(onError).toHaveBeenCalledTimes(1);
		await jobs.stop();
	});

	test("leaves calls to end a subscription harmless", async () => {
		const { bus, handler } = setup();
		const end = bus.on("job", () => undefined);
		const jobs = bus.handle("job", handler);
		await bus.close();
		end();
		bus.off("job", handler);
		await jobs.stop();
		expect(bus.stats()).toEqual({ subscriptions: {}, handlers: [], open: 0 });
	});
});

describe("await using", () => {
	test("drains without a limit, then closes", async () => {
		const { bus, clock, handler, runs } = setup();
		const emission = createDeferred<ReturnType<typeof bus.emit>>();
		async function scope(): Promise<void> {
			await using scoped = bus;
			scoped.handle("job", handler, { retry: { minDelayMs: 1_000, jitter: false } });
			emission.resolve(scoped.emit("job", 1));
		}
		const ended = vi.fn();
		const scoped = scope().then(ended);
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(1_000);
		expect(ended).not.toHaveBeenCalled();
		runs[1]!.resolve("second attempt");
		await scoped;
		const { settled } = await emission.promise;
		expect((await settled).ok).toBe(true);
		expectClosed(() => bus.emit("job", 2));
		expect(bus.stats().subscriptions).toEqual({});
	});
});
