import { getEventListeners } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { rejectionOf, thrownBy } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { fakeClock } from "../testing/index.ts";
import type { Bus } from "./bus.ts";
import { createBus } from "./create-bus.ts";

type Events = { a: number; b: number; c: number; "order.paid": number };

function setup() {
	const clock = fakeClock();
	const onError = vi.fn();
	const bus = createBus<Events>({ clock, onError });
	/** Nothing is left of any wait. */
	const expectClean = async (): Promise<void> => {
		await clock.advance(0);
		expect(bus.stats().subscriptions).toEqual({});
		expect(clock.timers).toBe(0);
		expect(onError).not.toHaveBeenCalled();
	};
	return { bus, clock, onError, expectClean };
}

describe("waitFor() - resolves", () => {
	test("with the next event that matches, the very object that consumers get", async () => {
		const { bus, expectClean } = setup();
		const callback = vi.fn();
		bus.emit("order.paid", 1);
		const waiting = bus.waitFor("order.*");
		bus.emit("a", 2);
		const off = bus.on("order.paid", callback);
		const { event } = bus.emit("order.paid", 3);
		bus.emit("order.paid", 4);
		expect(await waiting).toBe(event);
		expect(callback.mock.calls[0]).toEqual([3, event]);
		off();
		await expectClean();
	});

	test("with the next event for which `where` answers yes", async () => {
		const { bus, expectClean } = setup();
		const where = vi.fn(({ data }: { data: number }) => data > 1);
		const waiting = bus.waitFor("a", { where });
		for (const data of [0, 1, 2, 3]) bus.emit("a", data);
		expect((await waiting).data).toBe(2);
		expect(where.mock.calls.map(([{ data }]) => data)).toEqual([0, 1, 2]);
		await expectClean();
	});

	test("everybody who waits with the same event", async () => {
		const { bus, expectClean } = setup();
		const waiting = [bus.waitFor("a"), bus.waitFor("*"), bus.waitFor("**")];
		const { event } = bus.emit("a", 1);
		expect(await Promise.all(waiting)).toEqual([event, event, event]);
		await expectClean();
	});

	test("though it is no consumer: no report and no open work knows of it", async () => {
		const { bus, expectClean } = setup();
		const waiting = bus.waitFor("a");
		expect(bus.stats()).toMatchObject({ subscriptions: { a: 1 }, open: 0 });
		const report = await bus.emit("a", 1).settled;
		expect(report.outcomes).toEqual([]);
		await waiting;
		await expectClean();
	});

	test("with the time of the emit, also where every callback takes only the data", async () => {
		const { bus, clock } = setup();
		bus.on("a", (_data) => undefined);
		const waiting = bus.waitFor("a");
		bus.emit("a", 1);
		await clock.advance(5_000);
		expect((await waiting).time).toBe("2026-01-01T00:00:00.000Z");
	});
});

