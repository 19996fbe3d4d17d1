import { describe, expect, test, vi } from "vitest";
import { openDurableBus } from "../../test/support/durable-bus.ts";
import { watch } from "../../test/support/watch.ts";
import { CallhookError } from "../errors.ts";
import type { OutboxOptions } from "./outbox-options.ts";

const busy = new CallhookError("ERR_CALLHOOK_STORE_UNAVAILABLE", "locked", { reason: "busy" });

/** A bus whose store takes nothing until it is mended. */
function setup(whenUnavailable: OutboxOptions["whenUnavailable"], error: unknown = busy) {
	const bench = openDurableBus({ outbox: { whenUnavailable } });
	const { bus, store } = bench;
	const run = vi.fn();
	bus.handle("job", run, { name: "h", durable: true, key: () => "all" });
	const [called, handled] = [vi.fn(), vi.fn()];
	bus.on("job", called);
	bus.handle("job", handled);
	const append = vi.spyOn(store, "append").mockRejectedValue(error);
	const dataOf = ({ mock }: typeof run): unknown[] => mock.calls.map(([data]) => data);
	return {
		...{ ...bench, append },
		mend: () => append.mockRestore(),
		emit: (from: number, to = from) =>
			Array.from({ length: to - from + 1 }, (_, index) =>
				bus.emit("job", from + index, { id: `e${from + index}` }),
			),
		/** The data that the durable handler, the callback and the other handler got. */
		seen: () => [run, called, handled].map(dataOf),
	};
}

describe("whenUnavailable: reject", () => {
	test.each(["reject", undefined] as const)(
		"(%s) rejects `stored` at once, and asks no second time",
		async (when) => {
			const { clock, append, mend, emit, seen, errors } = setup(when);
			const emissions = emit(1, 2);
			for (const { stored } of emissions) await expect(stored).rejects.toBe(busy);
			expect(append).toHaveBeenCalledTimes(1);
			await clock.advance(60_000);
			expect(append).toHaveBeenCalledTimes(1);
			expect(errors).toEqual(["outbox append: locked", "outbox append: locked"]);
			expect(seen()).toEqual([[], [1, 2], [1, 2]]);
			expect((await emissions[0]!.settled).ok).toBe(true);
			mend();
			for (const { stored } of emit(3)) await stored;
			await clock.advance(0);
			expect(seen()[0]).toEqual([3]);
		},
	);
});

