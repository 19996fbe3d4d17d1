import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { isCallhookError } from "../errors.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";
import type { BusOptions } from "./bus-options.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";
import type { DeadLetter, DeadLetterFilter } from "./dead-letter.ts";
import { PermanentError } from "./permanent-error.ts";

interface Job {
	readonly id: number;
}

function setup(options: Partial<BusOptions> = {}) {
	const clock = fakeClock({ now: new Date("2026-01-01T00:00:00Z") });
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ "job.a": Job; "job.b": Job }>({ clock, onError, ...options, events: undefined });
	const { deadLetters } = bus;
	/** Ids of the jobs among the dead letters, as listed. */
	const listed = async (filter?: DeadLetterFilter) =>
		(await deadLetters.list(filter)).items.map(({ event }) => (event.data as Job).id);
	const emit = async (...ids: number[]) => {
		for (const id of ids) await bus.emit("job.a", { id }).settled;
	};
	return { bus, clock, onError, deadLetters, listed, emit };
}

const broken = new Error("broken");

function failing(): never {
	throw broken;
}

/** A handler that fails until it is mended. */
function mendable() {
	const runs: { readonly id: number; readonly context: HandlerContext }[] = [];
	const state = { isBroken: true };
	const handler = ({ id }: Job, context: HandlerContext) => {
		runs.push({ id, context });
		if (state.isBroken) failing();
		return "mended";
	};
	return { handler, runs, ids: () => runs.map(({ id }) => id), mend: () => (state.isBroken = false) };
}

describe("a dead letter", () => {
	test("tells the event, the handler, each failure and when it was given up", async () => {
		const { bus, clock, deadLetters } = setup();
		bus.handle(
			"job.a",
			(_data, { attempt }) => {
				throw `attempt ${attempt}`;
			},
			{ name: "worker", retry: { attempts: 3, minDelayMs: 1_000, jitter: false } },
		);
		const { event } = bus.emit("job.a", { id: 1 });
		await clock.advance(60_000);
		const { items, cursor } = await deadLetters.list();
		expect(cursor).toBeUndefined();
		expect(items).toHaveLength(1);
		expect(items[0]).toEqual({
			id: expect.stringMatching(/^ltr_./),
			event,
			handler: "worker",
			attempts: 3,
			failures: [
				{ at: "2026-01-01T00:00:00.000Z", error: "attempt 1" },
				{ at: "2026-01-01T00:00:01.000Z", error: "attempt 2" },
				{ at: "2026-01-01T00:00:03.000Z", error: "attempt 3" },
			],
			deadAt: "2026-01-01T00:00:03.000Z",
		});
	});

	test("keeps the last 20 failures", async () => {
		const { bus, clock, deadLetters } = setup();
		bus.handle(
			"job.a",
			(_data, { attempt }) => {
				throw attempt;
			},
			{ retry: { attempts: 25, minDelayMs: 0 } },
		);
		bus.emit("job.a", { id: 1 });
		await clock.advance(3_600_000);
		const [letter] = (await deadLetters.list()).items;
		expect(letter?.attempts).toBe(25);
		expect(letter?.failures.map(({ error }) => error)).toEqual(
			Array.from({ length: 20 }, (_, index) => index + 6),
		);
	});

	test("is made of an event whose key throws, which no attempt was made for", async () => {
		const { bus, deadLetters, emit } = setup();
		bus.handle("job.a", () => undefined, { key: failing });
		await emit(1);
		expect((await deadLetters.list()).items).toMatchObject([{ attempts: 0, failures: [{ error: broken }] }]);
	});

	test("is made by each handler that gives the event up", async () => {
		const { bus, deadLetters, emit } = setup();
		for (const name of ["first", "second"]) bus.handle("job.a", failing, { name });
		bus.handle("job.a", () => "fine", { name: "third" });
		await emit(1);
		expect((await deadLetters.list()).items.map(({ handler }) => handler).sort()).toEqual([
			"first",
			"second",
		]);
	});

	test("is not made of a callback's failure, a success, or an event that close() gave up", async () => {
		const { bus, clock, emit, listed } = setup();
		bus.on("job.a", failing);
		const jobs = bus.handle("job.a", () => undefined);
		await emit(1);
		jobs.pause();
		const { settled } = bus.emit("job.a", { id: 2 });
		await clock.advance(0);
		await bus.close();
		expect((await settled).failed).toHaveLength(2);
		expect(await listed()).toEqual([]);
	});
});

