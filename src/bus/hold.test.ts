import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { fakeGroup } from "../../test/support/target-group.ts";
import { codeOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { BusOptions } from "./bus-options.ts";
import { createBus } from "./create-bus.ts";
import type { Emission } from "./emission.ts";

const events = defineEvents({ job: z.number(), other: z.number() });

function setup(options: Pick<BusOptions, "startHeld"> = {}) {
	const clock = fakeClock();
	const onError = vi.fn();
	const store = memoryStore({ clock });
	const append = vi.spyOn(store, "append");
	const bus = createBus({ ...options, clock, onError, events, store });
	bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
	const called: number[] = [];
	const handled: number[] = [];
	bus.on("**", (data) => void called.push(data));
	bus.handle("**", (data) => void handled.push(data));
	const stored = (): unknown[] =>
		append.mock.calls.flatMap(([batch]) => batch.map(({ event }) => event.dataJson));
	return { bus, clock, onError, called, handled, stored };
}

function watchAll({ accepted, stored, settled }: Emission) {
	return [accepted, stored, settled].map((promise) => watch<unknown>(promise));
}

describe("hold() - what is emitted through it", () => {
	test("is checked at once as by bus.emit, and counts only when it is valid", async () => {
		const { bus } = setup();
		const held = bus.hold();
		const loose = held as never as { emit(type: string, data: unknown, options?: unknown): unknown };
		expect(codeOf(() => loose.emit("job", "one"))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(codeOf(() => loose.emit("jobs", 1))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(codeOf(() => loose.emit("job", 1, { key: "" }))).toBe("ERR_CALLHOOK_INVALID_OPTION");
		expect(codeOf(() => loose.emit("job", 1, { metadata: { big: 1n } }))).toBe(
			"ERR_CALLHOOK_NOT_SERIALIZABLE",
		);
		expect(held.size).toBe(0);
		held.emit("job", 1);
		expect(held.size).toBe(1);
		await bus.close();
		expect(codeOf(() => held.emit("job", 1))).toBe("ERR_CALLHOOK_CLOSED");
		expect(codeOf(() => held.release())).toBe("ERR_CALLHOOK_CLOSED");
		expect(codeOf(() => bus.hold())).toBe("ERR_CALLHOOK_CLOSED");
	});

	test("runs nothing and is neither accepted nor stored nor settled until it is released", async () => {
		const { bus, clock, called, handled, stored } = setup();
		const held = bus.hold();
		const emission = held.emit("job", 1);
		const promises = watchAll(emission);
		await clock.advance(60_000);
		expect([called, handled, stored()]).toEqual([[], [], []]);
		expect(promises.map(({ isOver }) => isOver)).toEqual([false, false, false]);
		held.release();
		expect(called).toEqual([1]);
		await clock.advance(0);
		expect([handled, stored()]).toEqual([[1], ["1"]]);
		expect(promises.map(({ isOver }) => isOver)).toEqual([true, true, true]);
		const report = await emission.settled;
		expect(report).toMatchObject({ state: "delivered", ok: true, event: emission.event });
		expect(report.outcomes).toHaveLength(2);
		expect(emission.event.time).toBe("2026-01-01T00:00:00.000Z");
	});

	test("is delivered in order on release, and nothing a second time", () => {
		const { bus, called } = setup();
		const held = bus.hold();
		const another = bus.hold();
		held.emit("job", 1);
		another.emit("job", 9);
		held.emit("other", 2);
		held.emit("job", 3);
		bus.emit("job", 0);
		expect(held.size).toBe(3);
		held.release();
		held.release();
		expect(called).toEqual([0, 1, 2, 3]);
		expect([held.size, another.size]).toEqual([0, 1]);
		held.emit("job", 4);
		expect(called).toEqual([0, 1, 2, 3]);
		held.release();
		expect(called).toEqual([0, 1, 2, 3, 4]);
	});

	test("reaches who subscribed before the release, and not who had gone", async () => {
		const { bus, clock } = setup();
		const [gone, late, handler] = [vi.fn(), vi.fn(), vi.fn()];
		const off = bus.on("job", gone);
		const held = bus.hold();
		const { settled } = held.emit("job", 1);
		off();
		const offLate = bus.on("job", late);
		const subscription = bus.handle("job", handler);
		held.release();
		await clock.advance(0);
		expect([gone, late, handler].map(({ mock }) => mock.calls.length)).toEqual([0, 1, 1]);
		const report = await settled;
		expect(report.outcomes).toHaveLength(4);
		expect(report.outcomeOf(offLate)?.status).toBe("fulfilled");
		expect(report.outcomeOf(subscription)?.status).toBe("fulfilled");
	});

	test("reaches the outbox as it was emitted, whoever changed the data since", async () => {
		const loose = defineEvents({ thing: z.custom<{ total: number }>() });
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const append = vi.spyOn(store, "append");
		const bus = createBus({ clock, store, events: loose });
		bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
		const held = bus.hold();
		const data = { total: 1 };
		const { event } = held.emit("thing", data, { key: "k", metadata: { by: "me" }, idempotencyKey: "once" });
		data.total = 2;
		await clock.advance(1_000);
		held.release();
		await clock.advance(0);
		expect(append.mock.calls[0]?.[0]).toMatchObject([
			{
				idempotencyKey: "once",
				event: {
					...{ id: event.id, time: "2026-01-01T00:00:00.000Z", key: "k" },
					...{ dataJson: '{"total":1}', metadataJson: '{"by":"me"}' },
				},
			},
		]);
	});

	test("that a target took only since then and cannot be JSON fails in the outbox alone", async () => {
		const clock = fakeClock();
		const onError = vi.fn();
		const bus = createBus({
			clock,
			onError,
			store: memoryStore({ clock }),
			events: defineEvents({ big: z.any() }),
		});
		const callback = vi.fn();
		bus.on("big", callback);
		const held = bus.hold();
		const emission = held.emit("big", 1n);
		bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
		expect(() => held.release()).not.toThrow();
		const error = expect.objectContaining({ code: "ERR_CALLHOOK_NOT_SERIALIZABLE" });
		await expect(emission.stored).rejects.toEqual(error);
		expect(onError.mock.calls).toEqual([
			[error, { source: "outbox", name: "append", event: emission.event }],
		]);
		expect(callback).toHaveBeenCalledTimes(1);
		expect((await emission.settled).ok).toBe(true);
		await bus.idle();
	});

	test("is cancelled on discard: nothing ever runs, its promises resolve", async () => {
		const { bus, clock, called, handled, stored } = setup();
		const held = bus.hold();
		const emissions = [held.emit("job", 1), held.emit("job", 2)];
		held.discard();
		expect(held.size).toBe(0);
		held.release();
		await clock.advance(60_000);
		expect([called, handled, stored()]).toEqual([[], [], []]);
		for (const { accepted, stored: kept, settled } of emissions) {
			await Promise.all([accepted, kept]);
			expect(await settled).toMatchObject({ state: "cancelled", ok: true, outcomes: [], failed: [] });
		}
		expect(bus.stats().open).toBe(0);
	});

	test("is discarded at the end of a block that was left without a release", async () => {
		const { bus, called } = setup();
		let emission: Emission | undefined;
		{
			using held = bus.hold();
			emission = held.emit("job", 1);
		}
		expect((await emission.settled).state).toBe("cancelled");
		{
			using held = bus.hold();
			emission = held.emit("job", 2);
			held.release();
		}
		expect((await emission.settled).state).toBe("delivered");
		expect(called).toEqual([2]);
	});

	test("can be cancelled by itself, once", async () => {
		const { bus, called } = setup();
		const held = bus.hold();
		const [first, second] = [held.emit("job", 1), held.emit("job", 2)];
		expect([first.cancel(), first.cancel()]).toEqual([true, false]);
		expect(held.size).toBe(1);
		held.release();
		expect(called).toEqual([2]);
		expect([first.cancel(), second.cancel()]).toEqual([false, false]);
		expect((await first.settled).state).toBe("cancelled");
		expect((await second.settled).state).toBe("delivered");
	});
});

describe("hold() - a consumer in the middle of a release", () => {
	test("may release again: nothing comes twice", () => {
		const { bus, called } = setup();
		const held = bus.hold();
		bus.on("job", () => held.release());
		for (const data of [1, 2, 3]) held.emit("job", data);
		held.release();
		expect(called).toEqual([1, 2, 3]);
		expect(held.size).toBe(0);
	});

	test("may hold back another, which waits for the next release", () => {
		const { bus, called } = setup();
		const held = bus.hold();
		bus.on("job", (data) => {
			if (data < 50) held.emit("job", data + 10);
		});
		held.emit("job", 1);
		held.emit("job", 2);
		held.release();
		expect(called).toEqual([1, 2]);
		expect(held.size).toBe(2);
		held.release();
		expect(called).toEqual([1, 2, 11, 12]);
	});

	test("may cancel one that has not come yet, and cannot cancel its own", async () => {
		const { bus, called } = setup();
		const held = bus.hold();
		const answers: boolean[] = [];
		const emissions: Emission[] = [1, 2, 3].map((data) => held.emit("job", data));
		bus.on("job", (data) => {
			if (data === 1) answers.push(emissions[0]!.cancel(), emissions[1]!.cancel());
		});
		held.release();
		expect(called).toEqual([1, 3]);
		expect(answers).toEqual([false, true]);
		const states = await Promise.all(emissions.map(async ({ settled }) => (await settled).state));
		expect(states).toEqual(["delivered", "cancelled", "delivered"]);
	});

	test("may close the bus: the rest is cancelled", async () => {
		const { bus, called, onError } = setup();
		const held = bus.hold();
		bus.on("job", () => void bus.close());
		const emissions = [held.emit("job", 1), held.emit("job", 2)];
		held.release();
		expect(called).toEqual([1]);
		expect((await emissions[1]!.settled).state).toBe("cancelled");
		expect(onError.mock.calls.map(([, { source }]) => source)).toEqual(["handler"]);
	});

	test("may throw: the others come all the same", () => {
		const { bus, called, onError } = setup();
		const held = bus.hold();
		bus.on("job", () => {
			throw new Error("callback");
		});
		held.emit("job", 1);
		held.emit("job", 2);
		held.release();
		expect(called).toEqual([1, 2]);
		expect(onError).toHaveBeenCalledTimes(2);
	});
});

describe("hold() - keeps of the emit", () => {
	test("its cause, not that of the release", async () => {
		const { bus, clock } = setup();
		const held = bus.hold();
		const off = bus.on("other", (data) => void (data === 1 ? held.emit("job", 1) : held.release()));
		const causes: (string | undefined)[] = [];
		bus.on("job", (_data, { causationId }) => void causes.push(causationId));
		bus.handle("job", (_data, { event }) => void causes.push(event.causationId));
		bus.emit("other", 1, { id: "emits" });
		bus.emit("other", 2, { id: "releases" });
		off();
		await clock.advance(0);
		expect(causes).toEqual(["emits", "emits"]);
	});

	test("its AsyncLocalStorage context, for callbacks and handlers", async () => {
		const { bus, clock } = setup();
		const request = new AsyncLocalStorage<string>();
		const seen: (string | undefined)[] = [];
		bus.on("job", () => void seen.push(request.getStore()));
		bus.handle("job", () => void seen.push(request.getStore()));
		const held = bus.hold();
		request.run("a", () => void held.emit("job", 1));
		held.emit("job", 2);
		request.run("release", () => {
			held.release();
			seen.push(request.getStore());
		});
		await clock.advance(0);
		expect(seen).toEqual(["a", undefined, "release", "a", undefined]);
	});

	test("its delay, which began with the emit", async () => {
		const { bus, clock, called } = setup();
		const held = bus.hold();
		const emission = held.emit("job", 1, { delayMs: 8_000 });
		held.emit("job", 2, { delayMs: 1_000 });
		const promises = watchAll(emission);
		const { timers } = clock;
		await clock.advance(5_000);
		expect(clock.timers).toBe(timers);
		held.release();
		expect(held.size).toBe(0);
		expect(called).toEqual([]);
		await clock.advance(2_999);
		expect(called).toEqual([2]);
		expect(promises.map(({ isOver }) => isOver)).toEqual([false, false, false]);
		await clock.advance(1);
		expect(called).toEqual([2, 1]);
		expect((await emission.settled).state).toBe("delivered");
		expect(bus.stats().open).toBe(0);
	});

	test("the moment `at`, which may have passed at the release; and can be cancelled all along", async () => {
		const { bus, clock, called } = setup();
		const held = bus.hold();
		held.emit("job", 1, { at: clock.now() + 3_000 });
		held.emit("job", 2, { at: clock.now() + 10_000 });
		const third = held.emit("job", 3, { delayMs: 6_000 });
		await clock.advance(5_000);
		held.release();
		expect(called).toEqual([]);
		await clock.advance(0);
		expect(called).toEqual([1]);
		expect(third.cancel()).toBe(true);
		await clock.advance(4_999);
		expect(called).toEqual([1]);
		await clock.advance(1);
		expect(called).toEqual([1, 2]);
		expect((await third.settled).state).toBe("cancelled");
	});
});

describe("startHeld", () => {
	test("keeps early events for late subscribers, in order, until release()", async () => {
		const { bus, clock, called, handled, stored } = setup({ startHeld: true });
		const emitJob = bus.emitter("job");
		const emissions = [bus.emit("job", 1), emitJob(2), bus.emit("other", 3, { key: "k" })];
		const promises = emissions.flatMap(watchAll);
		const late = vi.fn();
		bus.on("**", late);
		await clock.advance(60_000);
		expect([called, handled, stored()]).toEqual([[], [], []]);
		expect(promises.filter(({ isOver }) => isOver)).toEqual([]);
		bus.release();
		expect(called).toEqual([1, 2, 3]);
		expect(late.mock.calls.map(([data]) => data)).toEqual([1, 2, 3]);
		await clock.advance(0);
		expect([handled, stored()]).toEqual([
			[1, 2, 3],
			["1", "2", "3"],
		]);
		expect(promises.every(({ isOver }) => isOver)).toBe(true);
		bus.emit("job", 4);
		emitJob(5);
		expect(called).toEqual([1, 2, 3, 4, 5]);
	});

	test("keeps events of a bus without a catalog, which had nothing to check, too", () => {
		const bus = createBus({ startHeld: true });
		const callback = vi.fn((_data: unknown) => undefined);
		bus.on("job", callback);
		bus.emit("job", 1);
		expect(callback).not.toHaveBeenCalled();
		bus.release();
		bus.emit("job", 2);
		expect(callback.mock.calls.map(([data]) => data)).toEqual([1, 2]);
	});

	test("keeps events too that a hold releases, and those whose delay ends meanwhile", async () => {
		const { bus, clock, called } = setup({ startHeld: true });
		const held = bus.hold();
		held.emit("job", 1);
		const cancelled = held.emit("job", 2);
		held.emit("job", 3, { delayMs: 1_000 });
		held.release();
		bus.emit("job", 4, { delayMs: 1_000 });
		await clock.advance(1_000);
		expect(called).toEqual([]);
		expect(cancelled.cancel()).toBe(true);
		bus.release();
		expect(called).toEqual([1, 3]);
		await clock.advance(0);
		expect(called).toEqual([1, 3, 4]);
		expect(bus.stats().open).toBe(0);
	});

	test("delivers once however often it is released, also from within; without startHeld release() does nothing", async () => {
		const { bus, called } = setup({ startHeld: true });
		bus.on("job", (data) => {
			bus.release();
			if (data === 1) bus.emit("other", 9);
		});
		bus.emit("job", 1);
		bus.emit("job", 2);
		bus.release();
		bus.release();
		expect(called).toEqual([1, 9, 2]);
		const never = setup();
		never.bus.release();
		await never.bus.close();
		expect(() => never.bus.release()).not.toThrow();
	});

	test("is cancelled on close; then release() says so", async () => {
		const { bus, called } = setup({ startHeld: true });
		const { settled } = bus.emit("job", 1);
		await bus.close();
		expect((await settled).state).toBe("cancelled");
		expect(codeOf(() => bus.release())).toBe("ERR_CALLHOOK_CLOSED");
		expect(called).toEqual([]);
	});
});
