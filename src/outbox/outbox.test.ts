import { describe, expect, test, vi } from "vitest";
import { countStates } from "../../test/support/claim-requests.ts";
import { type FakeGroup, fakeGroup } from "../../test/support/target-group.ts";
import { thrownBy } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { type BusEvent, createPattern } from "../event/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createOutbox, readOutboxOptions, serialize } from "./index.ts";
import type { NewDelivery, StoredEvent } from "./ports.ts";

const event: BusEvent = {
	...{ id: "evt_1", type: "order.paid", time: "2026-01-01T00:00:00.000Z", source: "/shop" },
	...{ data: {}, metadata: {}, key: "o_1", subject: "order", correlationId: "c", causationId: "d" },
	traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
};

const payload = { dataJson: '{"total":1}', metadataJson: "{}" };
const { data: _, metadata: __, ...envelope } = event;
const storedEvent: StoredEvent = { ...envelope, ...payload };

/** An outbox on a memory store and a fake clock. */
function openOutbox() {
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const errors: unknown[] = [];
	const onChange = vi.fn();
	const outbox = createOutbox({
		...{ store, clock, onChange, settings: readOutboxOptions({}), versionOf: () => undefined },
		readPattern: (text) => createPattern(text, "register()"),
		onAppended: () => undefined,
		report: (error) => errors.push(error),
		send: () => undefined,
	});
	const register = (group: FakeGroup, ...accepts: readonly string[]) =>
		outbox.door.register(Object.assign(group, { accepts }));
	const append = (id: string, targets: readonly string[] = ["g"], idempotencyKey?: string) =>
		outbox.append({ ...event, id }, payload, targets, idempotencyKey);
	return { clock, store, errors, onChange, outbox, register, append, flush: () => clock.advance(0) };
}

/** A bus with a store, one group that takes everything, and what went to `onError`. */
function openBus() {
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const onError = vi.fn();
	const bus = createBus({ store, clock, onError });
	const group = fakeGroup(clock);
	const registered = bus.outbox?.register(Object.assign(group, { accepts: ["**"] }));
	return { clock, store, onError, bus, group, registered, flush: () => clock.advance(0) };
}

describe("outbox - append()", () => {
	test("keeps the event with everything it carries, and one delivery for each group", async () => {
		const { append, store, register, clock, flush } = openOutbox();
		const groups = ["g", "h"].map((name) => fakeGroup(clock, undefined, { name }));
		for (const group of groups) register(group, "**");
		await append("evt_1", ["g", "h"]);
		await flush();
		for (const group of groups) {
			expect(group.runs).toHaveLength(1);
			expect(group.runs[0]?.claim).toMatchObject({ group: group.name, target: group.name });
			expect(group.runs[0]?.claim.event).toEqual(storedEvent);
		}
		expect((await store.query({}, {})).items).toHaveLength(2);
	});

	test("a group may say at once where an event goes", async () => {
		const { append, store, register, clock } = openOutbox();
		const routes: Record<string, NewDelivery[]> = {
			evt_1: [],
			evt_2: [{ group: "g", target: "a", delayMs: 5 }],
		};
		register(Object.assign(fakeGroup(clock), { route: ({ id }: StoredEvent) => routes[id] }), "**");
		for (const id of ["evt_1", "evt_2", "evt_3"]) await append(id);
		const { items } = await store.query({}, {});
		expect(items.map(({ eventId, target }) => `${eventId} ${target}`)).toEqual(["evt_3 g", "evt_2 a"]);
		expect(await store.append([{ event: { ...storedEvent, id: "evt_1" }, deliveries: [] }])).toEqual([
			"duplicate",
		]);
	});

	test("a second event with the same idempotency key is accepted and dropped", async () => {
		const { append, store } = openOutbox();
		await append("evt_1", ["g"], "k");
		await append("evt_2", ["g"], "k");
		expect((await store.query({}, {})).items.map(({ eventId }) => eventId)).toEqual(["evt_1"]);
	});

	test("all of one tick goes to the store in batches of at most 500, in order", async () => {
		const { append, store } = openOutbox();
		const appended = vi.spyOn(store, "append");
		const ids = Array.from({ length: 1_200 }, (_, index) => `evt_${index}`);
		await Promise.all(ids.map((id) => append(id)));
		expect(appended.mock.calls.map(([batch]) => batch.length)).toEqual([500, 500, 200]);
		expect(appended.mock.calls.flatMap(([batch]) => batch.map((each) => each.event.id))).toEqual(ids);
	});

	test("a batch the store refuses fails its own events only", async () => {
		const { append, store } = openOutbox();
		vi.spyOn(store, "append").mockRejectedValueOnce(new Error("disk full"));
		await expect(Promise.all([append("evt_1"), append("evt_2")])).rejects.toThrow("disk full");
		await append("evt_3");
		expect((await store.query({}, {})).items.map(({ eventId }) => eventId)).toEqual(["evt_3"]);
	});
});