describe("deadLetters.list()", () => {
	test("gives the newest first, in pages", async () => {
		const { bus, emit, deadLetters } = setup();
		bus.handle("job.a", failing);
		await emit(1, 2, 3, 4, 5);
		const pages: unknown[][] = [];
		let cursor: string | undefined;
		do {
			const page = await deadLetters.list({ limit: 2, cursor });
			pages.push(page.items.map(({ event }) => (event.data as Job).id));
			cursor = page.cursor;
		} while (cursor !== undefined);
		expect(pages).toEqual([[5, 4], [3, 2], [1]]);
	});

	test("gives 50 by default", async () => {
		const { bus, emit, deadLetters } = setup();
		bus.handle("job.a", failing);
		await emit(...Array.from({ length: 51 }, (_, id) => id));
		const { items, cursor } = await deadLetters.list();
		expect(items).toHaveLength(50);
		expect((await deadLetters.list({ cursor })).items).toHaveLength(1);
	});

	/** Four letters: of two types and two handlers, given up a minute apart. */
	async function setupFour() {
		const { bus, clock, deadLetters, listed } = setup();
		bus.handle("job.*", failing, { name: "all" });
		bus.handle("job.b", failing, { name: "b" });
		bus.emit("job.a", { id: 1 });
		await clock.advance(60_000);
		bus.emit("job.b", { id: 2 });
		await clock.advance(60_000);
		bus.emit("job.a", { id: 3 });
		await clock.advance(0);
		const ids = (await deadLetters.list()).items.map(({ id }) => id);
		return { bus, deadLetters, listed, ids };
	}

	test.each<[what: string, filter: DeadLetterFilter, expected: number[]]>([
		["handler", { handler: "b" }, [2]],
		["handler, an unknown one", { handler: "none" }, []],
		["type", { type: "job.a" }, [3, 1]],
		["since, that moment included", { since: "2026-01-01T00:01:00Z" }, [3, 2, 2]],
		["until, that moment excluded", { until: new Date("2026-01-01T00:01:00Z") }, [1]],
		["since in another time zone", { since: "2026-01-01T02:02:00+02:00" }, [3]],
		["where", { where: ({ handler, event }) => handler === "all" && event.type === "job.b" }, [2]],
		["ids, none", { ids: [] }, []],
		["several, which must all agree", { type: "job.a", since: "2026-01-01T00:01:00Z", handler: "all" }, [3]],
		["nothing", { handler: undefined, ids: undefined }, [3, 2, 2, 1]],
	])("picks by %s", async (_what, filter, expected) => {
		const { listed } = await setupFour();
		expect(await listed(filter)).toEqual(expected);
	});

	test("picks by ids, and page by page", async () => {
		const { deadLetters, listed, ids } = await setupFour();
		expect(await listed({ ids: [ids[0]!, ids[3]!, "ltr_unknown"] })).toEqual([3, 1]);
		const { items, cursor } = await deadLetters.list({ type: "job.a", limit: 1 });
		expect(items).toHaveLength(1);
		expect((await deadLetters.list({ type: "job.a", limit: 1, cursor })).items).toMatchObject([
			{ id: ids[3] },
		]);
	});
});

