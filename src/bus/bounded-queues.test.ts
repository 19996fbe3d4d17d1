import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { watch } from "../../test/support/watch.ts";
import { isCallhookError } from "../errors.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import type { Overflow } from "../lanes/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { BusOptions } from "./bus-options.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

interface Work {
	readonly id: number;
	readonly key?: string | undefined;
}

function setup(options: Partial<BusOptions> = {}) {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ work: Work; more: Work }>({ clock, onError, ...options, events: undefined });
	const dropped: [id: number, handler: string, overflow: Overflow][] = [];
	bus.observe(
		"handler:dropped",
		({ event, handler, overflow }) => void dropped.push([(event.data as Work).id, handler, overflow]),
	);
	const exceeded: { readonly id: number; readonly limit: number; readonly queued: number }[] = [];
	bus.observe("handler:exceeded", ({ event, limit, queued }) => {
		exceeded.push({ id: (event.data as Work).id, limit, queued });
	});
	const emit = (id: number, key?: string) => bus.emit("work", { id, key });
	return { bus, clock, onError, dropped, exceeded, emit };
}

/** A handler whose runs end when the test says so. */
function heldHandler() {
	const runs: (Deferred<unknown> & { readonly id: number })[] = [];
	const handler = ({ id }: Work): Promise<unknown> => {
		const done = createDeferred<unknown>();
		runs.push({ ...done, id });
		return done.promise;
	};
	return { handler, runs, ids: () => runs.map(({ id }) => id) };
}

const keyOf = ({ key }: Work) => key;
const one = { name: "worker", concurrency: 1 };
const policies: readonly Overflow[] = ["block", "reject", "drop-oldest", "drop-newest", "coalesce"];

