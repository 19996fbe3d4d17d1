import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { optionOf } from "../../test/support/thrown.ts";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { BatchContext } from "./attempt.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";
import { PermanentError } from "./permanent-error.ts";

interface Item {
	readonly id: number;
}

function setup() {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ item: Item }>({ clock, onError });
	const emit = (...ids: number[]) => ids.map((id) => bus.emit("item", { id }));
	return { bus, clock, onError, emit };
}

/** A handler of batches whose runs end when the test says so. */
function heldHandler() {
	const runs: (Deferred<unknown> & { readonly ids: number[]; readonly context: BatchContext })[] = [];
	const handler = (items: readonly Item[], context: BatchContext): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, ids: items.map(({ id }) => id), context });
		return done.promise;
	};
	return { handler, runs, ids: () => runs.map(({ ids }) => ids) };
}

const steady = { minDelayMs: 1_000, factor: 1, jitter: false };

test("batch.fail() - once the attempt has ended goes to onError and fails nothing", async () => {
	const { bus, clock, onError, emit } = setup();
	const contexts: BatchContext[] = [];
	bus.handle("item", (_items: readonly Item[], context: BatchContext) => void contexts.push(context), {
		...{ name: "bulk", batch: { size: 2 } },
	});
	const [first, second] = emit(1, 2);
	await clock.advance(0);
	const late = new Error("late");
	contexts[0]?.fail(1, late);
	expect(onError.mock.calls).toEqual([[late, { source: "handler", name: "bulk", event: second?.event }]]);
	for (const emission of [first, second]) expect((await emission!.settled).ok).toBe(true);
});

describe("handle() - batch", () => {
	test("gives the handler lists: the data and, in the same order, the events", async () => {
		const { bus, clock, emit } = setup();
		const handler = vi.fn((_items: readonly Item[], _context: BatchContext) => "all done");
		const jobs = bus.handle("item", handler, { name: "bulk", batch: { size: 3 } });
		const emissions = emit(1, 2, 3);
		await clock.advance(0);
		expect(handler).toHaveBeenCalledTimes(1);
		const [items, context] = handler.mock.calls[0]!;
		expect(items).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
		expect(context.events).toEqual(emissions.map(({ event }) => event));
		expect([context.attempt, context.signal.aborted]).toEqual([1, false]);
		for (const { settled } of emissions) {
			expect((await settled).outcomes).toEqual([
				{ kind: "handler", name: "bulk", attempts: 1, status: "fulfilled", value: "all done" },
			]);
		}
		expect(jobs.stats()).toMatchObject({ succeeded: 3, failed: 0 });
	});

	test("starts one that is full at once, and another 20 ms behind its first event", async () => {
		const { bus, clock, emit } = setup();
		const { handler, ids } = heldHandler();
		const jobs = bus.handle("item", handler, { batch: { size: 3 } });
		emit(1, 2, 3, 4);
		await clock.advance(0);
		expect(ids()).toEqual([[1, 2, 3]]);
		expect(jobs.size).toBe(1);
		await clock.advance(10);
		emit(5);
		await clock.advance(9);
		expect(ids()).toHaveLength(1);
		await clock.advance(1);
		expect(ids()).toEqual([
			[1, 2, 3],
			[4, 5],
		]);
	});

	test("waits as long as `waitMs` says", async () => {
		const { bus, clock, emit } = setup();
		const { handler, ids } = heldHandler();
		bus.handle("item", handler, { batch: { size: 3, waitMs: 5_000 } });
		emit(1);
		await clock.advance(4_999);
		expect(ids()).toEqual([]);
		await clock.advance(1);
		expect(ids()).toEqual([[1]]);
	});

	test("counts batches for `concurrency`, and events that wait for a batch or a slot", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("item", handler, { concurrency: 2, batch: { size: 2 } });
		emit(1, 2, 3, 4, 5, 6, 7);
		await clock.advance(0);
		expect(ids()).toEqual([
			[1, 2],
			[3, 4],
		]);
		expect([jobs.pending, jobs.size]).toEqual([2, 3]);
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()[2]).toEqual([5, 6]);
		expect([jobs.pending, jobs.size]).toEqual([2, 1]);
	});

	test("runs in the AsyncLocalStorage context of the registration", async () => {
		const { bus, clock, emit } = setup();
		const storage = new AsyncLocalStorage<string>();
		const seen: unknown[] = [];
		storage.run("registration", () =>
			bus.handle("item", () => void seen.push(storage.getStore()), { batch: { size: 2 } }),
		);
		storage.run("first", () => emit(1));
		storage.run("second", () => emit(2));
		await clock.advance(0);
		expect(seen).toEqual(["registration"]);
	});

	test("collects while the handler is paused and runs nothing", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("item", handler, { concurrency: 1, batch: { size: 2 } });
		jobs.pause();
		emit(1, 2, 3);
		await clock.advance(1_000);
		expect(ids()).toEqual([]);
		jobs.resume();
		await clock.advance(0);
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([[1, 2], [3]]);
	});
});