describe("deadLetters.replay()", () => {
	test("queues the events anew, oldest first, with a new count of attempts", async () => {
		const { bus, clock, deadLetters, listed, onError } = setup();
		const { handler, runs, ids, mend } = mendable();
		const retry = { attempts: 2, minDelayMs: 10, jitter: false };
		const jobs = bus.handle("job.a", handler, { name: "worker", concurrency: 1, retry });
		const emissions = [1, 2].map((id) => bus.emit("job.a", { id }, { metadata: { tenant: "t" } }));
		await clock.advance(60_000);
		const report = await emissions[0]!.settled;
		expect(onError).toHaveBeenCalledTimes(2);
		mend();
		runs.length = 0;
		expect(await deadLetters.replay()).toBe(2);
		expect(await listed()).toEqual([]);
		await bus.idle();
		expect(ids()).toEqual([1, 2]);
		const { event, attempt } = runs[0]!.context;
		expect(attempt).toBe(1);
		const { id, time, type, metadata } = emissions[0]!.event;
		expect(event).toMatchObject({ id, time, type, metadata: { tenant: "t" }, data: { id: 1 } });
		expect(metadata).toEqual({ tenant: "t" });
		expect(jobs.stats()).toMatchObject({ succeeded: 2, failed: 2, queued: 0 });
		expect(await emissions[0]!.settled, "reports do not change").toBe(report);
		expect(report.ok).toBe(false);
		expect(onError).toHaveBeenCalledTimes(2);
	});

	test("gives the handler an event that prints and serializes as any other", async () => {
		const { bus, deadLetters, emit } = setup();
		const { handler, runs, mend } = mendable();
		bus.handle("job.a", handler);
		await emit(1);
		mend();
		await deadLetters.replay();
		await bus.idle();
		const [first, second] = runs.map(({ context }) => context.event);
		expect(JSON.stringify(second)).toBe(JSON.stringify(first));
		expect(inspect(second)).toBe(inspect(first));
		expect(second?.id).toBe(first?.id);
	});

	test("makes a new letter when the handler gives up again", async () => {
		const { bus, deadLetters, onError, emit } = setup();
		bus.handle("job.a", failing, { name: "worker" });
		await emit(1);
		const [first] = (await deadLetters.list()).items;
		expect(await deadLetters.replay()).toBe(1);
		await bus.idle();
		const [second, ...others] = (await deadLetters.list()).items;
		expect(others).toEqual([]);
		expect(second).toMatchObject({ handler: "worker", attempts: 1, failures: [{ error: broken }] });
		expect(second?.id).not.toBe(first?.id);
		expect(second?.event.id).toBe(first?.event.id);
		expect(onError).toHaveBeenCalledTimes(2);
		expect(await deadLetters.replay(), "and again").toBe(1);
		await bus.idle();
	});

	test("queues nothing for the other handlers of the event", async () => {
		const { bus, deadLetters, emit } = setup();
		const other = vi.fn();
		const callback = vi.fn();
		const { handler, ids, mend } = mendable();
		bus.on("job.a", callback);
		bus.handle("job.a", other);
		bus.handle("job.a", handler, { name: "worker" });
		await emit(1);
		mend();
		await deadLetters.replay({ handler: "worker" });
		await bus.idle();
		expect(ids()).toEqual([1, 1]);
		expect(other).toHaveBeenCalledTimes(1);
		expect(callback).toHaveBeenCalledTimes(1);
	});

	test("leaves the letters whose handler is gone or stopping, and replays the others", async () => {
		const { bus, deadLetters, emit, listed } = setup();
		const gone = bus.handle("job.a", failing, { name: "gone" });
		const { handler, mend } = mendable();
		bus.handle("job.a", handler, { name: "stays" });
		await emit(1);
		mend();
		const stopped = gone.stop();
		expect(await deadLetters.replay()).toBe(1);
		expect(await listed()).toEqual([1]);
		await stopped;
		expect(await deadLetters.replay()).toBe(0);
		expect((await deadLetters.list()).items).toMatchObject([{ handler: "gone" }]);
	});

	test("replays only what the filter picks", async () => {
		const { bus, deadLetters, emit, listed } = setup();
		const { handler, mend } = mendable();
		bus.handle("job.a", handler);
		await emit(1, 2, 3);
		mend();
		expect(await deadLetters.replay({ where: ({ event }) => (event.data as Job).id !== 2 })).toBe(2);
		expect(await listed()).toEqual([2]);
	});

	test("is waited for by drain()", async () => {
		const { bus, clock, deadLetters, emit } = setup();
		const { handler, mend } = mendable();
		const jobs = bus.handle("job.a", handler);
		await emit(1);
		mend();
		jobs.pause();
		await deadLetters.replay();
		expect(bus.stats().open).toBe(1);
		const drained = watch(bus.drain());
		await clock.advance(0);
		expect(drained.isOver).toBe(false);
		jobs.resume();
		expect(await drained.promise).toMatchObject({ isDrained: true, left: 0 });
	});

	test.each([
		["block", [1, 2, 3], [], { succeeded: 3, dropped: 0 }],
		["reject", [1], [3, 2], { succeeded: 1, dropped: 2 }],
		["drop-newest", [1], [3, 2], { succeeded: 1, dropped: 2 }],
		["drop-oldest", [3], [2, 1], { succeeded: 1, dropped: 2 }],
		["coalesce", [3], [], { succeeded: 1, dropped: 2 }],
	] as const)("goes through the queue, which may be full (%s)", async (overflow, expected, left, stats) => {
		const { bus, clock, deadLetters, emit, listed } = setup();
		const { handler, runs, ids, mend } = mendable();
		const options = { concurrency: 1, key: () => "k", queue: { limit: 1, overflow } };
		const jobs = bus.handle("job.a", handler, options);
		for (const id of [1, 2, 3]) {
			await emit(id);
			await clock.advance(1);
		}
		const before = (await deadLetters.list()).items;
		mend();
		runs.length = 0;
		jobs.pause();
		expect(await deadLetters.replay()).toBe(expected.length);
		await clock.advance(0);
		expect(await listed(), "what the queue did not keep").toEqual(left);
		for (const letter of (await deadLetters.list()).items) expect(before).toContain(letter);
		jobs.resume();
		await bus.idle();
		expect(ids()).toEqual(expected);
		expect(jobs.stats()).toMatchObject(stats);
		expect(bus.stats().open).toBe(0);
	});

	test("has nothing left open when the bus closes in between", async () => {
		const { bus, deadLetters, emit } = setup();
		const jobs = bus.handle("job.a", failing, { queue: { limit: 1 } });
		await emit(1, 2);
		jobs.pause();
		await deadLetters.replay();
		await bus.close();
		expect(bus.stats().open).toBe(0);
	});
});

