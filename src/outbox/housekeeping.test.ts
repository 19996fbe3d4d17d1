import { afterEach, describe, expect, test, vi } from "vitest";
import { eventFor, fakeGroup } from "../../test/support/target-group.ts";
import { createBus } from "../bus/index.ts";
import { systemClock } from "../internal/clock.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createHousekeeping, type Retention } from "./housekeeping.ts";
import type { DeliveryState, OutboxStore, PruneRequest } from "./ports.ts";

afterEach(() => void vi.restoreAllMocks());

const dayMs = 86_400_000;
const forever = Number.POSITIVE_INFINITY;
const none: Retention = { deliveredForMs: forever, maxDelivered: forever, deadForMs: forever };
// Between 48 and 72 seconds pass before the first time, and between each and the next.
const everyMs = 72_000;

/** Housekeeping on a store that answers each `prune` and `pruneEvents` as told, else with 0. */
function setup(retention: Partial<Retention>, answers: (number | Error)[] = []) {
	const clock = fakeClock();
	const requests: (PruneRequest & { readonly of?: "events" })[] = [];
	const prune = async (request: PruneRequest): Promise<number> => {
		requests.push(request);
		const answer = answers.shift() ?? 0;
		if (answer instanceof Error) throw answer;
		return answer;
	};
	const errors: unknown[] = [];
	const report = (error: unknown, activity: string): void => void errors.push([activity, error]);
	const pruneEvents = (request: PruneRequest): Promise<number> =>
		prune({ ...request, of: "events" } as PruneRequest);
	const store = { prune, pruneEvents } as Partial<OutboxStore> as OutboxStore;
	const housekeeping = createHousekeeping(store, clock, { ...none, ...retention }, report);
	return { clock, requests, errors, ...housekeeping };
}

describe("housekeeping - rules", () => {
	const limit = 100;
	const [delivered, cancelled, dead] = [{ state: "delivered" }, { state: "cancelled" }, { state: "dead" }];
	const of = "events";
	test.each<[string, Partial<Retention>, object[]]>([
		["nothing at all", {}, []],
		[
			"deliveries, and events that went nowhere, by their age",
			{ deliveredForMs: 7 * dayMs },
			[
				{ filter: delivered, olderThanMs: 7 * dayMs },
				{ filter: cancelled, olderThanMs: 7 * dayMs },
				{ of, olderThanMs: 7 * dayMs },
			],
		],
		[
			"deliveries, and events that went nowhere, by their number",
			{ maxDelivered: 5 },
			[
				{ filter: delivered, keep: 5 },
				{ of, keep: 5 },
			],
		],
		["dead letters by their age", { deadForMs: dayMs }, [{ filter: dead, olderThanMs: dayMs }]],
		[
			"at once",
			{ deliveredForMs: 0, maxDelivered: 0, deadForMs: 0 },
			[
				{ filter: delivered, olderThanMs: 0 },
				{ filter: delivered, keep: 0 },
				{ filter: cancelled, olderThanMs: 0 },
				{ filter: dead, olderThanMs: 0 },
				{ of, olderThanMs: 0 },
				{ of, keep: 0 },
			],
		],
	])("%s: Infinity keeps for good", async (_what, retention, expected) => {
		const { clock, requests, start } = setup(retention);
		start();
		await clock.advance(everyMs);
		expect(requests).toEqual(expected.map((rule) => ({ ...rule, limit })));
	});
});

