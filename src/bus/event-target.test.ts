import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { codeOf } from "../../test/support/thrown.ts";
import { defineEvents } from "../event/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import type { BusCustomEvent } from "./event-target.ts";

function setup() {
	const onError = vi.fn();
	const events = defineEvents({ job: z.object({ id: z.number() }), note: z.unknown() });
	const bus = createBus({ events, clock: fakeClock(), onError });
	const target = bus.toEventTarget();
	const seen: BusCustomEvent[] = [];
	const listener = (event: Event) => void seen.push(event as BusCustomEvent);
	const send = (id: number) => target.dispatchEvent(new CustomEvent("job", { detail: { id } }));
	const ids = () => seen.map(({ detail }) => (detail as { id: number }).id);
	return { bus, target, onError, seen, listener, send, ids };
}

describe("toEventTarget() - a listener", () => {
	test("gets a CustomEvent of the type, with the data as detail and the event beside it", () => {
		const { bus, target, seen, listener } = setup();
		target.addEventListener("job", listener);
		const data = { id: 1 };
		const { event } = bus.emit("job", data);
		expect(seen).toHaveLength(1);
		const [got] = seen;
		expect(got).toBeInstanceOf(CustomEvent);
		expect(got?.type).toBe("job");
		expect(got?.detail).toBe(event.data);
		expect(got?.busEvent).toBe(event);
		expect(got?.target).toBe(target);
	});

	test("gets only what it listens to, from then on, and once, however many there are", () => {
		const { bus, target, listener, ids } = setup();
		const others = [vi.fn(), vi.fn()];
		bus.emit("job", { id: 1 });
		target.addEventListener("job", listener);
		target.addEventListener("job", listener);
		for (const other of others) target.addEventListener("job", other);
		target.addEventListener("note", others[0] as never);
		bus.emit("job", { id: 2 });
		bus.emit("note", { id: 3 });
		expect(ids()).toEqual([2]);
		expect(others.map(({ mock }) => mock.calls.length)).toEqual([2, 1]);
	});

	test("with `once` is called once, and again after it was added again", () => {
		const { bus, target, listener, ids } = setup();
		target.addEventListener("job", listener, { once: true });
		for (const id of [1, 2]) bus.emit("job", { id });
		target.addEventListener("job", listener, { once: true });
		for (const id of [3, 4]) bus.emit("job", { id });
		expect(ids()).toEqual([1, 3]);
	});

	test("ends with its signal or when it is removed", () => {
		const { bus, target, listener, ids } = setup();
		const controller = new AbortController();
		target.addEventListener("job", listener, { signal: controller.signal });
		bus.emit("job", { id: 1 });
		controller.abort();
		bus.emit("job", { id: 2 });
		target.addEventListener("job", listener);
		bus.emit("job", { id: 3 });
		target.removeEventListener("job", listener);
		bus.emit("job", { id: 4 });
		expect(ids()).toEqual([1, 3]);
	});

	test("may be an object with handleEvent, called on it", () => {
		const { bus, target } = setup();
		const object = {
			seen: [] as unknown[],
			handleEvent(event: Event) {
				this.seen.push((event as CustomEvent).detail);
			},
		};
		target.addEventListener("job", object);
		bus.emit("job", { id: 1 });
		expect(object.seen).toEqual([{ id: 1 }]);
	});

	test("may listen to a pattern", () => {
		const { bus, target, seen, listener } = setup();
		target.addEventListener("*", listener);
		bus.emit("job", { id: 1 });
		bus.emit("note", 2);
		expect(seen.map(({ type, busEvent }) => [type, busEvent.type])).toEqual([
			["*", "job"],
			["*", "note"],
		]);
	});

	test("of a type that the catalog lacks is refused, each time", () => {
		const { target, listener } = setup();
		for (const type of ["jib", "jib"]) {
			expect(codeOf(() => target.addEventListener(type, listener))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		}
	});

	test("hears nothing of a closed bus", async () => {
		const { bus, target, seen, listener, send } = setup();
		target.addEventListener("job", listener);
		await bus.close();
		expect(codeOf(() => send(1))).toBe("ERR_CALLHOOK_CLOSED");
		expect(codeOf(() => target.addEventListener("note", listener))).toBe("ERR_CALLHOOK_CLOSED");
		expect(seen).toEqual([]);
	});
});

describe("toEventTarget() - dispatchEvent", () => {
	test("emits the detail for everybody, each once", async () => {
		const { bus, target, listener, send, seen, ids } = setup();
		const [callback, handler, elsewhere] = [vi.fn(), vi.fn(), vi.fn()];
		bus.on("job", callback);
		bus.handle("job", handler);
		target.addEventListener("job", listener);
		bus.toEventTarget().addEventListener("job", elsewhere);
		expect(send(1)).toBe(true);
		await bus.idle();
		expect(ids()).toEqual([1]);
		for (const consumer of [callback, handler, elsewhere]) expect(consumer).toHaveBeenCalledTimes(1);
		expect(callback.mock.calls[0]?.[0]).toEqual({ id: 1 });
		expect(seen[0]?.busEvent).toBe(callback.mock.calls[0]?.[1]);
	});

	test("emits nothing as the data of an event that has no detail", () => {
		const { bus, target } = setup();
		const seen: unknown[] = [];
		bus.on("note", (data) => seen.push(data));
		target.dispatchEvent(new Event("note"));
		target.dispatchEvent(new CustomEvent("note"));
		expect(seen).toEqual([undefined, null]);
	});

	test("inside a listener emits the next event", () => {
		const { target, listener, send, ids } = setup();
		target.addEventListener("job", (event) => {
			const { id } = (event as CustomEvent<{ id: number }>).detail;
			if (id < 3) send(id + 1);
		});
		target.addEventListener("job", listener);
		send(1);
		expect(ids()).toEqual([3, 2, 1]);
	});

	test("throws what emit throws, and reaches nobody then", () => {
		const { target, seen, listener, onError } = setup();
		target.addEventListener("job", listener);
		const dispatch = (type: string) => () => target.dispatchEvent(new CustomEvent(type, { detail: "bad" }));
		expect(codeOf(dispatch("job"))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(codeOf(dispatch("jib"))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(seen).toEqual([]);
		expect(onError).not.toHaveBeenCalled();
	});
});

describe("toEventTarget() - gives its subscription back", () => {
	const counted = () => {
		const { bus, target, listener } = setup();
		return { bus, target, listener, count: () => bus.stats().subscriptions.job ?? 0 };
	};

	test("when the last listener of a type is removed, be it added twice", () => {
		const { target, listener, count } = counted();
		const other = { handleEvent: listener };
		target.addEventListener("job", listener);
		target.addEventListener("job", listener);
		target.addEventListener("job", listener, true);
		target.addEventListener("job", other);
		expect(count()).toBe(1);
		target.removeEventListener("job", listener);
		target.removeEventListener("job", other);
		target.removeEventListener("job", other);
		target.removeEventListener("note", other);
		expect(count()).toBe(1);
		target.removeEventListener("job", listener, { capture: true });
		expect(count()).toBe(0);
	});

	test("when the last listener ran once, and not when it added itself again", () => {
		const { bus, target, count } = counted();
		let calls = 0;
		const again = (): void => {
			if (++calls < 3) target.addEventListener("job", again, { once: true });
		};
		target.addEventListener("job", again, { once: true });
		for (const expected of [1, 1, 0, 0]) {
			bus.emit("job", { id: 1 });
			expect(count()).toBe(expected);
		}
		expect(calls).toBe(3);
	});

	test.each([
		["none", undefined],
		["none, said by null", null],
		["what cannot be called, which the runtime may refuse", 5],
	])("when the listener is %s", (_what, listener) => {
		const { bus, target } = setup();
		try {
			target.addEventListener("job", listener as never);
		} catch (error) {
			expect(error).toBeInstanceOf(TypeError);
		}
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("not before one that is to run once has been reached", () => {
		const { bus, target, listener, count } = counted();
		target.addEventListener("job", (event) => event.stopImmediatePropagation(), { once: true });
		target.addEventListener("job", listener, { once: true });
		bus.emit("job", { id: 1 });
		expect(count()).toBe(1);
		bus.emit("job", { id: 2 });
		expect(count()).toBe(0);
	});

	test("when the signal fires, of which no listener is left either", () => {
		const { target, listener, count } = counted();
		const controller = new AbortController();
		const { signal } = controller;
		target.addEventListener("job", listener, { signal });
		controller.abort();
		expect(count()).toBe(0);
		target.addEventListener("job", listener, { signal });
		target.addEventListener("job", null);
		expect(count()).toBe(0);
	});
});