describe("waitFor() one after the other - as if each event came in a turn of its own:", () => {
	test("misses nothing that was emitted in the same tick", async () => {
		const { bus, expectClean } = setup();
		const seen: number[] = [];
		const read = (async () => {
			seen.push((await bus.waitFor("a")).data);
			seen.push((await bus.waitFor("b")).data);
			seen.push((await bus.waitFor("*", { where: ({ type }) => type === "c" })).data);
		})();
		bus.emit("a", 1);
		bus.emit("b", 2);
		bus.emit("c", 3);
		await read;
		expect(seen).toEqual([1, 2, 3]);
		await expectClean();
	});

	test("misses nothing that a callback emits in the middle of the emit before", async () => {
		const { bus, expectClean } = setup();
		const off = bus.on("a", (data) => void bus.emit("b", data + 1));
		const read = bus.waitFor("a").then(() => bus.waitFor("b"));
		bus.emit("a", 1);
		expect((await read).data).toBe(2);
		off();
		await expectClean();
	});

	test("does so through functions that wait and return the event", async () => {
		const { bus, expectClean } = setup();
		const next = async (type: "a" | "b"): Promise<number> => {
			const { data } = await bus.waitFor(type);
			return data;
		};
		const read = (async () => [await next("a"), await next("b"), await next("a")])();
		bus.emit("a", 1);
		bus.emit("b", 2);
		bus.emit("a", 3);
		expect(await read).toEqual([1, 2, 3]);
		await expectClean();
	});

	test("a loop sees each of 10,000 events of one tick once, and those of later ticks", async () => {
		const { bus, clock, expectClean } = setup();
		const seen: number[] = [];
		const read = (async () => {
			while (seen.length < 10_002) seen.push((await bus.waitFor("a")).data);
		})();
		for (let data = 0; data < 10_000; data++) bus.emit("a", data);
		await clock.advance(0);
		expect(seen).toHaveLength(10_000);
		bus.emit("a", 10_000);
		await clock.advance(0);
		bus.emit("a", 10_001);
		await read;
		expect(seen).toEqual(Array.from({ length: 10_002 }, (_, index) => index));
		await expectClean();
	});

	test.each([
		["that began to wait before", ["b", "a"]],
		["that began to wait after", ["a", "b"]],
	] as const)("a loop %s another whose event comes first sees no event twice", async (_when, order) => {
		const { bus, clock, expectClean } = setup();
		const seen: string[] = [];
		for (const type of order) {
			void (async () => {
				for (;;) seen.push(`${type}${(await bus.waitFor(type)).data}`);
			})().catch(() => undefined);
		}
		for (let data = 1; data <= 3; data++) {
			bus.emit("a", data);
			bus.emit("b", data);
		}
		await clock.advance(0);
		expect(seen.toSorted()).toEqual(["a1", "a2", "a3", "b1", "b2", "b3"]);
		await bus.close();
		await expectClean();
	});

	test("two that read the same pattern both see all of it", async () => {
		const { bus, clock, expectClean } = setup();
		const read = async (wanted: (data: number) => boolean, count: number): Promise<number[]> => {
			const seen: number[] = [];
			while (seen.length < count)
				seen.push((await bus.waitFor("a", { where: ({ data }) => wanted(data) })).data);
			return seen;
		};
		const reads = [read(() => true, 4), read(() => true, 4), read((data) => data % 2 === 0, 2)];
		for (const data of [1, 2, 4, 3]) bus.emit("a", data);
		await clock.advance(0);
		expect(await Promise.all(reads)).toEqual([
			[1, 2, 4, 3],
			[1, 2, 4, 3],
			[2, 4],
		]);
		await expectClean();
	});

	test("an event before the one that was awaited does not come again, under another pattern neither", async () => {
		const { bus, clock } = setup();
		const seen: string[] = [];
		void (async () => {
			for (const pattern of ["a", "c", "*", "b"] as const) seen.push((await bus.waitFor(pattern)).type);
		})();
		bus.emit("a", 1);
		bus.emit("b", 2);
		bus.emit("c", 3);
		await clock.advance(0);
		expect(seen).toEqual(["a", "c"]);
		bus.emit("a", 4);
		bus.emit("b", 5);
		await clock.advance(0);
		expect(seen).toEqual(["a", "c", "a", "b"]);
	});

	test("an event that the code behind the first await emits itself has passed", async () => {
		const { bus } = setup();
		const waiting = bus.waitFor("a");
		setTimeout(() => bus.emit("a", 0));
		await waiting;
		bus.emit("b", 1);
		const second = bus.waitFor("b");
		bus.emit("b", 2);
		expect((await second).data).toBe(2);
	});

	test("another wait that ends behind the event does not hide it, however long the way to the next wait", async () => {
		const { bus, expectClean } = setup();
		const wrap = async () => {
			const { data } = await bus.waitFor("a");
			return data;
		};
		const first = (async () => {
			await wrap();
			return bus.waitFor("b", { timeoutMs: 20 });
		})();
		void bus.waitFor("c");
		void bus.waitFor("b");
		bus.emit("a", 1);
		bus.emit("b", 2);
		bus.emit("c", 3);
		expect((await first).data).toBe(2);
		await expectClean();
	});

	test("waits that are begun side by side see all that passed, in whichever order", async () => {
		const { bus, expectClean } = setup();
		const wrap = async () => {
			const { data } = await bus.waitFor("a");
			return data;
		};
		const read = (async () => {
			await wrap();
			const [b, c] = await Promise.all([bus.waitFor("b"), bus.waitFor("c")]);
			return [b.data, c.data, (await bus.waitFor("a")).data];
		})();
		for (const [type, data] of [
			["a", 1],
			["c", 2],
			["b", 3],
			["a", 4],
		] as const)
			bus.emit(type, data);
		expect(await read).toEqual([3, 2, 4]);
		await expectClean();
	});

	test("a loop over a function that waits sees each event once and lets the turn end", async () => {
		const { bus, clock } = setup();
		const seen: number[] = [];
		const next = async () => (await bus.waitFor("a")).data;
		void (async () => {
			for (;;) seen.push(await next());
		})().catch(() => undefined);
		for (const data of [1, 2, 3]) bus.emit("a", data);
		await clock.advance(0);
		expect(seen).toEqual([1, 2, 3]);
		bus.emit("a", 4);
		await clock.advance(0);
		expect(seen).toEqual([1, 2, 3, 4]);
		await bus.close();
	});

	test("a consumer that emits what another waits for still sees all that passed", async () => {
		const { bus, clock } = setup();
		const seen: string[] = [];
		for (const type of ["a", "b"] as const) {
			void (async () => {
				for (;;) {
					const { data } = await bus.waitFor(type);
					seen.push(`${type}${data}`);
					if (type === "a") bus.emit("b", data);
				}
			})().catch(() => undefined);
		}
		for (let data = 1; data <= 200; data++) bus.emit("a", data);
		await clock.advance(0);
		const expected = Array.from({ length: 200 }, (_, index) => index + 1);
		expect(seen.filter((text) => text.startsWith("a"))).toEqual(expected.map((data) => `a${data}`));
		expect(seen.filter((text) => text.startsWith("b"))).toEqual(expected.map((data) => `b${data}`));
		await bus.close();
	});

	test("who has awaited nothing gets no event from before the call", async () => {
		const { bus, clock } = setup();
		const first = bus.waitFor("a");
		bus.emit("a", 1);
		bus.emit("b", 2);
		const second = watch(bus.waitFor("b"));
		await first;
		await clock.advance(0);
		expect(second.isOver).toBe(false);
		bus.emit("b", 3);
		expect((await second.promise).data).toBe(3);
	});

	test("nor does who waits in a later turn of the event loop", async () => {
		const { bus, clock } = setup();
		const first = bus.waitFor("a");
		bus.emit("a", 1);
		bus.emit("b", 2);
		await first;
		await clock.advance(0);
		const second = watch(bus.waitFor("b"));
		await clock.advance(0);
		expect(second.isOver).toBe(false);
		bus.emit("b", 3);
		expect((await second.promise).data).toBe(3);
	});
});