describe("a batch that fails", () => {
	test("fails each of its events when there is no retry, and makes each a dead letter", async () => {
		const { bus, clock, onError, emit } = setup();
		const error = new Error("all of them");
		const jobs = bus.handle("item", () => Promise.reject(error), { name: "bulk", batch: { size: 2 } });
		const emissions = emit(1, 2);
		await clock.advance(0);
		for (const { settled } of emissions) {
			expect((await settled).outcomes).toMatchObject([{ status: "rejected", error, attempts: 1 }]);
		}
		expect(onError.mock.calls.map(([, { event }]) => event)).toEqual(emissions.map(({ event }) => event));
		expect(jobs.stats()).toMatchObject({ failed: 2, retried: 0 });
		expect((await bus.deadLetters.list()).items).toHaveLength(2);
	});

	test("is retried together, holding no slot meanwhile, with a new context", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const retried: unknown[] = [];
		bus.observe("handler:retry", ({ event, attempt, delayMs }) => {
			retried.push([(event.data as Item).id, attempt, delayMs]);
		});
		const options = { concurrency: 1, batch: { size: 2 }, retry: { attempts: 2, ...steady } };
		const jobs = bus.handle("item", handler, options);
		const emissions = emit(1, 2, 3, 4);
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(0);
		expect(ids()[1]).toEqual([3, 4]);
		expect(jobs.size).toBe(2);
		runs[1]!.resolve(undefined);
		await clock.advance(1_000);
		expect(ids()[2]).toEqual([1, 2]);
		expect(runs[2]!.context.attempt).toBe(2);
		expect(runs[2]!.context.signal).not.toBe(runs[0]!.context.signal);
		runs[2]!.resolve("second time");
		const { outcomes } = await emissions[0]!.settled;
		expect(outcomes).toMatchObject([{ status: "fulfilled", value: "second time", attempts: 2 }]);
		expect(retried).toEqual([
			[1, 1, 1_000],
			[2, 1, 1_000],
		]);
		expect(jobs.stats()).toMatchObject({ succeeded: 4, retried: 2, queued: 0 });
	});

	test("that took too long has failed, told for each event, whatever comes back", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs } = heldHandler();
		const timeouts: unknown[] = [];
		bus.observe("handler:timeout", ({ event }) => void timeouts.push((event.data as Item).id));
		bus.handle("item", handler, { timeoutMs: 50, batch: { size: 2 } });
		const emissions = emit(1, 2);
		await clock.advance(49);
		const { signal } = runs[0]!.context;
		expect(signal.aborted).toBe(false);
		await clock.advance(1);
		expect(signal.aborted).toBe(true);
		expect(timeouts).toEqual([1, 2]);
		runs[0]!.resolve("late");
		for (const { settled } of emissions) {
			const { failed } = await settled;
			expect(failed.map(({ error }) => (error as CallhookError).code)).toEqual(["ERR_CALLHOOK_TIMEOUT"]);
		}
	});
});

