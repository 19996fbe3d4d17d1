import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { fakeGroup } from "../../test/support/target-group.ts";
import { codeOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { defineEvents } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";

const day = 86_400_000;
const longestTimerMs = 2_147_483_647;

function setup(cut?: (clock: FakeClock) => Clock) {
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const append = vi.spyOn(store, "append");
	const onError = vi.fn();
	const events = defineEvents({ job: z.number() });
	const bus = createBus({ events, store, onError, clock: cut?.(clock) ?? clock });
	bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
	const called: [data: number, atMs: number][] = [];
	const startedAtMs = clock.now();
	bus.on("job", (data) => void called.push([data, clock.now() - startedAtMs]));
	const stored = (): unknown[] => append.mock.calls.flatMap(([batch]) => batch.map(({ event }) => event));
	return { bus, clock, onError, called, stored, startedAtMs };
}

describe("emit() with delayMs", () => {
	test("checks at once, and delivers when the time has come by the clock of the bus", async () => {
		const { bus, clock, called, stored } = setup();
		const { timers } = clock;
		expect(codeOf(() => bus.emit("job", "x" as never, { delayMs: 5 }))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(clock.timers).toBe(timers);
		const emission = bus.emit("job", 1, { delayMs: 5_000 });
		const promises = [emission.accepted, emission.stored, emission.settled].map((each) =>
			watch<unknown>(each),
		);
		expect(clock.timers).toBe(timers + 1);
		await clock.advance(4_999);
		expect([called, stored()]).toEqual([[], []]);
		expect(promises.map(({ isOver }) => isOver)).toEqual([false, false, false]);
		expect(bus.stats().open).toBe(1);
		await clock.advance(1);
		expect(called).toEqual([[1, 5_000]]);
		expect(promises.map(({ isOver }) => isOver)).toEqual([true, true, true]);
		expect((await emission.settled).state).toBe("delivered");
		expect(bus.stats().open).toBe(0);
	});

	test("by their times, equal ones in the order of emission, one of 0 ms behind the emit", async () => {
		const { bus, clock, called } = setup();
		for (const [data, delayMs] of [30, 10, 20, 10, 0].entries()) bus.emit("job", data, { delayMs });
		bus.emit("job", 9);
		expect(called).toEqual([[9, 0]]);
		await clock.advance(100);
		expect(called.map(([data]) => data)).toEqual([9, 4, 1, 3, 2, 0]);
		expect(bus.stats().open).toBe(0);
	});

	test("gives consumers and the outbox the event of the emit: its time, its ids, its data", async () => {
		const { bus, clock, stored } = setup();
		const options = { delayMs: 5_000, key: "k", causationId: "evt_0", metadata: { by: "me" } };
		const { event } = bus.emit("job", 1, options);
		options.key = "changed";
		options.metadata.by = "you";
		const consumer = vi.fn();
		bus.on("job", consumer);
		await clock.advance(5_000);
		expect(consumer.mock.calls).toEqual([[1, event]]);
		expect(event).toMatchObject({ key: "k", causationId: "evt_0", time: "2026-01-01T00:00:00.000Z" });
		expect(stored()).toMatchObject([
			{
				...{ id: event.id, time: event.time, key: "k", causationId: "evt_0" },
				...{ dataJson: "1", metadataJson: '{"by":"me"}' },
			},
		]);
	});

	test("reaches who subscribed in the meantime, handlers too, and not who has gone", async () => {
		const { bus, clock } = setup();
		const [gone, handler] = [vi.fn(), vi.fn()];
		const off = bus.on("job", gone);
		const { settled } = bus.emit("job", 1, { delayMs: 5_000 });
		off();
		bus.handle("job", handler);
		await clock.advance(5_000);
		expect(gone).not.toHaveBeenCalled();
		expect(handler).toHaveBeenCalledTimes(1);
		expect((await settled).outcomes.map(({ kind }) => kind)).toEqual(["callback", "handler"]);
	});

	test("keeps the AsyncLocalStorage context and the cause of the emit", async () => {
		const { bus, clock } = setup();
		const request = new AsyncLocalStorage<string>();
		const seen: unknown[] = [];
		bus.on("job", (data, { causationId }) => {
			if (data === 1) return void bus.emit("job", 2, { delayMs: 1_000 });
			seen.push([request.getStore(), causationId]);
		});
		bus.handle("job", (data, { event }) => {
			if (data === 2) seen.push([request.getStore(), event.causationId]);
		});
		request.run("a", () => void bus.emit("job", 1, { id: "first" }));
		await clock.advance(1_000);
		expect(seen).toEqual([
			["a", "first"],
			["a", "first"],
		]);
	});

	test("is taken back by cancel(), once, and leaves no timer", async () => {
		const { bus, clock, called, stored } = setup();
		const { timers } = clock;
		const emission = bus.emit("job", 1, { delayMs: 5_000 });
		expect([emission.cancel(), emission.cancel()]).toEqual([true, false]);
		expect(clock.timers).toBe(timers);
		expect(bus.stats().open).toBe(0);
		await Promise.all([emission.accepted, emission.stored]);
		const report = await emission.settled;
		expect(report).toMatchObject({ state: "cancelled", ok: true, outcomes: [] });
		expect(() => report.throwIfFailed()).not.toThrow();
		await clock.advance(10_000);
		expect([called, stored()]).toEqual([[], []]);
	});

	test("cannot be cancelled once it was delivered, nor can what was never delayed", async () => {
		const { bus, clock, called } = setup();
		const delayed = bus.emit("job", 1, { delayMs: 5 });
		const answers: boolean[] = [];
		bus.on("job", () => void answers.push(delayed.cancel()));
		await clock.advance(5);
		answers.push(delayed.cancel(), bus.emit("job", 2).cancel());
		expect(answers).toEqual([false, false, false, false]);
		expect(called).toHaveLength(2);
		expect((await delayed.settled).state).toBe("delivered");
	});

	test("waits outside a full queue when it comes: only then it is accepted", async () => {
		const { bus, clock } = setup();
		const handled: number[] = [];
		const jobs = bus.handle("job", (data) => void handled.push(data), { queue: { limit: 1 } });
		jobs.pause();
		bus.emit("job", 1);
		const accepted = watch(bus.emit("job", 2, { delayMs: 5 }).accepted);
		await clock.advance(5);
		expect(accepted.isOver).toBe(false);
		jobs.resume();
		await clock.advance(0);
		expect(accepted.isOver).toBe(true);
		expect(handled).toEqual([1, 2]);
	});
});

describe("emit() with at", () => {
	test.each([
		["a Date", (ms: number) => new Date(ms)],
		["milliseconds", (ms: number) => ms],
		["a text in RFC 3339", (ms: number) => new Date(ms).toISOString()],
	])("delivers at the moment that %s tells", async (_what, tell) => {
		const { bus, clock, called, startedAtMs } = setup();
		await clock.advance(1_000);
		const { event } = bus.emit("job", 1, { at: tell(startedAtMs + 3_000) });
		await clock.advance(1_999);
		expect(called).toEqual([]);
		await clock.advance(1);
		expect(called).toEqual([[1, 3_000]]);
		expect(event.time).toBe("2026-01-01T00:00:01.000Z");
	});

	test.each([0, 1, 10 * day])("delivers without waiting when that was %d ms ago", async (agoMs) => {
		const { bus, clock, called, startedAtMs } = setup();
		bus.emit("job", 1, { at: startedAtMs - agoMs });
		await clock.advance(0);
		expect(called).toEqual([[1, 0]]);
	});

	test("may be further away than a timer can hold, and cancelled at any time", async () => {
		const delays: number[] = [];
		// As the system's clock does.
		const { bus, clock, called, startedAtMs } = setup((fake) => ({
			...{ now: fake.now, clearTimeout: fake.clearTimeout },
			setTimeout(callback, delayMs) {
				delays.push(delayMs);
				return fake.setTimeout(callback, Math.min(delayMs, longestTimerMs));
			},
		}));
		bus.emit("job", 1, { at: startedAtMs + 60 * day });
		const other = bus.emit("job", 2, { at: startedAtMs + 60 * day });
		await clock.advance(60 * day - 1);
		expect(called).toEqual([]);
		expect(other.cancel()).toBe(true);
		await clock.advance(1);
		expect(called).toEqual([[1, 60 * day]]);
		expect(Math.max(...delays)).toBeLessThanOrEqual(longestTimerMs);
		expect(bus.stats().open).toBe(0);
	});
});

describe("delayed events - idle(), drain() and close()", () => {
	test("idle() and drain() wait for them", async () => {
		const { bus, clock, called } = setup();
		bus.emit("job", 1, { delayMs: 5_000 });
		const [idle, drained] = [watch(bus.idle()), watch(bus.drain())];
		await clock.advance(4_999);
		expect([idle.isOver, drained.isOver]).toEqual([false, false]);
		await clock.advance(1);
		expect([idle.isOver, drained.isOver]).toEqual([true, true]);
		expect(await drained.promise).toMatchObject({ isDrained: true, left: 0 });
		expect(called).toEqual([[1, 5_000]]);
	});

	test("drain() cancels and counts what is delayed or held when its time is up", async () => {
		const { bus, clock, called, onError } = setup();
		const held = bus.hold();
		const emissions = [
			bus.emit("job", 1, { delayMs: 2_000 }),
			bus.emit("job", 2, { delayMs: 60_000 }),
			held.emit("job", 3),
			held.emit("job", 4),
		];
		const drained = bus.drain({ timeoutMs: 5_000 });
		await clock.advance(5_000);
		expect(await drained).toMatchObject({ isDrained: false, left: 3, handlers: [] });
		const states = await Promise.all(emissions.map(async ({ settled }) => (await settled).state));
		expect(states).toEqual(["delivered", "cancelled", "cancelled", "cancelled"]);
		expect([held.size, clock.timers, bus.stats().open]).toEqual([0, 0, 0]);
		await clock.advance(60_000);
		expect(called).toEqual([[1, 2_000]]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("drain() goes on once what is held is released or discarded", async () => {
		const { bus, clock, called } = setup();
		const [released, discarded] = [bus.hold(), bus.hold()];
		released.emit("job", 1);
		discarded.emit("job", 2);
		const drained = watch(bus.drain());
		await clock.advance(60_000);
		expect(drained.isOver).toBe(false);
		released.release();
		await clock.advance(0);
		expect(drained.isOver).toBe(false);
		discarded.discard();
		expect(await drained.promise).toMatchObject({ isDrained: true, left: 0 });
		expect(called.map(([data]) => data)).toEqual([1]);
	});

	test("close() cancels them all, leaves no timer and nothing to report", async () => {
		const { bus, clock, called, onError, stored } = setup();
		const held = bus.hold();
		const emissions = [
			bus.emit("job", 1, { delayMs: 5_000 }),
			held.emit("job", 2),
			held.emit("job", 3, { delayMs: 5_000 }),
		];
		const idle = bus.idle();
		await bus.close();
		expect([held.size, clock.timers, bus.stats().open]).toEqual([0, 0, 0]);
		for (const { settled } of emissions) expect((await settled).state).toBe("cancelled");
		await idle;
		await clock.advance(60_000);
		expect([called, stored()]).toEqual([[], []]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("drain() and close() end open streams and waits, which are no open work", async () => {
		for (const end of ["drain", "close"] as const) {
			const { bus } = setup();
			const stream = bus.stream("job");
			const waiting = bus.waitFor("job", { where: ({ data }) => data > 1 });
			const rejected = expect(waiting).rejects.toMatchObject({ code: "ERR_CALLHOOK_CLOSED" });
			bus.emit("job", 1);
			await bus.idle();
			await bus[end]();
			await rejected;
			expect((await stream.next()).value).toMatchObject({ data: 1 });
			expect(await stream.next()).toEqual({ done: true, value: undefined });
		}
	});
});