describe("waitFor() - rejects", () => {
	test("behind timeoutMs, measured by the clock of the bus", async () => {
		const { bus, clock, expectClean } = setup();
		const waiting = watch(bus.waitFor("order.*", { timeoutMs: 5_000 }));
		expect(clock.timers).toBe(1);
		await clock.advance(4_999);
		expect(waiting.isOver).toBe(false);
		await clock.advance(1);
		const error = await rejectionOf(waiting.promise);
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_TIMEOUT", details: { timeoutMs: 5_000 } });
		expect(error.message).toContain('"order.*"');
		await expectClean();
	});

	test("with the reason of its signal, in time and when it had fired before", async () => {
		const { bus, expectClean } = setup();
		const controller = new AbortController();
		const { signal } = controller;
		const waiting = bus.waitFor("a", { signal, timeoutMs: 5_000 });
		const reason = new Error("enough");
		controller.abort(reason);
		await expect(waiting).rejects.toBe(reason);
		await expect(bus.waitFor("a", { signal, timeoutMs: 5_000 })).rejects.toBe(reason);
		expect(getEventListeners(signal, "abort")).toEqual([]);
		await expectClean();
	});

	test("with what `where` throws, for an event to come and for one of this tick; the emit goes on", async () => {
		const { bus, expectClean } = setup();
		const error = new Error("where");
		const where = (): never => {
			throw error;
		};
		const callback = vi.fn();
		const off = bus.on("a", callback);
		const waiting = bus.waitFor("a", { where });
		const second = bus.waitFor("a").then(() => bus.waitFor("b", { where }));
		bus.emit("a", 1);
		bus.emit("b", 1);
		await expect(waiting).rejects.toBe(error);
		await expect(second).rejects.toBe(error);
		expect(callback).toHaveBeenCalledTimes(1);
		off();
		await expectClean();
	});

	test("when the bus is closed", async () => {
		const { bus, expectClean } = setup();
		const { signal } = new AbortController();
		const waiting = [bus.waitFor("a", { timeoutMs: 5_000, signal }), bus.waitFor("*")].map(rejectionOf);
		await bus.close();
		for (const error of await Promise.all(waiting)) {
			expect(error).toMatchObject({ code: "ERR_CALLHOOK_CLOSED", details: { what: "bus" } });
		}
		expect(getEventListeners(signal, "abort")).toEqual([]);
		await expectClean();
	});
});

