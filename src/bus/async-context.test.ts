import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";

function setup(concurrency?: number) {
	const clock = fakeClock();
	const request = new AsyncLocalStorage<string>();
	const bus = createBus<{ job: number }>({ clock, concurrency, onError: () => undefined });
	const seen: (string | undefined)[] = [];
	const note = (): void => void seen.push(request.getStore());
	/** Emits in three contexts and in none. */
	const emitAll = (): void => {
		for (const name of ["a", "b", "c"]) request.run(name, () => void bus.emit("job", 1));
		bus.emit("job", 1);
	};
	return { bus, clock, request, seen, note, emitAll };
}

const contexts = ["a", "b", "c", undefined];

describe("AsyncLocalStorage - the context of the emit is there", () => {
	test("inside callbacks, behind their awaits too", async () => {
		const { bus, clock, seen, note, emitAll } = setup();
		bus.on("job", async () => {
			note();
			await Promise.resolve();
			note();
		});
		emitAll();
		await clock.advance(0);
		expect(seen).toEqual([...contexts, ...contexts]);
	});

	test.each([
		["unlimited", {}, undefined],
		["limited", { concurrency: 1 }, undefined],
		["limited by the bus", {}, 1],
		["keyed", { key: () => "k" }, undefined],
	])("inside %s handlers, behind their awaits too", async (_name, options, ceiling) => {
		const { bus, clock, seen, note, emitAll } = setup(ceiling);
		bus.handle(
			"job",
			async () => {
				await Promise.resolve();
				note();
			},
			options,
		);
		emitAll();
		await clock.advance(0);
		expect(seen).toEqual(contexts);
	});

	test.each([
		["unlimited", {}],
		["limited", { concurrency: 2 }],
	])("inside every retry of %s handlers", async (_name, options) => {
		const { bus, clock, seen, note, emitAll } = setup();
		const retry = { attempts: 3, minDelayMs: 1_000, jitter: false };
		bus.handle("job", () => Promise.reject(new Error("again")).finally(note), { ...options, retry });
		emitAll();
		await clock.advance(60_000);
		for (const context of contexts) expect(seen.filter((name) => name === context)).toHaveLength(3);
	});

	test("inside a handler that waited while another context ran and resumed it", async () => {
		const { bus, clock, request, seen, note } = setup();
		const gate = createDeferred<void>();
		const jobs = bus.handle(
			"job",
			async () => {
				note();
				await gate.promise;
			},
			{ concurrency: 1 },
		);
		request.run("first", () => void bus.emit("job", 1));
		request.run("second", () => void bus.emit("job", 2));
		jobs.pause();
		request.run("who resumes", () => jobs.resume());
		await clock.advance(0);
		request.run("who opens the gate", () => gate.resolve());
		await jobs.idle();
		expect(seen).toEqual(["first", "second"]);
	});

	test("in an event that a handler emits, from the event before it", async () => {
		const { bus, clock, request, seen } = setup();
		bus.handle(
			"job",
			(left) => {
				seen.push(request.getStore());
				if (left > 0) bus.emit("job", left - 1);
			},
			{ concurrency: 1 },
		);
		request.run("chain", () => void bus.emit("job", 5));
		request.run("other", () => void bus.emit("job", 0));
		await clock.advance(0);
		expect(seen.filter((name) => name === "chain")).toHaveLength(6);
		expect(seen.filter((name) => name === "other")).toHaveLength(1);
	});

	test("and does not leak into what emits next in the same handler slot", async () => {
		const { bus, clock, request, seen, note } = setup();
		bus.handle(
			"job",
			() => {
				note();
				request.enterWith("left behind");
			},
			{ concurrency: 1 },
		);
		bus.emit("job", 1);
		bus.emit("job", 2);
		await clock.advance(0);
		expect(seen).toEqual([undefined, undefined]);
	});
});

describe("AsyncLocalStorage - what a handler sets by enterWith() is not there", () => {
	test("in the other handlers of the event, and in the emitter", async () => {
		const { bus, clock, request, seen } = setup();
		for (const name of ["first", "second", "third"]) {
			bus.handle("job", async () => {
				seen.push(request.getStore());
				request.enterWith(name);
				await Promise.resolve();
				seen.push(request.getStore());
			});
		}
		request.run("emit", () => void bus.emit("job", 1));
		await clock.advance(0);
		expect(seen).toEqual(["emit", "emit", "emit", "first", "second", "third"]);
		expect(request.getStore()).toBeUndefined();
	});

	test("in its own later attempts", async () => {
		const { bus, clock, request, seen } = setup();
		bus.handle(
			"job",
			() => {
				seen.push(request.getStore());
				request.enterWith("attempt");
				throw new Error("again");
			},
			{ retry: { attempts: 3, jitter: false } },
		);
		request.run("emit", () => void bus.emit("job", 1));
		await clock.advance(60_000);
		expect(seen).toEqual(["emit", "emit", "emit"]);
	});

	test("in its next batches", async () => {
		const { bus, clock, request, seen } = setup();
		bus.handle(
			"job",
			() => {
				seen.push(request.getStore());
				request.enterWith("batch");
			},
			{ batch: { size: 1 } },
		);
		for (const data of [1, 2]) bus.emit("job", data);
		await clock.advance(0);
		expect(seen).toEqual([undefined, undefined]);
	});

	test("in the handlers of a delayed event, where a callback has set it", async () => {
		const { bus, clock, request, seen, note } = setup();
		bus.on("job", () => request.enterWith("callback"));
		bus.handle("job", note);
		request.run("emit", () => void bus.emit("job", 1, { delayMs: 10 }));
		await clock.advance(10);
		expect(seen).toEqual(["emit"]);
	});
});