describe("handle() - queue", () => {
	test.each(policies)("of `limit` events takes no notice while there is room (%s)", async (overflow) => {
		const { bus, clock, dropped, exceeded, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("work", handler, { ...one, key: keyOf, queue: { limit: 2, overflow } });
		const emissions = [emit(1, "a")];
		await clock.advance(0);
		emissions.push(emit(2, "b"), emit(3, "c"));
		for (const { accepted } of emissions) await accepted;
		expect(jobs.size, "what runs takes no room").toBe(2);
		for (const index of [0, 1, 2]) {
			runs[index]!.resolve(undefined);
			await clock.advance(0);
		}
		expect(ids()).toEqual([1, 2, 3]);
		expect([dropped, exceeded]).toEqual([[], []]);
		expect(jobs.stats()).toMatchObject({ succeeded: 3, dropped: 0, queued: 0 });
	});

	test("counts one that waits for its retry or behind its key", async () => {
		const { bus, clock, dropped, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		bus.handle("work", handler, {
			...{ concurrency: 2, key: keyOf, queue: { limit: 2, overflow: "drop-newest" } },
			retry: { attempts: 2, minDelayMs: 1_000, jitter: false },
		});
		emit(1, "a");
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(0);
		emit(2, "a");
		emit(3, "b");
		expect(dropped.map(([id]) => id)).toEqual([3]);
		await clock.advance(1_000);
		emit(4, "c");
		await clock.advance(0);
		expect(ids()).toEqual([1, 1, 4]);
	});
});

describe("block", () => {
	test("is the default: `accepted` waits for a place, and nothing is lost or overtaken", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("work", handler, { ...one, queue: { limit: 1 } });
		emit(1);
		await clock.advance(0);
		const accepted = [2, 3, 4].map((id) => watch(emit(id).accepted));
		const whoIsIn = async () => {
			await clock.advance(0);
			return accepted.map(({ isOver }) => isOver);
		};
		expect(await whoIsIn()).toEqual([true, false, false]);
		expect([jobs.size, jobs.stats().queued]).toEqual([3, 3]);
		runs[0]!.resolve(undefined);
		expect(await whoIsIn()).toEqual([true, true, false]);
		runs[1]!.resolve(undefined);
		expect(await whoIsIn()).toEqual([true, true, true]);
		for (const index of [2, 3]) {
			runs[index]!.resolve(undefined);
			await clock.advance(0);
		}
		expect(ids()).toEqual([1, 2, 3, 4]);
		expect(jobs.size).toBe(0);
	});

	test("makes `accepted` wait for the slowest of several handlers", async () => {
		const { bus, clock, emit } = setup();
		const [first, second] = [heldHandler(), heldHandler()];
		const queue = { limit: 1 } as const;
		const handlers = [first, second].map(({ handler }) => bus.handle("work", handler, { ...one, queue }));
		for (const id of [1, 2]) {
			emit(id);
			await clock.advance(0);
		}
		const accepted = watch(emit(3).accepted);
		first.runs[0]!.resolve(undefined);
		await clock.advance(0);
		expect(accepted.isOver).toBe(false);
		second.runs[0]!.resolve(undefined);
		await accepted.promise;
		expect(handlers.map(({ size }) => size)).toEqual([1, 1]);
	});

	test("gives up what waits, and fails `accepted` of what was never let in, when the bus closes", async () => {
		const { bus, clock, emit, onError } = setup();
		const jobs = bus.handle("work", heldHandler().handler, { ...one, queue: { limit: 1 } });
		jobs.pause();
		const emissions = [emit(1), emit(2), emit(3)];
		const accepted = Promise.allSettled(emissions.map((emission) => emission.accepted));
		await clock.advance(0);
		await bus.close();
		const stopped = { status: "rejected", reason: expect.objectContaining({ code: "ERR_CALLHOOK_STOPPED" }) };
		expect(await accepted).toEqual([{ status: "fulfilled", value: undefined }, stopped, stopped]);
		for (const { settled } of emissions) {
			const { failed } = await settled;
			expect(failed.map(({ error }) => isCallhookError(error, "ERR_CALLHOOK_STOPPED"))).toEqual([true]);
		}
		expect(onError).toHaveBeenCalledTimes(3);
		expect(jobs.stats()).toMatchObject({ failed: 3, queued: 0 });
	});

	test("is emptied by stop() and drain(), with all that waits outside", async () => {
		for (const how of ["stop", "drain"] as const) {
			const { bus, clock, emit } = setup();
			const jobs = bus.handle("work", () => "done", { ...one, queue: { limit: 2 } });
			const emissions = Array.from({ length: 20 }, (_, id) => emit(id));
			if (how === "stop") await jobs.stop();
			else expect(await bus.drain()).toMatchObject({ isDrained: true, left: 0, handlers: [] });
			expect(jobs.stats()).toMatchObject({ succeeded: 20, dropped: 0, queued: 0 });
			for (const { settled } of emissions) expect((await settled).ok).toBe(true);
			expect(clock.timers).toBe(0);
		}
	});
});

describe("reject", () => {
	test("fails what is too much with ERR_CALLHOOK_QUEUE_FULL, in the report and in `accepted`", async () => {
		const { bus, clock, onError, dropped, emit } = setup();
		const failed = vi.fn();
		bus.observe("handler:failed", ({ attempts, error }) => failed(attempts, error));
		const { handler, ids } = heldHandler();
		const jobs = bus.handle("work", handler, { ...one, queue: { limit: 1, overflow: "reject" } });
		emit(1);
		await clock.advance(0);
		await emit(2).accepted;
		const refused = emit(3);
		const error = await refused.accepted.catch((reason: unknown) => reason);
		if (!isCallhookError(error, "ERR_CALLHOOK_QUEUE_FULL")) expect.fail(String(error));
		expect(error.details).toEqual({ handler: "worker", limit: 1 });
		await expect(refused.accepted, "asked again").rejects.toBe(error);
		const { ok, outcomes } = await refused.settled;
		expect(ok).toBe(false);
		expect(outcomes).toEqual([{ kind: "handler", name: "worker", attempts: 0, status: "rejected", error }]);
		const { event } = refused;
		expect(onError.mock.calls).toEqual([[error, { source: "handler", name: "worker", event }]]);
		expect(failed.mock.calls).toEqual([[0, error]]);
		expect(dropped).toEqual([[3, "worker", "reject"]]);
		expect(jobs.stats()).toMatchObject({ failed: 1, dropped: 1, queued: 1, running: 1 });
		expect(ids()).toEqual([1]);
		expect((await bus.deadLetters.list()).items, "no handler gave it up").toEqual([]);
	});

	test("rejects an `accepted` that already waits for another handler", async () => {
		const { bus, clock, emit } = setup();
		const blocking = heldHandler();
		bus.handle("work", blocking.handler, { ...one, queue: { limit: 1 } });
		bus.handle("work", heldHandler().handler, { concurrency: 1, queue: { limit: 1, overflow: "reject" } });
		emit(1);
		await clock.advance(0);
		emit(2);
		await expect(emit(3).accepted).rejects.toThrow("is full");
	});

	test("hurts nobody when nobody asks for `accepted`", async () => {
		const { bus, emit } = setup();
		const jobs = bus.handle("work", () => undefined, { queue: { limit: 1, overflow: "reject" } });
		jobs.pause();
		for (const id of [1, 2, 3]) emit(id);
		jobs.resume();
		await bus.idle();
		expect(jobs.stats()).toMatchObject({ succeeded: 1, failed: 2 });
	});
});

describe("drop-newest and drop-oldest", () => {
	test.each([
		["drop-newest", [1, 2, 3], [4, 5]],
		["drop-oldest", [1, 4, 5], [2, 3]],
	] as const)("%s lets events go without failing them", async (overflow, ran, gone) => {
		const { bus, clock, onError, dropped, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const jobs = bus.handle("work", handler, { ...one, queue: { limit: 2, overflow } });
		const emissions = new Map([[1, emit(1)]]);
		await clock.advance(0);
		for (const id of [2, 3, 4, 5]) emissions.set(id, emit(id));
		for (const id of gone) {
			const { ok, outcomes } = await emissions.get(id)!.settled;
			expect(ok).toBe(true);
			expect(outcomes).toEqual([
				{ kind: "handler", name: "worker", attempts: 0, status: "dropped", overflow },
			]);
			await emissions.get(id)!.accepted;
		}
		for (let index = 0; index < 3; index++) {
			runs[index]!.resolve(undefined);
			await clock.advance(0);
		}
		await jobs.idle();
		expect(ids()).toEqual(ran);
		expect(dropped).toEqual(gone.map((id) => [id, "worker", overflow]));
		expect(onError).not.toHaveBeenCalled();
		expect(jobs.stats()).toEqual({
			...{ succeeded: 3, failed: 0, retried: 0, dropped: 2, running: 0, queued: 0 },
		});
	});

	test("drop-oldest spares one that waits for its retry, and then drops the newcomer", async () => {
		const { bus, clock, dropped, emit } = setup();
		const attempts: number[] = [];
		bus.handle(
			"work",
			({ id }, { attempt }) => {
				attempts.push(id);
				if (attempt === 1) throw new Error("again");
			},
			{
				...{ ...one, queue: { limit: 1, overflow: "drop-oldest" } },
				retry: { attempts: 2, minDelayMs: 1_000, jitter: false },
			},
		);
		emit(1);
		await clock.advance(0);
		emit(2);
		await clock.advance(1_000);
		expect(attempts).toEqual([1, 1]);
		expect(dropped).toEqual([[2, "worker", "drop-oldest"]]);
	});

	test("drop-oldest keeps the order of a key and frees it", async () => {
		const { bus, clock, dropped, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		bus.handle("work", handler, { concurrency: 9, key: keyOf, queue: { limit: 2, overflow: "drop-oldest" } });
		emit(1, "a");
		await clock.advance(0);
		for (const id of [2, 3, 4]) emit(id, "a");
		expect(dropped.map(([id]) => id)).toEqual([2]);
		for (const index of [0, 1, 2]) {
			runs[index]!.resolve(undefined);
			await clock.advance(0);
		}
		expect(ids()).toEqual([1, 3, 4]);
	});

	test("drop-oldest runs nothing behind a close() by whoever is told of the drop", async () => {
		const { bus, clock, emit } = setup();
		const handler = vi.fn();
		const jobs = bus.handle("work", handler, { ...one, queue: { limit: 1, overflow: "drop-oldest" } });
		bus.observe("handler:dropped", () => bus.close());
		emit(1);
		const second = emit(2);
		await clock.advance(0);
		expect(handler).not.toHaveBeenCalled();
		expect((await second.settled).failed).toHaveLength(1);
		expect(jobs.size).toBe(0);
	});
});

describe("coalesce", () => {
	test("gives the place of the event of a key that waits to the newer one", async () => {
		const { bus, clock, dropped, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const queue = { limit: 10, overflow: "coalesce" } as const;
		const jobs = bus.handle("work", handler, { ...one, key: keyOf, queue });
		const emissions = [emit(1, "a")];
		await clock.advance(0);
		emissions.push(emit(2, "a"), emit(3, "b"), emit(4, "a"), emit(5), emit(6));
		expect(jobs.size).toBe(4);
		const { ok, outcomes } = await emissions[1]!.settled;
		expect(ok).toBe(true);
		expect(outcomes).toMatchObject([{ status: "dropped", overflow: "coalesce", attempts: 0 }]);
		for (let index = 0; index < 5; index++) {
			runs[index]!.resolve(`result ${runs[index]!.id}`);
			await clock.advance(0);
		}
		expect(ids().sort()).toEqual([1, 3, 4, 5, 6]);
		expect((await emissions[3]!.settled).outcomes).toMatchObject([{ value: "result 4" }]);
		expect(dropped).toEqual([[2, "worker", "coalesce"]]);
		expect(jobs.stats()).toMatchObject({ succeeded: 5, dropped: 1 });
	});

	test("hands `accepted` on outside a full queue: the older one waits no more, the newer does", async () => {
		const { bus, clock, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		const queue = { limit: 1, overflow: "coalesce" } as const;
		bus.handle("work", handler, { ...one, key: keyOf, queue });
		emit(1, "a");
		await clock.advance(0);
		emit(2, "b");
		const older = watch(emit(3, "c").accepted);
		await clock.advance(0);
		expect(older.isOver).toBe(false);
		const newer = watch(emit(4, "c").accepted);
		await clock.advance(0);
		expect([older.isOver, newer.isOver]).toEqual([true, false]);
		runs[0]!.resolve(undefined);
		await newer.promise;
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([1, 2, 4]);
	});

	test("runs the newer one in the AsyncLocalStorage context of its own emit", async () => {
		const { bus, clock, emit } = setup();
		const storage = new AsyncLocalStorage<string>();
		const seen: unknown[] = [];
		const queue = { limit: 9, overflow: "coalesce" } as const;
		bus.handle("work", () => void seen.push(storage.getStore()), { key: keyOf, queue });
		for (const context of ["older", "newer"]) storage.run(context, () => emit(1, "a"));
		await clock.advance(0);
		expect(seen).toEqual(["newer"]);
	});

	test("tells each event its outcome where its own report has the handler", async () => {
		const { bus } = setup();
		bus.handle("work", () => "from another", { name: "another" });
		const queue = { limit: 9, overflow: "coalesce" } as const;
		bus.handle("*", ({ id }) => `result ${id}`, { ...one, key: keyOf, queue });
		const older = bus.emit("more", { id: 1, key: "a" });
		const newer = bus.emit("work", { id: 2, key: "a" });
		expect((await older.settled).outcomes).toMatchObject([{ name: "worker", status: "dropped" }]);
		expect((await newer.settled).outcomes).toMatchObject([
			{ name: "another", value: "from another" },
			{ name: "worker", value: "result 2" },
		]);
	});

	test("leaves an event alone that waits for its retry", async () => {
		const { bus, clock, dropped, emit } = setup();
		const { handler, runs, ids } = heldHandler();
		bus.handle("work", handler, {
			...{ ...one, key: keyOf, queue: { limit: 5, overflow: "coalesce" } },
			retry: { attempts: 2, minDelayMs: 1_000, jitter: false },
		});
		emit(1, "a");
		await clock.advance(0);
		runs[0]!.reject(new Error("again"));
		await clock.advance(0);
		emit(2, "a");
		emit(3, "a");
		await clock.advance(1_000);
		runs[1]!.resolve(undefined);
		await clock.advance(0);
		expect(ids()).toEqual([1, 1, 3]);
		expect(dropped.map(([id]) => id)).toEqual([2]);
	});
});

describe("a handler that feeds a full queue", () => {
	test.each([true, false])(
		"its own, behind an await or before it, is let in (trackCauses %s)",
		async (trackCauses) => {
			const { bus, clock, exceeded, emit } = setup({ trackCauses });
			const ended: number[] = [];
			const jobs = bus.handle(
				"work",
				async ({ id }) => {
					// Without tracking, only what is emitted before the first await is known to be the handler's.
					if (trackCauses) await Promise.resolve();
					if (id < 40) await Promise.all([emit(id * 2).accepted, emit(id * 2 + 1).accepted]);
					ended.push(id);
				},
				{ ...one, queue: { limit: 1 } },
			);
			await emit(1).accepted;
			await clock.advance(0);
			expect([...ended].sort((a, b) => a - b)).toEqual(Array.from({ length: 79 }, (_, index) => index + 1));
			expect(exceeded[0]).toEqual({ id: 3, limit: 1, queued: 2 });
			expect(exceeded.length).toBeGreaterThan(30);
			expect(jobs.stats()).toMatchObject({ succeeded: 79, failed: 0, dropped: 0, queued: 0 });
		},
	);

	test("of another handler, which feeds it in turn, is let in too", async () => {
		const { bus, clock, exceeded } = setup();
		const ended: string[] = [];
		const feed = (from: "work" | "more", to: "work" | "more") =>
			bus.handle(
				from,
				async ({ id }) => {
					await Promise.resolve();
					for (const step of [1, 2]) if (id < 6) await bus.emit(to, { id: id + step }).accepted;
					ended.push(`${from} ${id}`);
				},
				{ name: from, concurrency: 1, queue: { limit: 1 } },
			);
		const handlers = [feed("work", "more"), feed("more", "work")];
		bus.emit("work", { id: 0 });
		bus.emit("more", { id: 0 });
		await clock.advance(0);
		const report = await bus.drain();
		expect(report).toMatchObject({ isDrained: true, left: 0 });
		// Steps of one and two from 0: as many ways to each number as Fibonacci's, from both sides.
		expect(ended).toHaveLength(2 * (1 + 1 + 2 + 3 + 5 + 8 + 13 + 8));
		expect(exceeded.length).toBeGreaterThan(0);
		for (const handler of handlers)
			expect(handler.stats()).toMatchObject({ failed: 0, dropped: 0, queued: 0 });
	});

	test("of its own by a batch is let in too", async () => {
		const { bus, clock, exceeded, emit } = setup();
		const ended: number[] = [];
		bus.handle(
			"work",
			async (items) => {
				await Promise.resolve();
				for (const { id } of items) {
					if (id < 10) await Promise.all([emit(id * 2).accepted, emit(id * 2 + 1).accepted]);
					ended.push(id);
				}
			},
			{ ...one, queue: { limit: 3 }, batch: { size: 3 } },
		);
		emit(1);
		await clock.advance(1_000);
		expect([...ended].sort((a, b) => a - b)).toEqual(Array.from({ length: 19 }, (_, index) => index + 1));
		expect(exceeded.length).toBeGreaterThan(0);
	});

	test("takes with it what waits outside with its key, so that the key keeps its order", async () => {
		const { bus, clock, exceeded, emit } = setup();
		const ran: number[] = [];
		bus.handle(
			"work",
			async ({ id, key }) => {
				ran.push(id);
				await Promise.resolve();
				if (id === 1) await emit(5, key).accepted;
			},
			{ concurrency: 4, key: keyOf, queue: { limit: 1 } },
		);
		const outside = [emit(1, "a"), emit(2, "a"), emit(3, "a"), emit(4, "b")].map(({ accepted }) => accepted);
		await clock.advance(0);
		await Promise.all(outside);
		expect(ran.filter((id) => id !== 4)).toEqual([1, 2, 3, 5]);
		expect(exceeded.map(({ id }) => id)).toEqual([3, 5]);
	});

	test("with coalesce gets the place outside of the event it replaces, and a way in", async () => {
		const { bus, clock, exceeded, dropped, emit } = setup();
		const go = createDeferred<void>();
		const ran: number[] = [];
		bus.handle(
			"work",
			async ({ id }) => {
				ran.push(id);
				await go.promise;
				if (id === 1) await emit(4, "c").accepted;
			},
			{ ...one, key: keyOf, queue: { limit: 1, overflow: "coalesce" } },
		);
		emit(1, "a");
		await clock.advance(0);
		for (const [id, key] of [
			[2, "b"],
			[3, "c"],
		] as const)
			emit(id, key);
		go.resolve();
		await clock.advance(0);
		expect(ran).toEqual([1, 2, 4]);
		expect(dropped.map(([id]) => id)).toEqual([3]);
		expect(exceeded).toEqual([{ id: 4, limit: 1, queued: 2 }]);
	});

	test("has ended, and is made to wait as others are", async () => {
		const { bus, clock, exceeded, emit } = setup();
		const later = createDeferred<void>();
		const { handler, runs } = heldHandler();
		bus.handle("work", handler, { ...one, queue: { limit: 1 } });
		bus.handle("more", () => void later.promise.then(() => emit(9)));
		bus.emit("more", { id: 1 });
		emit(1);
		await clock.advance(0);
		emit(2);
		later.resolve();
		await clock.advance(0);
		expect(exceeded).toEqual([]);
		runs[0]!.resolve(undefined);
		await clock.advance(0);
		expect(bus.stats().handlers[0]).toMatchObject({ running: 1, queued: 1 });
	});

	test("runs nothing behind a close() by whoever is told that it is exceeded", async () => {
		const { bus, clock, emit } = setup();
		const ran: number[] = [];
		const jobs = bus.handle(
			"work",
			({ id }) => {
				ran.push(id);
				if (id === 1) for (const next of [2, 3]) emit(next);
			},
			{ ...one, queue: { limit: 1 } },
		);
		bus.observe("handler:exceeded", () => bus.close());
		emit(1);
		await clock.advance(0);
		expect(ran).toEqual([1]);
		expect(jobs.stats()).toMatchObject({ failed: 2, queued: 0 });
	});
});
