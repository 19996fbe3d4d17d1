import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { optionOf } from "../../test/support/thrown.ts";
import { defineEvents } from "../event/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

const events = defineEvents({
	"price.eur": { schema: z.coerce.number(), retain: 3 },
	"price.usd": { schema: z.coerce.number(), retain: 2 },
	"price.gbp": z.number(),
	"price.chf": { schema: z.number(), retain: 0 },
});

function setup() {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus({ events, clock, onError });
	/** What a callback gets that asks for so many. */
	const replayed = (
		pattern: "price.*" | "price.eur" | "price.gbp" | "price.chf",
		replay: number,
	): unknown[] => {
		const seen: unknown[] = [];
		bus.on(pattern, (data) => void seen.push(data), { replay })();
		return seen;
	};
	return { bus, clock, onError, replayed };
}

describe("on() with replay - calls the callback, before it returns,", () => {
	test("for the last events, oldest first, then for new ones", () => {
		const { bus } = setup();
		const emitted = [1, 2].map((data) => bus.emit("price.eur", data).event);
		const callback = vi.fn();
		bus.on("price.eur", callback, { replay: 10 });
		expect(callback.mock.calls).toEqual([
			[1, emitted[0]],
			[2, emitted[1]],
		]);
		const { event } = bus.emit("price.eur", 3);
		expect(callback.mock.calls.slice(2)).toEqual([[3, event]]);
	});

	test("at most so many times, for the newest", () => {
		const { bus, replayed } = setup();
		for (const data of [1, 2, 3]) bus.emit("price.eur", data);
		expect([0, 1, 2, 3, 4].map((replay) => replayed("price.eur", replay))).toEqual([
			[],
			[3],
			[2, 3],
			[1, 2, 3],
			[1, 2, 3],
		]);
	});

	test("for no more than the type retains", () => {
		const { bus, replayed } = setup();
		for (const data of [1, 2, 3, 4, 5]) {
			bus.emit("price.eur", data);
		}
		expect(replayed("price.eur", 100)).toEqual([3, 4, 5]);
	});

	test("or refuses that for types that retain nothing, and where there is no catalog", () => {
		const { bus, replayed } = setup();
		expect(optionOf(() => replayed("price.gbp", 1))).toBe("replay");
		expect(optionOf(() => replayed("price.chf", 1))).toBe("replay");
		expect(optionOf(() => createBus().on("price.eur", () => undefined, { replay: 1 }))).toBe("replay");
		expect(optionOf(() => createBus().once("**", () => undefined, { replay: 1 }))).toBe("replay");
		expect(replayed("price.chf", 0)).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("over all types of a pattern in the order of emission, whether or not anybody listened", () => {
		const { bus, replayed } = setup();
		bus.emit("price.usd", 1);
		bus.emit("price.eur", 2);
		bus.emit("price.usd", 3);
		bus.emit("price.gbp", 4);
		bus.emit("price.eur", 5);
		bus.emit("price.usd", 6);
		expect(replayed("price.*", 100)).toEqual([2, 3, 5, 6]);
		expect(replayed("price.*", 3)).toEqual([3, 5, 6]);
		expect(replayed("price.eur", 100)).toEqual([2, 5]);
	});

	test("with the event it was: data as the schema made it, id, time", async () => {
		const { bus, clock } = setup();
		const { event } = bus.emit("price.eur", "7");
		await clock.advance(60_000);
		const callback = vi.fn();
		bus.on("price.eur", callback, { replay: 1 });
		expect(callback.mock.calls).toEqual([[7, event]]);
		expect(event.time).toBe("2026-01-01T00:00:00.000Z");
	});

	test("not at all without replay", () => {
		const { bus } = setup();
		bus.emit("price.eur", 1);
		const callback = vi.fn();
		bus.on("price.eur", callback);
		bus.on("price.eur", callback, { replay: 0 });
		expect(callback).not.toHaveBeenCalled();
	});

	test("for an event in progress, which does not come a second time", () => {
		const { bus } = setup();
		const late = vi.fn();
		bus.once("price.eur", () => void bus.on("price.eur", late, { replay: 1 }));
		bus.emit("price.eur", 1);
		expect(late).toHaveBeenCalledTimes(1);
	});

	test("for what was delivered: not for what was vetoed, cancelled or still waits", async () => {
		const { bus, clock, replayed } = setup();
		const end = bus.use((event, next) => (event.data === 1 ? undefined : next(event)), { around: "emit" });
		bus.emit("price.eur", 1);
		end();
		bus.emit("price.eur", 2, { delayMs: 5 }).cancel();
		const held = bus.hold();
		held.emit("price.eur", 3);
		bus.emit("price.eur", 4, { delayMs: 5 });
		expect(replayed("price.eur", 9)).toEqual([]);
		held.release();
		await clock.advance(5);
		expect(replayed("price.eur", 9)).toEqual([3, 4]);
	});
});

describe("on() with replay - an error", () => {
	test("that is thrown spares the other events and the subscriber, and is reported once", () => {
		const { bus, onError } = setup();
		const emitted = [1, 2, 3].map((data) => bus.emit("price.eur", data).event);
		const seen: number[] = [];
		const error = new Error("replay");
		bus.on(
			"price.*",
			(data) => {
				seen.push(data);
				if (data < 3) throw error;
			},
			{ replay: 3 },
		);
		expect(seen).toEqual([1, 2, 3]);
		expect(onError.mock.calls).toEqual(
			[emitted[0], emitted[1]].map((event) => [error, { source: "callback", name: "price.*", event }]),
		);
		bus.emit("price.eur", 4);
		expect(seen).toEqual([1, 2, 3, 4]);
	});

	test("that comes as a rejection is reported once too", async () => {
		const { bus, clock, onError } = setup();
		const { event } = bus.emit("price.eur", 1);
		const error = new Error("replay");
		bus.on("price.eur", () => Promise.reject(error), { replay: 3 });
		await clock.advance(0);
		expect(onError.mock.calls).toEqual([[error, { source: "callback", name: "price.eur", event }]]);
	});
});

describe("on() with replay - the end of the subscription", () => {
	test("comes with the first replayed event where it is for once", () => {
		const { bus } = setup();
		for (const data of [1, 2, 3]) bus.emit("price.eur", data);
		const callback = vi.fn();
		bus.once("price.eur", callback, { replay: 2 });
		bus.emit("price.eur", 4);
		expect(callback.mock.calls.map(([data]) => data)).toEqual([2]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("comes with the first new event where it is for once and none is retained", () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.once("price.eur", callback, { replay: 2 });
		bus.emit("price.eur", 1);
		bus.emit("price.eur", 2);
		expect(callback.mock.calls.map(([data]) => data)).toEqual([1]);
	});

	test.each(["signal", "off", "close"] as const)(
		"by %s in the middle of the replay ends that as well",
		(how) => {
			const { bus } = setup();
			for (const data of [1, 2, 3]) bus.emit("price.eur", data);
			const controller = new AbortController();
			const seen: number[] = [];
			const callback = (data: number): void => {
				seen.push(data);
				if (data < 2) return;
				if (how === "signal") controller.abort();
				else if (how === "off") bus.off("price.eur", callback);
				else void bus.close();
			};
			bus.on("price.eur", callback, { replay: 3, signal: controller.signal });
			expect(seen).toEqual([1, 2]);
			expect(bus.stats().subscriptions).toEqual({});
		},
	);

	test("before its beginning by a signal that has fired replays nothing", () => {
		const { bus } = setup();
		bus.emit("price.eur", 1);
		const callback = vi.fn();
		bus.on("price.eur", callback, { replay: 1, signal: AbortSignal.abort() });
		expect(callback).not.toHaveBeenCalled();
	});
});

test("what a replayed callback emits is caused by the event of the past, what comes behind it is not", () => {
	const { bus } = setup();
	bus.emit("price.eur", 1, { id: "past" });
	const causes: (string | undefined)[] = [];
	bus.on("price.eur", () => void causes.push(bus.emit("price.gbp", 1).event.causationId), { replay: 1 });
	causes.push(bus.emit("price.gbp", 2).event.causationId);
	expect(causes).toEqual(["past", undefined]);
});
