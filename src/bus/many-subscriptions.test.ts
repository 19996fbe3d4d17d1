// Ten thousand on one type, such as requests that all wait for the same start, must end without holding up the process.
import { EventEmitter } from "eventemitter3";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createBus } from "./create-bus.ts";

const many = 10_000;

afterEach(() => {
	vi.restoreAllMocks();
});

describe("ten thousand subscriptions of one type", () => {
	/** Each of these calls goes through all that are registered. */
	function countPasses(): () => number {
		const { prototype } = EventEmitter;
		const spies = [
			vi.spyOn(prototype, "off"),
			vi.spyOn(prototype, "removeListener"),
			vi.spyOn(prototype, "removeAllListeners"),
			vi.spyOn(prototype, "listeners"),
		];
		return () => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
	}

	test("that wait end with one event in a few passes", async () => {
		const bus = createBus();
		const waits = Array.from({ length: many }, () => bus.waitFor("ready"));
		const passes = countPasses();
		bus.emit("ready", 1);
		expect(passes()).toBeLessThan(100);
		expect(new Set((await Promise.all(waits)).map(({ data }) => data))).toEqual(new Set([1]));
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("that share a signal end with it in a few passes", () => {
		const bus = createBus({ maxListeners: Number.POSITIVE_INFINITY });
		const { signal } = new AbortController();
		const ended = new AbortController();
		for (let index = 0; index < many; index++) bus.on("ready", () => undefined, { signal: ended.signal });
		const last = vi.fn();
		bus.on("ready", last, { signal });
		const passes = countPasses();
		ended.abort();
		expect(passes()).toBeLessThan(100);
		expect(bus.stats().subscriptions).toEqual({ ready: 1 });
		bus.emit("ready", 1);
		expect(last).toHaveBeenCalledTimes(1);
	});

	test("are counted, ordered and ended one by one, whichever have gone", () => {
		const bus = createBus({ maxListeners: Number.POSITIVE_INFINITY });
		let called: number[] = [];
		const ends = Array.from({ length: 50 }, (_, index) => bus.on("ready.*", () => void called.push(index)));
		const left = new Set(ends.keys());
		for (let step = 0; left.size > 0; step++) {
			const index = (step * 37) % 50;
			ends[index]!();
			ends[index]!();
			left.delete(index);
			called = [];
			bus.emit("ready.now", step);
			expect(called).toEqual([...left]);
			expect(bus.stats().subscriptions).toEqual(left.size === 0 ? {} : { "ready.*": left.size });
		}
	});

	test("that have ended are not warned of", () => {
		const warn = vi.fn();
		const bus = createBus({ maxListeners: 3, logger: { warn } });
		for (let index = 0; index < many; index++) {
			const ends = [1, 2, 3].map(() => bus.on("ready", () => undefined));
			for (const end of ends) end();
		}
		expect(warn).not.toHaveBeenCalled();
		expect(bus.stats().subscriptions).toEqual({});
	});
});