describe("outbox - groups", () => {
	test("targetsOf() names the groups whose patterns match, and changes are told", async () => {
		const { outbox, register, clock, onChange } = openOutbox();
		const registered = register(fakeGroup(clock), "order.*", "user.created");
		register(fakeGroup(clock, undefined, { name: "h" }), "**");
		register(fakeGroup(clock, undefined, { name: "none" }));
		expect(outbox.targetsOf("order.paid")).toEqual(["g", "h"]);
		expect(outbox.targetsOf("user.created")).toEqual(["g", "h"]);
		expect(outbox.targetsOf("user.deleted")).toEqual(["h"]);
		expect(onChange).toHaveBeenCalledTimes(3);
		await registered.remove(0);
		expect(outbox.targetsOf("order.paid")).toEqual(["h"]);
		expect(onChange).toHaveBeenCalledTimes(4);
		await registered.remove(0);
		expect(onChange).toHaveBeenCalledTimes(4);
	});

	test("a name is taken until its group is removed", async () => {
		const { register, clock } = openOutbox();
		const registered = register(fakeGroup(clock), "**");
		expect(thrownBy(() => register(fakeGroup(clock), "**"))).toMatchObject({
			code: "ERR_CALLHOOK_TARGET_EXISTS",
			details: { name: "g" },
		});
		await registered.remove(0);
		register(fakeGroup(clock), "**");
	});

	test("a bad pattern is refused before anything is registered", () => {
		const { outbox, register, clock, onChange } = openOutbox();
		const { code } = thrownBy(() => register(fakeGroup(clock), "order.*", "or der"));
		expect(code).toBe("ERR_CALLHOOK_INVALID_PATTERN");
		expect(outbox.targetsOf("order.paid")).toEqual([]);
		expect(onChange).not.toHaveBeenCalled();
		register(fakeGroup(clock), "order.*");
	});

	test("idle() right after an append waits for it to be kept and delivered", async () => {
		const { append, register, clock, store, flush } = openOutbox();
		const keep = store.append;
		const isSlow = createDeferred<void>();
		vi.spyOn(store, "append").mockImplementation((...args) => isSlow.promise.then(() => keep(...args)));
		const group = fakeGroup(clock, () => undefined);
		const registered = register(group, "**");
		await flush();
		void append("evt_1");
		let isIdle = false;
		const idle = registered.idle().then(() => {
			isIdle = true;
		});
		await flush();
		expect(isIdle).toBe(false);
		isSlow.resolve();
		await flush();
		expect(group.runs).toHaveLength(1);
		expect(isIdle).toBe(false);
		group.runs[0]?.end("delivered");
		await idle;
	});

	test("wake() looks for what the store did not announce", async () => {
		const { register, clock, store, append, flush } = openOutbox();
		vi.spyOn(store, "onWake").mockReturnValue(() => undefined);
		const group = fakeGroup(clock);
		const registered = register(group, "**");
		await flush();
		await append("evt_1");
		await flush();
		expect(group.runs).toHaveLength(0);
		registered.wake();
		await flush();
		expect(group.runs).toHaveLength(1);
	});

	test("close() ends what is being removed in its own, shorter time", async () => {
		const { outbox, register, clock, append, flush } = openOutbox();
		const group = fakeGroup(clock, () => undefined);
		const registered = register(group, "**");
		await append("evt_1");
		await flush();
		const ends = [registered.remove(60_000), registered.remove(60_000), outbox.close(1_000)];
		await clock.advance(1_000);
		await Promise.all(ends);
		expect(group.aborts).toBe(1);
		expect(clock.timers).toBe(0);
	});

	test("close() ends every group", async () => {
		const { outbox, register, clock, append, store, flush } = openOutbox();
		const groups = ["g", "h"].map((name) => fakeGroup(clock, () => undefined, { name }));
		for (const group of groups) register(group, "**");
		await append("evt_1", ["g", "h"]);
		await flush();
		void append("evt_2", ["g"]);
		const closed = outbox.close(5_000);
		await clock.advance(5_000);
		await closed;
		expect(groups.map(({ aborts }) => aborts)).toEqual([1, 1]);
		expect(await countStates(store)).toEqual({ g: { pending: 2 }, h: { pending: 1 } });
		expect(outbox.targetsOf("order.paid")).toEqual([]);
		expect(clock.timers).toBe(0);
	});
});