describe("deadLetters.discard()", () => {
	test("forgets what the filter picks and says how many", async () => {
		const { bus, deadLetters, emit, listed } = setup();
		bus.handle("job.a", failing);
		await emit(1, 2, 3);
		const [newest] = (await deadLetters.list()).items;
		expect(await deadLetters.discard({ ids: [newest!.id] })).toBe(1);
		expect(await listed()).toEqual([2, 1]);
		expect(await deadLetters.discard()).toBe(2);
		expect(await deadLetters.discard()).toBe(0);
		expect(await listed()).toEqual([]);
	});
});

describe("deadLetterLimit", () => {
	test("forgets the oldest letters, and `deadletter:dropped` tells which", async () => {
		const { bus, emit, listed } = setup({ deadLetterLimit: 2 });
		const dropped: DeadLetter[] = [];
		bus.observe("deadletter:dropped", ({ letter }) => void dropped.push(letter));
		bus.handle("job.a", failing);
		await emit(1, 2);
		expect(dropped).toEqual([]);
		await emit(3, 4);
		expect(await listed()).toEqual([4, 3]);
		expect(dropped.map(({ event }) => (event.data as Job).id)).toEqual([1, 2]);
	});

	test("of 0 keeps none and tells of each", async () => {
		const { bus, emit, listed } = setup({ deadLetterLimit: 0 });
		const dropped = vi.fn();
		bus.observe("deadletter:dropped", dropped);
		bus.handle("job.a", failing);
		await emit(1, 2);
		expect(await listed()).toEqual([]);
		expect(dropped).toHaveBeenCalledTimes(2);
	});

	test("is 1,000 by default", async () => {
		const { bus, emit, deadLetters } = setup();
		bus.handle("job.a", failing);
		await emit(...Array.from({ length: 1_001 }, (_, id) => id));
		expect((await deadLetters.list({ limit: 1_000 })).items).toHaveLength(1_000);
		expect(await deadLetters.discard()).toBe(1_000);
	});
});

