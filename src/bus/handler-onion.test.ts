import { describe, expect, test, vi } from "vitest";
import { watch } from "../../test/support/watch.ts";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";
import type { HandleOptions } from "./handler-options.ts";
import type { HandlerMiddleware } from "./middleware.ts";

const broken = new Error("broken");
const invalid = (reason: RegExp): unknown =>
	expect.objectContaining({
		code: "ERR_CALLHOOK_INVALID_MIDDLEWARE",
		details: { reason: expect.stringMatching(reason) },
	});

/** A bus whose handlers end when told to. */
function setup(middleware: HandlerMiddleware, options: HandleOptions<number> = {}) {
	const clock = fakeClock();
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<{ job: number }>({ clock, onError });
	bus.use(middleware);
	const runs: { readonly data: number; readonly end: () => void; readonly fail: () => void }[] = [];
	bus.handle(
		"job",
		(data) => {
			const { promise, resolve, reject } = createDeferred<string>();
			runs.push({ data, end: () => resolve("handled"), fail: () => reject(broken) });
			return promise;
		},
		{ name: "worker", ...options },
	);
	return { bus, clock, onError, runs };
}

/** Lets some time pass on the machine's own clock, as the event loop reports unhandled rejections behind a turn. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("a middleware around handlers that does not await next()", () => {
	const cases: [how: string, middleware: HandlerMiddleware][] = [
		[
			"looks at it later",
			async (event, next) => {
				const inner = next(event);
				await turn();
				return inner;
			},
		],
		[
			"forgets it",
			(event, next) => {
				void next(event);
			},
		],
		[
			"forgets it and is asynchronous",
			async (event, next) => {
				void next(event);
			},
		],
		[
			"forgets it and goes on for long",
			async (event, next) => {
				void next(event);
				await turn();
			},
		],
	];

	test.each(cases)(
		"and %s: a handler that throws fails the attempt, reported once",
		async (_how, middleware) => {
			const unhandled = vi.fn();
			process.on("unhandledRejection", unhandled);
			const onError = vi.fn();
			const bus = createBus<{ job: number }>({ onError });
			bus.use(middleware);
			for (const handler of [
				() => {
					throw broken;
				},
				async () => {
					await turn();
					throw broken;
				},
			]) {
				const off = bus.handle("job", handler, { name: "worker" });
				const { settled } = bus.emit("job", 1);
				expect((await settled).failed).toMatchObject([{ error: broken }]);
				expect(onError.mock.calls.map(([error]) => error)).toEqual([broken]);
				onError.mockClear();
				await off.stop();
			}
			await turn();
			process.off("unhandledRejection", unhandled);
			expect(unhandled).not.toHaveBeenCalled();
		},
	);

	test("and returns before: the attempt ends with the handler, and what the middleware returned counts", async () => {
		const { bus, clock, runs } = setup((event, next) => {
			void next(event);
			return "early";
		});
		const settled = watch(bus.emit("job", 1).settled);
		await clock.advance(0);
		expect(settled.isOver).toBe(false);
		runs[0]?.end();
		expect((await settled.promise).outcomes).toMatchObject([{ status: "fulfilled", value: "early" }]);
	});

	test("and gives up waiting: slot, key and drain() wait for the handler all the same", async () => {
		const { bus, clock, runs } = setup(
			(event, next) => Promise.race([next(event), Promise.resolve("too late")]),
			{
				concurrency: 1,
				key: () => "k",
			},
		);
		for (const data of [1, 2]) bus.emit("job", data);
		await clock.advance(0);
		expect(runs.map(({ data }) => data)).toEqual([1]);
		const drained = watch(bus.drain());
		await clock.advance(0);
		expect(drained.isOver).toBe(false);
		runs[0]?.end();
		await clock.advance(0);
		expect(runs.map(({ data }) => data)).toEqual([1, 2]);
		expect(drained.isOver).toBe(false);
		runs[1]?.end();
		expect(await drained.promise).toMatchObject({ isDrained: true });
	});

	test("and has ended: a handler that fails then fails the attempt, for nobody could have caught it", async () => {
		const { bus, clock, runs, onError } = setup((event, next) =>
			Promise.race([next(event), Promise.resolve("too late")]),
		);
		const { settled } = bus.emit("job", 1);
		await clock.advance(0);
		runs[0]?.fail();
		expect((await settled).failed).toMatchObject([{ error: broken }]);
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test("and has failed itself: its error counts, and the handler's goes to onError", async () => {
		const own = new Error("own");
		const { bus, clock, runs, onError } = setup((event, next) => {
			void next(event);
			throw own;
		});
		const { settled, event } = bus.emit("job", 1);
		await clock.advance(0);
		runs[0]?.fail();
		expect((await settled).failed).toMatchObject([{ error: own }]);
		expect(onError.mock.calls).toEqual([
			[broken, { source: "middleware", name: "worker", event }],
			[own, { source: "handler", name: "worker", event }],
		]);
	});

	test("that caught the error decides what becomes of the attempt", async () => {
		const { bus, clock, runs, onError } = setup((event, next) => next(event).catch(() => "mended"));
		const { settled } = bus.emit("job", 1);
		await clock.advance(0);
		runs[0]?.fail();
		expect((await settled).outcomes).toMatchObject([{ status: "fulfilled", value: "mended" }]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("waits through several layers", async () => {
		const { bus, clock, runs } = setup((event, next) => void next(event));
		bus.use((event, next) => next(event));
		const settled = watch(bus.emit("job", 1).settled);
		await clock.advance(0);
		expect(settled.isOver).toBe(false);
		runs[0]?.fail();
		expect((await settled.promise).failed).toMatchObject([{ error: broken }]);
	});
});

describe("next() around handlers", () => {
	test("without an event passes on the one the middleware got", async () => {
		const { bus, runs } = setup((event, next) => next(event, { by: "outer" }));
		const seen: unknown[] = [];
		bus.use((_event, next) => next());
		bus.use((event, next) => {
			seen.push(event.metadata, event.data);
			return next(undefined, { by: "inner" });
		});
		const { settled } = bus.emit("job", 1);
		await vi.waitUntil(() => runs.length > 0);
		runs[0]?.end();
		expect((await settled).ok).toBe(true);
		expect(seen).toEqual([{ by: "outer" }, 1]);
	});

	test("once the middleware has ended rejects, runs nothing and goes to onError", async () => {
		let late: Promise<unknown> | undefined;
		const { bus, onError, runs } = setup((event, next) => {
			setTimeout(() => {
				late = next(event);
			}, 1);
			return "done";
		});
		const { settled, event } = bus.emit("job", 1);
		expect((await settled).outcomes).toMatchObject([{ value: "done" }]);
		await bus.close();
		await vi.waitUntil(() => late !== undefined);
		await expect(late).rejects.toEqual(invalid(/ended/));
		expect(runs).toEqual([]);
		expect(onError.mock.calls).toEqual([[invalid(/ended/), { source: "middleware", name: "worker", event }]]);
	});

	test("with metadata that is no plain object fails the attempt, and the handler does not run", async () => {
		const { bus, runs } = setup((event, next) => next(event, "abc" as never));
		const { settled } = bus.emit("job", 1);
		expect((await settled).failed).toMatchObject([{ error: { code: "ERR_CALLHOOK_INVALID_OPTION" } }]);
		expect(runs).toEqual([]);
	});

	test("a second time fails the attempt, whoever looks at it", async () => {
		const { bus, clock, runs } = setup((event, next) => {
			void next(event);
			next(event).catch(() => undefined);
			return "fine";
		});
		const { settled } = bus.emit("job", 1);
		await clock.advance(0);
		for (const { end } of runs) end();
		expect((await settled).failed.map(({ error }) => error)).toEqual([invalid(/twice/)]);
		expect(runs).toHaveLength(1);
	});
});

test("without AsyncLocalStorage a handler behind an asynchronous middleware knows its cause", async () => {
	const bus = createBus<{ job: number; done: number }>({ trackCauses: false });
	bus.use(async (event, next) => {
		await turn();
		return next(event);
	});
	bus.handle("job", () => bus.emit("done", 1).event.causationId);
	const report = await bus.emit("job", 1, { id: "job_1" }).settled;
	expect(report.outcomes).toMatchObject([{ value: "job_1" }]);
});