describe("whenUnavailable: wait", () => {
	test("keeps events, in order, until the store is back; callbacks and other handlers run meanwhile", async () => {
		const { bus, clock, append, mend, emit, seen, errors, flush, rows } = setup("wait");
		const emissions = emit(1, 3);
		await clock.advance(2_500);
		emissions.push(...emit(4, 5));
		await flush();
		const stored = emissions.map((each) => watch(each.stored as Promise<unknown>));
		const idle = watch(bus.idle());
		await clock.advance(2_500);
		expect(stored.map(({ isOver }) => isOver)).toEqual([false, false, false, false, false]);
		expect(idle.isOver).toBe(false);
		expect(seen()).toEqual([[], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);
		expect((await emissions[0]!.settled).ok).toBe(true);
		expect(errors).toEqual(["outbox append: locked"]);
		expect(append.mock.calls.map(([batch]) => batch.map(({ event }) => event.id))).toEqual(
			Array.from({ length: 6 }, () => ["e1", "e2", "e3"]),
		);
		mend();
		await clock.advance(1_000);
		await flush();
		await Promise.all(stored.map(({ promise }) => promise));
		expect(seen()[0]).toEqual([1, 2, 3, 4, 5]);
		expect(await rows()).toEqual([1, 2, 3, 4, 5].map((id) => `e${id} handler:h delivered`));
		expect(idle.isOver).toBe(true);
		expect(errors).toHaveLength(1);
	});

	test("asks once a second, however many events come: no hot loop", async () => {
		const { clock, append, emit } = setup("wait");
		for (let second = 0; second < 60; second++) {
			emit(second * 10, second * 10 + 9);
			await clock.advance(1_000);
		}
		expect(append).toHaveBeenCalledTimes(61);
	});

	test("takes what comes while it waits in batches of 500, behind what came before", async () => {
		const { clock, store, append, mend, emit, flush } = setup("wait");
		emit(1, 2);
		await clock.advance(500);
		emit(3, 700);
		await clock.advance(10_000);
		expect(append.mock.calls.every(([batch]) => batch.length === 2)).toBe(true);
		mend();
		const kept = vi.spyOn(store, "append");
		await clock.advance(1_000);
		await flush();
		expect(kept.mock.calls.map(([batch]) => batch.length)).toEqual([2, 500, 198]);
		const ids = kept.mock.calls.flatMap(([batch]) => batch.map(({ event }) => event.id));
		expect(ids).toEqual(Array.from({ length: 700 }, (_, index) => `e${index + 1}`));
	});

	test("reports each outage once", async () => {
		const { clock, store, mend, emit, errors } = setup("wait");
		emit(1);
		await clock.advance(5_000);
		mend();
		await clock.advance(1_000);
		vi.spyOn(store, "append").mockRejectedValueOnce(busy);
		const [emission] = emit(2);
		await clock.advance(1_000);
		await emission!.stored;
		expect(errors).toEqual(["outbox append: locked", "outbox append: locked"]);
	});

	test.each<[string, unknown]>([
		["an Error", new Error("bug")],
		[
			"a store that is damaged",
			new CallhookError("ERR_CALLHOOK_STORE_DAMAGED", "damaged", { reason: "bits" }),
		],
		["a store that is closed", new CallhookError("ERR_CALLHOOK_CLOSED", "closed", { what: "store" })],
		["what is no error", "locked"],
	])("does not wait for %s", async (_what, error) => {
		const { clock, append, emit } = setup("wait", error);
		const [emission] = emit(1);
		await expect(emission!.stored).rejects.toBe(error);
		await clock.advance(60_000);
		expect(append).toHaveBeenCalledTimes(1);
	});

	test("waits no longer when what fails becomes another fault", async () => {
		const { clock, append, emit, errors } = setup("wait");
		const [emission] = emit(1);
		const stored = watch(emission!.stored as Promise<unknown>);
		await clock.advance(1_000);
		expect(stored.isOver).toBe(false);
		const fault = new Error("bug");
		append.mockRejectedValue(fault);
		await clock.advance(1_000);
		await expect(stored.promise).rejects.toBe(fault);
		expect(errors).toEqual(["outbox append: locked", "outbox append: bug"]);
	});

	test("of events with deliveries that a key function routes asks it once for each event", async () => {
		const { bus, clock, mend, flush } = setup("wait");
		const key = vi.fn(() => "k");
		bus.handle("other", () => undefined, { name: "keyed", durable: true, key });
		bus.emit("other", 1);
		await clock.advance(5_000);
		mend();
		await clock.advance(1_000);
		await flush();
		expect(key).toHaveBeenCalledTimes(1);
	});
});

describe("whenUnavailable: wait - the end of the bus", () => {
	test("close() gives up what waits: `stored` rejects with the store's error, and no timer stays", async () => {
		const { bus, clock, append, emit, errors, flush } = setup("wait");
		const emissions = emit(1, 2);
		await clock.advance(2_500);
		emissions.push(...emit(3));
		await flush();
		const calls = append.mock.calls.length;
		await bus.close();
		await flush();
		for (const { stored } of emissions) await expect(stored).rejects.toBe(busy);
		expect(append.mock.calls.length - calls).toBe(2);
		expect(errors).toEqual(Array(4).fill("outbox append: locked"));
		expect([clock.timers, bus.stats().open]).toEqual([0, 0]);
	});

	test("close() while the store is asked does not wait either", async () => {
		const { bus, clock, append, emit, flush } = setup("wait");
		let fail = (_error: unknown): void => {};
		append.mockImplementationOnce(() => new Promise((_, reject) => (fail = reject)));
		const [emission] = emit(1);
		await flush();
		await bus.close();
		fail(busy);
		await expect(emission!.stored).rejects.toBe(busy);
		await flush();
		expect([append.mock.calls.length, clock.timers]).toEqual([1, 0]);
	});

	test("close() keeps what the store takes at the last moment", async () => {
		const { bus, clock, mend, emit, rows } = setup("wait");
		const [emission] = emit(1);
		await clock.advance(500);
		mend();
		await bus.close();
		await emission!.stored;
		expect(await rows()).toEqual(["e1 handler:h pending"]);
	});

	test("drain() waits for the store, so long as it has time, then says what is left", async () => {
		const { bus, clock, emit, flush } = setup("wait");
		const emissions = emit(1, 2);
		const drained = watch(bus.drain({ timeoutMs: 5_500 }));
		await clock.advance(5_499);
		expect(drained.isOver).toBe(false);
		await clock.advance(1);
		await flush();
		expect(await drained.promise).toMatchObject({ isDrained: false, left: 2 });
		for (const { stored } of emissions) await expect(stored).rejects.toBe(busy);
		expect(clock.timers).toBe(0);
	});

	test("drain() ends well when the store is back in time", async () => {
		const { bus, clock, mend, emit, flush, rows } = setup("wait");
		const [emission] = emit(1);
		const drained = watch(bus.drain({ timeoutMs: 5_500 }));
		await clock.advance(2_000);
		mend();
		await clock.advance(1_000);
		await flush();
		expect(await drained.promise).toMatchObject({ isDrained: true, left: 0, deliveries: 1 });
		await emission!.stored;
		expect(await rows()).toEqual(["e1 handler:h pending"]);
	});
});