describe("the filters of dead letters - refuse, and nothing is changed,", () => {
	const cases: [option: string, filter: unknown][] = [
		...["text", 7, [7], [undefined], {}, null].map((ids): [string, unknown] => ["ids", { ids }]),
		...[7, null, ["worker"]].map((handler): [string, unknown] => ["handler", { handler }]),
		...[7, null, {}].map((type): [string, unknown] => ["type", { type }]),
		...["soon", 7, null, new Date(Number.NaN)].flatMap((time): [string, unknown][] => [
			["since", { since: time }],
			["until", { until: time }],
		]),
		...["text", 7, null, {}].map((where): [string, unknown] => ["where", { where }]),
	];
	const methods = ["list", "replay", "discard"] as const;

	/** One letter, and a call that must leave it there. */
	async function refusalOf(method: (typeof methods)[number], filter: unknown): Promise<unknown> {
		const { bus, deadLetters, emit, listed } = setup();
		bus.handle("job.a", failing);
		await emit(1);
		const error = await rejectionOf(deadLetters[method](filter as DeadLetterFilter));
		await bus.idle();
		expect(await listed()).toEqual([1]);
		return optionOf(error);
	}

	test.each(cases)("%s in %o", async (option, filter) => {
		for (const method of methods) expect(await refusalOf(method, filter), method).toBe(option);
	});

	test.each([null, 7, "worker", []])("a filter that is %o", async (filter) => {
		expect(await refusalOf("list", filter)).toBe("list");
		for (const method of ["replay", "discard"] as const) {
			expect(await refusalOf(method, filter)).toBe("deadLetters");
		}
	});

	test("an option they do not know, and pages where there are none", async () => {
		expect(await refusalOf("list", { handlr: "worker" })).toBe("list.handlr");
		expect(await refusalOf("replay", { handlr: "worker" })).toBe("deadLetters.handlr");
		for (const method of ["replay", "discard"] as const) {
			expect(await refusalOf(method, { limit: 5 })).toBe("deadLetters.limit");
			expect(await refusalOf(method, { cursor: "c" })).toBe("deadLetters.cursor");
		}
	});

	test.each([
		["limit", [0, -1, 1.5, Number.NaN, 1_001, "5", null]],
		["cursor", [7, null, {}]],
	] as const)("a page by its %s", async (option, values) => {
		for (const value of values) expect(await refusalOf("list", { [option]: value })).toBe(option);
	});

	test("a `where` that throws, with its error", async () => {
		const { bus, deadLetters, emit, listed } = setup();
		const handler = vi.fn(failing);
		bus.handle("job.a", handler);
		await emit(1, 2);
		for (const method of methods) {
			await expect(deadLetters[method]({ where: failing })).rejects.toBe(broken);
		}
		await bus.idle();
		expect(handler).toHaveBeenCalledTimes(2);
		expect(await listed()).toEqual([2, 1]);
	});
});

describe("PermanentError", () => {
	class Subclass extends PermanentError {}

	test.each<[what: string, error: unknown]>([
		["itself", new PermanentError("no address", { cause: "a cause" })],
		["a subclass", new Subclass()],
		["any error with `isPermanent: true`", Object.assign(new Error(), { isPermanent: true })],
		["any object with `isPermanent: true`", { isPermanent: true }],
	])("%s ends the attempts at once, whatever `when` says", async (_what, error) => {
		const { bus, clock, listed } = setup();
		const handler = vi.fn(() => Promise.reject(error));
		const when = vi.fn(() => true);
		bus.handle("job.a", handler, { retry: { attempts: 5, when } });
		const { settled } = bus.emit("job.a", { id: 1 });
		await clock.advance(60_000);
		expect((await settled).outcomes).toMatchObject([{ status: "rejected", attempts: 1 }]);
		expect((await settled).failed[0]?.error).toBe(error);
		expect(handler).toHaveBeenCalledTimes(1);
		expect(when).not.toHaveBeenCalled();
		expect(await listed()).toEqual([1]);
	});

	test.each<unknown>([
		...[
			Object.assign(new Error(), { isPermanent: "yes" }),
			Object.assign(new Error(), { isPermanent: false }),
		],
		...[null, undefined, "isPermanent", 7],
	])("is not %o, which is retried", async (error) => {
		const { bus, clock } = setup();
		const handler = vi.fn(() => Promise.reject(error));
		bus.handle("job.a", handler, { retry: { attempts: 3 } });
		bus.emit("job.a", { id: 1 });
		await clock.advance(60_000);
		expect(handler).toHaveBeenCalledTimes(3);
	});

	test("that throws when it is asked is given up, and both errors are reported", async () => {
		const { bus, clock, onError } = setup();
		const hostile = Object.defineProperty(new Error("hostile"), "isPermanent", { get: failing });
		bus.handle("job.a", () => Promise.reject(hostile), { retry: { attempts: 3 } });
		const { settled } = bus.emit("job.a", { id: 1 });
		await clock.advance(60_000);
		expect((await settled).failed).toHaveLength(1);
		expect(onError.mock.calls.map(([error]) => error)).toEqual([broken, hostile]);
	});

	test("is an error with a name, a message and a cause", () => {
		const error = new PermanentError("no address", { cause: "a cause" });
		expect(error).toBeInstanceOf(Error);
		expect([error.name, error.message, error.cause]).toEqual(["PermanentError", "no address", "a cause"]);
		expect(isCallhookError(error)).toBe(false);
	});
});
