import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { thrownBy } from "../../test/support/thrown.ts";
import { isCallhookError } from "../errors.ts";
import { type BusEvent, defineEvents, type EmitOptions } from "../event/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";

const startTime = "2026-03-04T05:06:07.089Z";
const everything = {
	id: "evt-1",
	time: "2020-01-02T03:04:05.678Z",
	key: "k",
	subject: "s",
	correlationId: "corr",
	causationId: "cause",
	traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	metadata: { note: 1 },
	idempotencyKey: "once",
} satisfies EmitOptions;

function setup() {
	const clock = fakeClock({ now: new Date(startTime) });
	const onError = vi.fn();
	const bus = createBus<{ "order.paid": { id: number } }>({ clock, onError, source: "/shop" });
	return { bus, clock, onError };
}

describe("emission.event - fields", () => {
	test("have defaults", () => {
		const { bus } = setup();
		const data = { id: 1 };
		const { event } = bus.emit("order.paid", data);
		expect(event.type).toBe("order.paid");
		expect(event.source).toBe("/shop");
		expect(event.data).toBe(data);
		expect(event.time).toBe(startTime);
		expect(event.id).toMatch(/^evt_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
		expect(event.metadata).toEqual({});
		for (const name of ["key", "subject", "correlationId", "causationId", "traceparent"] as const) {
			expect(event[name]).toBeUndefined();
		}
	});

	test("source is / unless the bus says another", () => {
		expect(createBus().emit("order.paid", 1).event.source).toBe("/");
	});

	test("are what the options say", () => {
		const { bus } = setup();
		const { event } = bus.emit("order.paid", { id: 1 }, everything);
		const { idempotencyKey: _, ...said } = everything;
		expect(event).toMatchObject(said);
	});

	test("are the same for a callback, a handler, the report and the emission", async () => {
		const { bus } = setup();
		const seen: BusEvent[] = [];
		bus.on("order.paid", (_data, event) => void seen.push(event));
		bus.handle("order.paid", (_data, { event }) => void seen.push(event));
		const emission = bus.emit("order.paid", { id: 1 });
		const report = await emission.settled;
		expect(seen).toHaveLength(2);
		for (const event of [...seen, report.event]) expect(event).toBe(emission.event);
	});

	test("take time as text with an offset, as milliseconds and as a Date", () => {
		const { bus } = setup();
		const times = ["2020-01-02T05:04:05.678+02:00", 1_577_934_245_678, new Date(1_577_934_245_678)];
		for (const time of times) {
			expect(bus.emit("order.paid", { id: 1 }, { time }).event.time).toBe("2020-01-02T03:04:05.678Z");
		}
	});

	test("stay as they were when the caller reuses and changes the options object", async () => {
		const { bus } = setup();
		const keys: unknown[] = [];
		bus.handle("order.paid", (_data, { event }) => void keys.push([event.key, event.metadata]));
		const options: { key?: string; metadata?: Record<string, unknown> } = {};
		const emissions = [1, 2].map((id) => {
			options.key = `k${id}`;
			options.metadata = { id };
			return bus.emit("order.paid", { id }, options);
		});
		for (const { settled } of emissions) await settled;
		expect(keys).toEqual([
			["k1", { id: 1 }],
			["k2", { id: 2 }],
		]);
		expect(emissions.map(({ event }) => event.key)).toEqual(["k1", "k2"]);
	});
});

describe("emission.event - id", () => {
	test("is stable and its own for every emit", () => {
		const { bus } = setup();
		const events = Array.from({ length: 100 }, (_, id) => bus.emit("order.paid", { id }).event);
		const ids = events.map(({ id }) => id);
		expect(new Set(ids).size).toBe(100);
		expect(events.map(({ id }) => id)).toEqual(ids);
	});

	test("is the same wherever it is read first", async () => {
		const { bus, clock } = setup();
		const ids: string[] = [];
		bus.on("order.paid", async (_data, event) => {
			await Promise.resolve();
			ids.push(event.id);
		});
		const emission = bus.emit("order.paid", { id: 1 });
		await clock.advance(1_000);
		expect(ids).toEqual([emission.event.id]);
		expect((await emission.settled).event.id).toBe(emission.event.id);
	});
});

describe("emission.event - time is that of the emit, however late it is read", () => {
	type Keep = (event: BusEvent) => void;
	type Callback = (data: unknown, event: BusEvent, more?: unknown) => unknown;
	const callbacks: [string, (keep: Keep) => Callback][] = [
		[
			"no declared parameter",
			(keep) =>
				(...args: Parameters<Callback>) =>
					keep(args[1]),
		],
		["two parameters", (keep) => (_data, event) => keep(event)],
		["three parameters", (keep) => (_data, event, _more) => keep(event)],
		["two parameters, returning a promise", (keep) => async (_data, event) => keep(event)],
	];
	test.each(callbacks)("by a callback with %s", async (_name, create) => {
		const { bus, clock } = setup();
		const kept: BusEvent[] = [];
		bus.on(
			"order.paid",
			create((event) => void kept.push(event)),
		);
		bus.emit("order.paid", { id: 1 });
		await clock.advance(60_000);
		expect(kept.map(({ time }) => time)).toEqual([startTime]);
	});

	test("by whoever took the event out of the emission", async () => {
		const { bus, clock } = setup();
		bus.on("order.paid", (_data) => undefined);
		const { event } = bus.emit("order.paid", { id: 1 });
		await clock.advance(60_000);
		expect(event.time).toBe(startTime);
	});

	test("by whoever waited for the report", async () => {
		const { bus, clock } = setup();
		const { settled } = bus.emit("order.paid", { id: 1 });
		await clock.advance(60_000);
		expect((await settled).event.time).toBe(startTime);
	});

	test("in a queued handler and its retries", async () => {
		const { bus, clock } = setup();
		const times: string[] = [];
		const handler = (_data: unknown, { event }: { event: BusEvent }) => {
			times.push(event.time);
			throw new Error("again");
		};
		const jobs = bus.handle("order.paid", handler, { retry: { attempts: 3 } });
		jobs.pause();
		bus.emit("order.paid", { id: 1 });
		await clock.advance(60_000);
		jobs.resume();
		await clock.advance(60_000);
		expect(times).toEqual([startTime, startTime, startTime]);
	});

	test.each(["throws", "rejects later"])("in onError, when a callback %s", async (how) => {
		const { bus, clock, onError } = setup();
		const gate = createDeferred<void>();
		bus.on("order.paid", (_data) => {
			if (how === "throws") throw new Error(how);
			return gate.promise.then(() => Promise.reject(new Error(how)));
		});
		bus.emit("order.paid", { id: 1 });
		await clock.advance(60_000);
		gate.resolve();
		await clock.advance(60_000);
		expect(onError.mock.calls.map(([, { event }]) => event.time)).toEqual([startTime]);
	});

	test("also long after the bus was made, and when the clock was set back", async () => {
		const { bus, clock } = setup();
		const before = clock.now();
		await clock.advance(90_061_001);
		const later = bus.emit("order.paid", { id: 1 }).event;
		vi.spyOn(clock, "now").mockReturnValue(before - 1_000);
		const earlier = bus.emit("order.paid", { id: 2 }).event;
		vi.restoreAllMocks();
		expect(later.time).toBe("2026-03-05T06:07:08.090Z");
		expect(earlier.time).toBe("2026-03-04T05:06:06.089Z");
	});

	test("also when the clock stands at zero", async () => {
		const clock: FakeClock = fakeClock({ now: 0 });
		const bus = createBus<{ "order.paid": number }>({ clock });
		bus.on("order.paid", (_data, _event) => undefined);
		const emission = bus.emit("order.paid", 1);
		await clock.advance(60_000);
		expect(emission.event.time).toBe("1970-01-01T00:00:00.000Z");
	});
});

describe("emission.event - toJSON()", () => {
	test("gives the event as a plain object, which inspect shows too", () => {
		const { bus } = setup();
		const { event } = bus.emit("order.paid", { id: 1 }, everything);
		const { idempotencyKey: _, ...said } = everything;
		const plain = { ...said, type: "order.paid", source: "/shop", data: { id: 1 } };
		expect(JSON.parse(JSON.stringify(event))).toEqual(plain);
		expect((event as never as { toJSON(): unknown }).toJSON()).toEqual(plain);
		expect(inspect(event)).toBe(inspect((event as never as { toJSON(): unknown }).toJSON()));
	});

	test("leaves out of the text what was not said", () => {
		const { bus } = setup();
		const { event } = bus.emit("order.paid", { id: 1 });
		const names = Object.keys(JSON.parse(JSON.stringify(event)));
		expect(names.sort()).toEqual(["data", "id", "metadata", "source", "time", "type"]);
	});
});

describe("emit() - with a catalog", () => {
	const order = z.object({ id: z.string().trim(), total: z.coerce.number().default(7) });
	const events = defineEvents({
		"order.paid": { schema: order, description: "paid", key: ({ id, total }) => `${id}:${total}` },
		"order.shipped": order,
	});

	test("gives consumers what the schema returned", () => {
		const bus = createBus({ events });
		const seen: unknown[] = [];
		bus.on("order.*", (data, event) => void seen.push(data, event.data));
		bus.emit("order.shipped", { id: " o_1 ", total: "3" });
		expect(seen).toEqual([
			{ id: "o_1", total: 3 },
			{ id: "o_1", total: 3 },
		]);
	});

	test("takes the key of the catalog, made from the validated data, unless emit says another", () => {
		const bus = createBus({ events });
		expect(bus.emit("order.paid", { id: " o_1 " }).event.key).toBe("o_1:7");
		expect(bus.emit("order.paid", { id: "o_1" }, { key: undefined, subject: "s" }).event).toMatchObject({
			key: "o_1:7",
			subject: "s",
		});
		expect(bus.emit("order.paid", { id: "o_1" }, { key: "mine" }).event.key).toBe("mine");
		expect(bus.emit("order.shipped", { id: "o_1" }).event.key).toBeUndefined();
	});
});

describe("emitter()", () => {
	test("emits as emit() does, with options, to who subscribes before and after", async () => {
		const { bus } = setup();
		const seen: unknown[] = [];
		bus.on("order.*", (data, event) => void seen.push([data, event.key]));
		const emitPaid = bus.emitter("order.paid");
		const emission = emitPaid({ id: 1 });
		expect(emission.event).toMatchObject({ type: "order.paid", data: { id: 1 } });
		const handled = vi.fn();
		bus.handle("order.paid", handled);
		const report = await emitPaid({ id: 2 }, { key: "k" }).settled;
		expect(report.outcomes).toHaveLength(2);
		expect(handled).toHaveBeenCalledTimes(1);
		expect(seen).toEqual([
			[{ id: 1 }, undefined],
			[{ id: 2 }, "k"],
		]);
	});
});

describe("emission.settled", () => {
	test("waits for every callback and handler and holds what they returned", async () => {
		const { bus, clock } = setup();
		const first = createDeferred<string>();
		const second = createDeferred<string>();
		bus.on("order.paid", () => "sync");
		bus.on("order.*", () => first.promise);
		bus.handle("order.paid", () => second.promise, { name: "worker" });
		const emission = bus.emit("order.paid", { id: 1 });
		const settled = vi.fn();
		void emission.settled.then(settled);
		first.resolve("async");
		await clock.advance(0);
		expect(settled).not.toHaveBeenCalled();
		second.resolve("handled");
		await clock.advance(0);
		expect(settled).toHaveBeenCalledTimes(1);
		const report = await emission.settled;
		expect(report.ok).toBe(true);
		expect(report.failed).toEqual([]);
		expect(() => report.throwIfFailed()).not.toThrow();
		expect(report.outcomes).toEqual([
			{ kind: "callback", name: "order.paid", attempts: 1, status: "fulfilled", value: "sync" },
			{ kind: "callback", name: "order.*", attempts: 1, status: "fulfilled", value: "async" },
			{ kind: "handler", name: "worker", attempts: 1, status: "fulfilled", value: "handled" },
		]);
	});

	test("is one promise, and the same report when it is asked for late", async () => {
		const { bus, clock } = setup();
		bus.on("order.paid", async () => "done");
		const early = bus.emit("order.paid", { id: 1 });
		const late = bus.emit("order.paid", { id: 2 });
		expect(early.settled).toBe(early.settled);
		await clock.advance(1_000);
		expect((await late.settled).outcomes).toEqual((await early.settled).outcomes);
	});

	test("report.throwIfFailed() throws ERR_CALLHOOK_EMISSION_FAILED with every error", async () => {
		const { bus } = setup();
		const errors = [new Error("callback"), new Error("handler")];
		bus.on("order.paid", () => Promise.reject(errors[0]));
		bus.on("order.paid", () => "fine");
		bus.handle("order.paid", () => Promise.reject(errors[1]), { name: "worker" });
		const report = await bus.emit("order.paid", { id: 1 }).settled;
		expect(report.failed.map(({ error }) => error)).toEqual(errors);
		const thrown = thrownBy(() => report.throwIfFailed());
		if (!isCallhookError(thrown, "ERR_CALLHOOK_EMISSION_FAILED")) expect.fail("expected its own code");
		expect(thrown.details).toEqual({ type: "order.paid", failed: 2 });
		expect(thrown.message).toBe(
			'2 of 3 consumers of "order.paid" failed: callback order.paid, handler worker',
		);
		expect((thrown.cause as AggregateError).errors).toEqual(errors);
	});
});

describe("emission.stored", () => {
	function setupStore() {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const onError = vi.fn();
		const bus = createBus<{ "order.paid": { id: number }; "user.created": number }>({
			clock,
			store,
			onError,
		});
		bus.outbox!.register({
			...{ name: "target", accepts: ["order.*"], concurrency: 1, concurrencyOf: () => 1 },
			run: () => Promise.resolve({ to: { state: "delivered" } }),
			abort: () => undefined,
		});
		const written = createDeferred<void>();
		const append = vi.spyOn(store, "append");
		append.mockImplementation((events) => written.promise.then(() => events.map(() => "stored" as const)));
		return { bus, clock, append, written, onError };
	}

	test("resolves at once without a store", async () => {
		const { bus } = setup();
		expect(await bus.emit("order.paid", { id: 1 }).stored).toBeUndefined();
		expect(await bus.emit("order.paid", { id: 1 }, { key: "k" }).stored).toBeUndefined();
	});

	test("resolves at once where no outbox target takes the type", async () => {
		const { bus, append } = setupStore();
		await bus.emit("user.created", 1).stored;
		expect(append).not.toHaveBeenCalled();
	});

	test("resolves once the store has written the event, which is as it was at the emit", async () => {
		const { bus, clock, append, written } = setupStore();
		const data = { id: 1 };
		bus.on("order.paid", (shared: { id: number }) => {
			shared.id = 99;
		});
		const emission = bus.emit("order.paid", data, { key: "k", metadata: { note: 1 } });
		const stored = vi.fn();
		void emission.stored.then(stored);
		await clock.advance(0);
		expect(stored).not.toHaveBeenCalled();
		written.resolve();
		await emission.stored;
		const { id, type, time, source, key } = emission.event;
		const event = { id, type, time, source, key, dataJson: '{"id":1}', metadataJson: '{"note":1}' };
		expect(append.mock.calls.flatMap(([events]) => events)).toMatchObject([{ event }]);
	});

	test("rejects with the store's error, which goes to onError once, awaited or not", async () => {
		const { bus, clock, written, onError } = setupStore();
		const error = new Error("disk full");
		const awaited = bus.emit("order.paid", { id: 1 });
		const notAwaited = bus.emit("order.paid", { id: 2 });
		await clock.advance(0);
		written.reject(error);
		await expect(awaited.stored).rejects.toBe(error);
		await clock.advance(0);
		expect(onError.mock.calls).toEqual(
			[awaited, notAwaited].map(({ event }) => [error, { source: "outbox", name: "append", event }]),
		);
		expect((await awaited.settled).ok).toBe(true);
	});
});

describe("report.outcomeOf()", () => {
	test("is the outcome of one subscription, whatever others there are", async () => {
		const bus = createBus<{ "order.paid": number; "order.sent": number }>({ onError: () => undefined });
		const later = bus.on("order.*", () => "later", { priority: -1 });
		const first = bus.on("order.paid", (data) => data + 1);
		const failing = bus.handle("order.paid", async () => Promise.reject(new Error("no")));
		const handled = bus.handle("order.*", async (data) => ({ data }));
		const other = bus.on("order.sent", () => undefined);
		const report = await bus.emit("order.paid", 1).settled;
		expect(report.outcomeOf(first)).toMatchObject({ kind: "callback", status: "fulfilled", value: 2 });
		expect(report.outcomeOf(later)).toMatchObject({ name: "order.*", value: "later" });
		expect(report.outcomeOf(failing)).toMatchObject({ kind: "handler", status: "rejected" });
		expect(report.outcomeOf(handled)).toMatchObject({ kind: "handler", value: { data: 1 } });
		expect(report.outcomeOf(other)).toBeUndefined();
	});
});