describe("waitFor() - leaves nothing behind", () => {
	test("when it resolves: no subscription, no timer, no listener", async () => {
		const { bus, clock, expectClean } = setup();
		const { signal } = new AbortController();
		const waiting = bus.waitFor("a", { timeoutMs: 5_000, signal });
		expect(clock.timers).toBe(1);
		expect(getEventListeners(signal, "abort")).toHaveLength(1);
		bus.emit("a", 1);
		await waiting;
		expect(getEventListeners(signal, "abort")).toEqual([]);
		await expectClean();
	});

	test("when it resolves with an event of this tick", async () => {
		const { bus, clock, expectClean } = setup();
		const { signal } = new AbortController();
		const second = bus.waitFor("a").then(() => bus.waitFor("b", { timeoutMs: 5_000, signal }));
		bus.emit("a", 1);
		bus.emit("b", 2);
		await second;
		expect(clock.timers).toBe(0);
		expect(getEventListeners(signal, "abort")).toEqual([]);
		await expectClean();
	});
});

describe("waitFor() - user code in the middle of it", () => {
	test("a `where` that closes the bus neither breaks the emit nor has its answer heard", async () => {
		const { bus, clock } = setup();
		const waiting = rejectionOf(
			bus.waitFor("a", {
				where: () => {
					void bus.close();
					return true;
				},
			}),
		);
		expect(() => bus.emit("a", 1)).not.toThrow();
		expect((await waiting).code).toBe("ERR_CALLHOOK_CLOSED");
		await clock.advance(0);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test.each<[string, string, (bus: Bus<Events>, controller: AbortController) => unknown]>([
		["fires the signal", "AbortError", (_bus, controller) => controller.abort()],
		["closes the bus", "CallhookError", (bus) => bus.close()],
	])("a `where` that %s, asked for an event of this tick, ends its own wait", async (_what, name, end) => {
		const { bus, clock, expectClean } = setup();
		const controller = new AbortController();
		const first = bus.waitFor("a");
		bus.emit("a", 1);
		bus.emit("b", 2);
		await first;
		const where = (): boolean => {
			end(bus, controller);
			return false;
		};
		const second = watch(bus.waitFor("b", { where, signal: controller.signal, timeoutMs: 5_000 }));
		await clock.advance(0);
		expect(second.isOver).toBe(true);
		await expect(second.promise).rejects.toMatchObject({ name });
		expect(getEventListeners(controller.signal, "abort")).toEqual([]);
		await expectClean();
	});

	test("a callback that closes the bus comes too late: the event was there before", async () => {
		const { bus, clock } = setup();
		bus.on("a", () => void bus.close());
		const waiting = bus.waitFor("a");
		expect(() => bus.emit("a", 1)).not.toThrow();
		expect((await waiting).data).toBe(1);
		await clock.advance(0);
		expect(bus.stats().subscriptions).toEqual({});
		expect(thrownBy(() => bus.waitFor("a")).code).toBe("ERR_CALLHOOK_CLOSED");
	});
});