describe("outbox - behind a bus", () => {
	test("the event is kept as it was emitted, whatever callbacks do to it", async () => {
		const { bus, group, flush } = openBus();
		bus.on("order.paid", (data) => {
			(data as { items: string[] }).items.push("from a callback");
		});
		bus.on("order.paid", (_, { metadata }) => {
			Object.assign(metadata, { changed: true });
		});
		const data = { items: ["book"] };
		const emission = bus.emit("order.paid", data, { metadata: { by: "test" } });
		data.items.push("after the emit");
		await emission.stored;
		await flush();
		expect(group.runs[0]?.claim.event).toMatchObject({
			id: emission.event.id,
			dataJson: '{"items":["book"]}',
			metadataJson: '{"by":"test"}',
		});
	});

	test("what cannot be written as JSON is refused before any callback runs", async () => {
		const { bus, group, flush } = openBus();
		const callback = vi.fn();
		bus.on("order.paid", callback);
		const { code } = thrownBy(() => bus.emit("order.paid", { total: 1n }));
		expect(code).toBe("ERR_CALLHOOK_NOT_SERIALIZABLE");
		expect(callback).not.toHaveBeenCalled();
		await flush();
		expect(group.runs).toEqual([]);
	});

	test("`stored` resolves after the commit, and rejects with the store's error", async () => {
		const { bus, store, onError } = openBus();
		const failure = new Error("disk full");
		await bus.emit("order.paid", {}).stored;
		expect((await store.query({}, {})).items).toHaveLength(1);
		vi.spyOn(store, "append").mockRejectedValueOnce(failure);
		const emission = bus.emit("order.paid", {});
		await expect(emission.stored).rejects.toBe(failure);
		expect(onError.mock.calls).toEqual([
			[failure, { source: "outbox", name: "append", event: emission.event }],
		]);
	});

	test("an append that fails reaches onError once for each event, also where nobody asked", async () => {
		const { bus, store, onError, flush } = openBus();
		vi.spyOn(store, "append").mockRejectedValueOnce(new Error("disk full"));
		const emissions = [bus.emit("order.paid", 1), bus.emit("order.paid", 2)];
		await flush();
		expect(onError.mock.calls.map(([, context]) => context.event)).toEqual(
			emissions.map((emission) => emission.event),
		);
		expect((await emissions[0]?.settled)?.ok).toBe(true);
	});

	test("a store that fails later is reported as the outbox's, and the bus goes on", async () => {
		const { bus, store, onError, clock, group, flush } = openBus();
		const failure = new Error("store is down");
		vi.spyOn(store, "claim").mockRejectedValueOnce(failure);
		await bus.emit("order.paid", {}).stored;
		await flush();
		expect(onError.mock.calls).toEqual([[failure, { source: "outbox", name: "claim" }]]);
		await clock.advance(1_000);
		expect(group.runs).toHaveLength(1);
	});

	test("idle() right after an emit waits for its delivery", async () => {
		const { bus, registered, group } = openBus();
		for (let round = 1; round <= 3; round++) {
			bus.emit("order.paid", round);
			await registered?.idle();
			expect(group.runs).toHaveLength(round);
		}
	});

	test("close() leaves no timer and nothing in flight", async () => {
		const { bus, clock, store, flush } = openBus();
		bus.emit("order.paid", {});
		await flush();
		await bus.close();
		expect(clock.timers).toBe(0);
		expect(await countStates(store)).toEqual({ g: { delivered: 1 } });
	});
});

describe("serialize()", () => {
	test("writes data and metadata; what is left out is null and {}", () => {
		expect(serialize("t", { a: [1, null, "é"] }, { b: 1 })).toEqual({
			dataJson: '{"a":[1,null,"é"]}',
			metadataJson: '{"b":1}',
		});
		expect(serialize("t", undefined, undefined)).toEqual({ dataJson: "null", metadataJson: "{}" });
	});

	const circular: Record<string, unknown> = {};
	circular.self = circular;
	const broken = {
		toJSON() {
			throw new Error("no JSON of me");
		},
	};
	test.each([
		["a bigint", 1n, undefined, /BigInt/u],
		["a circle", circular, undefined, /circular/u],
		["a toJSON that throws", broken, undefined, /: no JSON of me$/u],
		["a function", () => undefined, undefined, /written as JSON$/u],
		["a symbol", Symbol("s"), undefined, /written as JSON$/u],
		["metadata with a bigint", {}, { a: 1n }, /BigInt/u],
	])("refuses %s with its type and the reason", (_, data, metadata, reason) => {
		const error = thrownBy(() => serialize("order.paid", data, metadata));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_NOT_SERIALIZABLE", details: { type: "order.paid" } });
		expect(error.message).toMatch(/"order\.paid"/u);
		expect(error.message).toMatch(reason);
	});
});