describe("housekeeping - times", () => {
	test.each([
		[0, 48_000],
		[0.5, 60_000],
		[1, 72_000],
	])("with the random number %f each %i ms, the first time too", async (random, periodMs) => {
		vi.spyOn(Math, "random").mockReturnValue(random);
		const { clock, requests, start } = setup({ deadForMs: 1 });
		start();
		await clock.advance(periodMs - 1);
		expect(requests).toHaveLength(0);
		await clock.advance(1);
		expect(requests).toHaveLength(1);
		await clock.advance(periodMs - 1);
		expect(requests).toHaveLength(1);
		await clock.advance(1);
		expect(requests).toHaveLength(2);
	});

	test("goes on in pieces, with a rest between them, until there is less than a piece", async () => {
		vi.spyOn(Math, "random").mockReturnValue(0.5);
		const { clock, requests, start } = setup({ maxDelivered: 5, deadForMs: 1 }, [
			...[100, 100, 99],
			...[100, 0],
			...[100, 99],
		]);
		start();
		await clock.advance(60_000);
		expect(requests).toHaveLength(1);
		await clock.advance(9);
		expect(requests).toHaveLength(1);
		await clock.advance(1);
		expect(requests).toHaveLength(2);
		await clock.advance(10);
		expect(requests.map(({ filter }) => filter?.state)).toEqual([
			"delivered",
			"delivered",
			"delivered",
			"dead",
		]);
		await clock.advance(10);
		expect(requests.slice(4).map(({ of, filter }) => of ?? filter?.state)).toEqual(["dead", "events"]);
		await clock.advance(10);
		expect(requests).toHaveLength(7);
		await clock.advance(59_999);
		expect(requests).toHaveLength(7);
		await clock.advance(1);
		expect(requests).toHaveLength(10);
	});

	test("start() twice is once, and puts nothing off", async () => {
		vi.spyOn(Math, "random").mockReturnValue(0.5);
		const { clock, requests, start } = setup({ deadForMs: 1 });
		start();
		await clock.advance(30_000);
		start();
		expect(clock.timers).toBe(1);
		await clock.advance(30_000);
		expect(requests).toHaveLength(1);
	});

	test("stop() ends it, also between pieces, and it may start again", async () => {
		vi.spyOn(Math, "random").mockReturnValue(1);
		const pieces = Array.from({ length: 100 }, () => 100);
		const { clock, requests, start, stop } = setup({ deadForMs: 1 }, pieces);
		start();
		stop();
		expect(clock.timers).toBe(0);
		await clock.advance(10 * everyMs);
		expect(requests).toHaveLength(0);
		start();
		await clock.advance(everyMs);
		expect(requests).toHaveLength(1);
		stop();
		await clock.advance(10 * everyMs);
		expect(requests).toHaveLength(1);
		expect(clock.timers).toBe(0);
	});

	test("stop() while the store is asked: no further rule, no timer, and no report of what fails then", async () => {
		const { clock, requests, errors, start, stop } = setup({ maxDelivered: 5, deadForMs: 1 }, [
			new Error("closed"),
		]);
		start();
		const stopIn = vi.spyOn(requests, "push").mockImplementationOnce((request) => {
			stop();
			return Array.prototype.push.call(requests, request);
		});
		await clock.advance(everyMs);
		expect(stopIn).toHaveBeenCalledTimes(1);
		expect(requests).toHaveLength(1);
		expect([errors, clock.timers]).toEqual([[], 0]);
	});

	test("start() right behind a stop() while the store is asked does not double it", async () => {
		const { clock, requests, start, stop } = setup({ deadForMs: 1 });
		start();
		vi.spyOn(requests, "push").mockImplementationOnce(() => {
			stop();
			start();
			return 0;
		});
		await clock.advance(everyMs);
		expect(clock.timers).toBe(1);
		stop();
		expect(clock.timers).toBe(0);
	});

	test("what fails is reported, and tried again the next time", async () => {
		const down = new Error("store is down");
		const { clock, requests, errors, start } = setup({ maxDelivered: 5, deadForMs: 1 }, [down]);
		start();
		await clock.advance(everyMs);
		expect(errors).toEqual([["prune", down]]);
		expect(requests).toHaveLength(1);
		await clock.advance(everyMs);
		expect(requests).toHaveLength(4);
		expect(errors).toHaveLength(1);
	});

	test("its timer does not keep the process alive", () => {
		const timers: NodeJS.Timeout[] = [];
		const clock = {
			...systemClock,
			setTimeout(callback: () => void, delayMs: number) {
				const timer = setTimeout(callback, delayMs);
				timers.push(timer);
				return timer;
			},
		};
		const { start, stop } = createHousekeeping(memoryStore(), clock, none, () => undefined);
		start();
		expect(timers.map((timer) => timer.hasRef())).toEqual([false]);
		stop();
	});
});

describe("housekeeping - of a bus", () => {
	const states: DeliveryState[] = ["delivered", "dead", "cancelled", "pending"];

	/** A bus with a delivery in each state, which ended now, and an event that nobody took. */
	async function openBus(retention: Partial<Retention>, deliver = true) {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const bus = createBus({ clock, store, outbox: { retention: { ...none, ...retention }, deliver } });
		for (const state of states) await store.append([eventFor(state, { group: state, target: "a" })]);
		await store.append([eventFor("nobody's")]);
		for (const state of ["delivered", "dead"] as const) {
			const request = { limit: 9, limitPerTarget: 9, capacity: new Map() };
			const [claim] = await store.claim(new Map([[state, request]]), 1_000);
			await store.settle([{ token: claim!.token, to: { state } }]);
		}
		await store.cancel({ group: "cancelled" });
		const target = bus.outbox!.register({ ...fakeGroup(clock), accepts: ["**"] });
		const left = async () => (await store.getEvents([...states, "nobody's"])).map(({ id }) => id);
		return { bus, clock, target, left };
	}

	test("forgets what has ended, when its time has come, and its event", async () => {
		const { clock, left } = await openBus({ deliveredForMs: dayMs, deadForMs: 3 * dayMs });
		await clock.advance(dayMs - 1);
		expect(await left()).toHaveLength(5);
		await clock.advance(everyMs);
		expect(await left()).toEqual(["dead", "pending"]);
		await clock.advance(2 * dayMs);
		expect(await left()).toEqual(["pending"]);
	});

	test.each<[string, (bench: Awaited<ReturnType<typeof openBus>>) => Promise<unknown>]>([
		["of which every target was removed", ({ target }) => target.remove(0)],
		["that is closed", ({ bus }) => bus.close()],
	])("forgets nothing by a bus %s", async (_what, end) => {
		const bench = await openBus({ deliveredForMs: 0, deadForMs: 0 });
		await end(bench);
		expect(bench.clock.timers).toBe(0);
		await bench.clock.advance(2 * everyMs);
		expect(await bench.left()).toHaveLength(5);
	});

	test("forgets nothing by a process that only stores", async () => {
		const { clock, left } = await openBus({ deliveredForMs: 0, deadForMs: 0 }, false);
		await clock.advance(2 * everyMs);
		expect(await left()).toHaveLength(5);
	});
});