describe("fail()", () => {
	test("fails one event alone: the others have succeeded", async () => {
		const { bus, clock, onError, emit } = setup();
		const error = new Error("only the second");
		bus.handle(
			"item",
			(_items, context) => {
				context.fail(1, error);
				return "fine";
			},
			{ batch: { size: 3 } },
		);
		const emissions = emit(1, 2, 3);
		await clock.advance(0);
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ outcomes }) => outcomes[0])).toMatchObject([
			{ status: "fulfilled", value: "fine" },
			{ status: "rejected", error },
			{ status: "fulfilled", value: "fine" },
		]);
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test("retries that one alone, and the next attempt counts on", async () => {
		const { bus, clock, emit } = setup();
		const seen: [ids: number[], attempt: number][] = [];
		bus.handle(
			"item",
			async (items, context) => {
				seen.push([items.map(({ id }) => id), context.attempt]);
				for (const [index, { id }] of items.entries()) if (id > context.attempt) context.fail(index, "later");
			},
			{ batch: { size: 4 }, retry: { attempts: 3, ...steady } },
		);
		const emissions = emit(1, 2, 3, 4);
		await clock.advance(10_000);
		expect(seen).toEqual([
			[[1, 2, 3, 4], 1],
			[[2, 3, 4], 2],
			[[3, 4], 3],
		]);
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ outcomes }) => [outcomes[0]?.status, outcomes[0]?.attempts])).toEqual([
			["fulfilled", 1],
			["fulfilled", 2],
			["fulfilled", 3],
			["rejected", 3],
		]);
	});

	test("gives an event its own error when the whole batch fails too", async () => {
		const { bus, clock, emit } = setup();
		bus.handle(
			"item",
			(_items, context) => {
				context.fail(0, undefined);
				context.fail(1, "its own");
				throw "of all";
			},
			{ batch: { size: 3 } },
		);
		const emissions = emit(1, 2, 3);
		await clock.advance(0);
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ failed }) => failed.map(({ error }) => error))).toEqual([
			[undefined],
			["its own"],
			["of all"],
		]);
	});

	test("with an error that no retry can mend gives up that event and retries the others", async () => {
		const { bus, clock, emit } = setup();
		const seen: number[][] = [];
		const when = (error: unknown) => error !== "not worth it";
		bus.handle(
			"item",
			(items, context) => {
				seen.push(items.map(({ id }) => id));
				if (context.attempt > 1) return;
				context.fail(0, new PermanentError("never"));
				context.fail(1, "not worth it");
				context.fail(2, "perhaps");
			},
			{ batch: { size: 4 }, retry: { attempts: 3, when, ...steady } },
		);
		const emissions = emit(1, 2, 3, 4);
		await clock.advance(10_000);
		expect(seen).toEqual([[1, 2, 3, 4], [3]]);
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ ok }) => ok)).toEqual([false, false, true, true]);
	});

	test.each([-1, 2, 0.5, Number.NaN, "0", undefined])("refuses the index %s", async (index) => {
		const { bus, clock, emit } = setup();
		const thrown: unknown[] = [];
		bus.handle(
			"item",
			(_items, context) => {
				try {
					context.fail(index as number, "error");
				} catch (error) {
					thrown.push(error);
				}
			},
			{ batch: { size: 2 } },
		);
		const emissions = emit(1, 2);
		await clock.advance(0);
		expect(thrown.map((error) => optionOf(error as CallhookError))).toEqual(["index"]);
		for (const { settled } of emissions) expect((await settled).ok).toBe(true);
	});
});

describe("a batch that is not full", () => {
	const forever = 2_147_483_647;

	test.each(["drain", "stop"] as const)("does not wait for %s()", async (how) => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("item", handler, { batch: { size: 9, waitMs: forever } });
		const emissions = emit(1, 2);
		const ended = how === "drain" ? bus.drain() : jobs.stop();
		await clock.advance(0);
		expect(ids()).toEqual([[1, 2]]);
		runs[0]!.resolve(undefined);
		await ended;
		for (const { settled } of emissions) expect((await settled).ok).toBe(true);
		expect(clock.timers).toBe(0);
	});

	test.each(["drain", "stop"] as const)(
		"is not waited for either when what waits outside follows behind %s()",
		async (how) => {
			const { bus, clock, emit } = setup();
			const batches: number[] = [];
			const go = createDeferred<void>();
			const handler = (items: readonly Item[]): Promise<void> => {
				batches.push(items.length);
				return go.promise;
			};
			const options = { concurrency: 1, batch: { size: 3, waitMs: forever }, queue: { limit: 4 } };
			const jobs = bus.handle("item", handler, options);
			emit(...Array.from({ length: 9 }, (_, id) => id));
			await clock.advance(0);
			expect(batches).toEqual([3]);
			const ended = how === "drain" ? bus.drain() : jobs.stop();
			go.resolve();
			await ended;
			expect(batches).toEqual([3, 3, 1, 2]);
			expect(clock.timers).toBe(0);
		},
	);

	test("is not waited for when another handler emits during drain()", async () => {
		const clock = fakeClock();
		const bus = createBus<{ first: Item; item: Item }>({ clock });
		const batches: number[][] = [];
		bus.handle("first", async ({ id }) => {
			for (const next of [id, id + 1]) bus.emit("item", { id: next });
		});
		bus.handle("item", (items) => void batches.push(items.map(({ id }) => id)), {
			batch: { size: 9, waitMs: forever },
		});
		bus.emit("first", { id: 1 });
		expect(await bus.drain()).toMatchObject({ isDrained: true, left: 0 });
		expect(batches).toEqual([[1, 2]]);
	});

	test("is given up with the events that wait when the bus closes", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("item", handler, { concurrency: 1, batch: { size: 2 } });
		const emissions = emit(1, 2, 3, 4, 5);
		await clock.advance(0);
		const { signal } = runs[0]!.context;
		await bus.close();
		expect(isCallhookError(signal.reason, "ERR_CALLHOOK_STOPPED")).toBe(true);
		runs[0]!.resolve("in spite of it");
		const reports = await Promise.all(emissions.map(({ settled }) => settled));
		expect(reports.map(({ ok }) => ok)).toEqual([true, true, false, false, false]);
		expect(ids()).toEqual([[1, 2]]);
		expect([jobs.size, clock.timers]).toEqual([0, 0]);
		expect((await bus.deadLetters.list()).items).toEqual([]);
	});

	test("is given up instead of retried when it fails behind close()", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs } = heldHandler();
		const jobs = bus.handle("item", handler, { batch: { size: 2 }, retry: { attempts: 5, ...steady } });
		const emissions = emit(1, 2);
		await clock.advance(0);
		bus.observe("handler:retry", () => expect.fail("it is retried"));
		await bus.close();
		runs[0]!.reject("behind");
		for (const { settled } of emissions) expect((await settled).failed).toMatchObject([{ error: "behind" }]);
		expect([jobs.size, clock.timers]).toEqual([0, 0]);
	});

	test("is given up when the bus is closed by who is told of its retry", async () => {
		const { bus, clock, emit } = setup();
		const jobs = bus.handle("item", () => Promise.reject(new Error("again")), {
			...{ batch: { size: 2 }, retry: { attempts: 5, ...steady } },
		});
		bus.observe("handler:retry", () => bus.close());
		const emissions = emit(1, 2);
		await clock.advance(0);
		for (const { settled } of emissions) {
			const { failed } = await settled;
			expect(failed.map(({ error }) => (error as CallhookError).code)).toEqual(["ERR_CALLHOOK_STOPPED"]);
		}
		expect([jobs.size, clock.timers]).toEqual([0, 0]);
	});
});

describe("a batch in a queue with a limit", () => {
	test("holds places by its events, not as one", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const options = {
			concurrency: 1,
			batch: { size: 2 },
			queue: { limit: 3, overflow: "drop-newest" },
		} as const;
		const jobs = bus.handle("item", handler, options);
		emit(1, 2);
		await clock.advance(0);
		emit(3, 4, 5, 6);
		expect(jobs.stats()).toMatchObject({ dropped: 1, queued: 3 });
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		emit(7, 8);
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([
			[1, 2],
			[3, 4],
			[5, 7],
		]);
	});

	test("loses its oldest events to drop-oldest, and does not run when it has lost all", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const options = {
			concurrency: 1,
			batch: { size: 2 },
			queue: { limit: 4, overflow: "drop-oldest" },
		} as const;
		const jobs = bus.handle("item", handler, options);
		emit(1, 2);
		await clock.advance(0);
		emit(3, 4, 5, 6, 7, 8, 9);
		expect(jobs.size).toBe(4);
		for (let index = 0; index < 4; index++) {
			runs[index]?.resolve(undefined);
			await clock.advance(20);
		}
		expect(ids()).toEqual([[1, 2], [6], [7, 8], [9]]);
		expect(jobs.stats()).toMatchObject({ succeeded: 6, dropped: 3, queued: 0 });
	});
});
