import { describe, expect, test, vi } from "vitest";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";

interface Order {
	readonly id: number;
}

type Events = {
	"order.paid": Order;
	"order.shipped": Order;
	"order.line.added": Order;
	"user.created": Order;
};

function setup() {
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const bus = createBus<Events>({ clock: fakeClock(), onError });
	const calls: string[] = [];
	const note = (name: string) => () => void calls.push(name);
	return { bus, onError, calls, note };
}

describe("emit() - calls callbacks", () => {
	test("before it returns, with the data and one event object for all", () => {
		const { bus } = setup();
		const seen: unknown[][] = [];
		bus.on("order.paid", (...args) => void seen.push(args));
		bus.on("order.*", (...args) => void seen.push(args));
		const data = { id: 1 };
		const { event } = bus.emit("order.paid", data);
		expect(seen).toHaveLength(2);
		for (const [gotData, gotEvent] of seen) {
			expect(gotData).toBe(data);
			expect(gotEvent).toBe(event);
		}
		expect(event.data).toBe(data);
	});

	test("in the order of registration over all patterns", () => {
		const { bus, calls, note } = setup();
		bus.on("**", note("1 **"));
		bus.on("order.paid", note("2 exact"));
		bus.on("order.*", note("3 order.*"));
		bus.on("order.shipped", note("another type"));
		bus.on("order.paid", note("4 exact"));
		bus.on("*.paid", note("5 *.paid"));
		bus.on("**", note("6 **"));
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["1 **", "2 exact", "3 order.*", "4 exact", "5 *.paid", "6 **"]);
	});

	test("of higher priority first, equal ones in the order of registration", () => {
		const { bus, calls, note } = setup();
		bus.on("order.paid", note("0 first"));
		bus.on("order.*", note("-1"), { priority: -1 });
		bus.on("**", note("10 first"), { priority: 10 });
		bus.on("order.paid", note("0.5"), { priority: 0.5 });
		bus.on("order.*", note("0 second"), { priority: 0 });
		bus.on("order.paid", note("10 second"), { priority: 10 });
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["10 first", "10 second", "0.5", "0 first", "0 second", "-1"]);
	});

	test("once for each registration, of the same function too", () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.on("order.paid", callback);
		bus.on("order.paid", callback);
		bus.on("order.*", callback);
		bus.emit("order.paid", { id: 1 });
		expect(callback).toHaveBeenCalledTimes(3);
	});

	test("of types named like members of objects", () => {
		const bus = createBus();
		const callback = vi.fn();
		const types = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
		for (const type of types) {
			bus.emit(type, 0);
			bus.on(type, callback);
			bus.emit(type, 1);
		}
		expect(callback.mock.calls.map(([, event]) => event.type)).toEqual(types);
		expect(bus.stats().subscriptions).toEqual(
			JSON.parse(`{"__proto__":1,"constructor":1,"toString":1,"hasOwnProperty":1,"valueOf":1}`),
		);
	});

	test("none when nobody listens", async () => {
		const { bus } = setup();
		const report = await bus.emit("order.paid", { id: 1 }).settled;
		expect(report.outcomes).toEqual([]);
		expect(report.ok).toBe(true);
	});
});

describe("emit() - spares the others and the emitter", () => {
	test("a callback that throws, reported once, stands in the report", async () => {
		const { bus, calls, note, onError } = setup();
		const error = new Error("broken");
		bus.on("order.paid", note("before"));
		bus.on("order.*", () => {
			throw error;
		});
		bus.on("order.paid", note("after"));
		const emission = bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["before", "after"]);
		const context = { source: "callback", name: "order.*", event: emission.event };
		expect(onError.mock.calls).toEqual([[error, context]]);
		const report = await emission.settled;
		expect(report.ok).toBe(false);
		expect(report.outcomes).toEqual([
			{ kind: "callback", name: "order.paid", attempts: 1, status: "fulfilled", value: undefined },
			{ kind: "callback", name: "order.*", attempts: 1, status: "rejected", error },
			{ kind: "callback", name: "order.paid", attempts: 1, status: "fulfilled", value: undefined },
		]);
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test("a callback that rejects, reported once, stands in the report", async () => {
		const { bus, calls, note, onError } = setup();
		const error = new Error("broken later");
		const gate = createDeferred<void>();
		bus.on("order.paid", note("before"));
		bus.on("order.paid", async () => {
			await gate.promise;
			throw error;
		});
		bus.on("order.paid", async () => "done");
		bus.on("order.paid", note("after"));
		const emission = bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["before", "after"]);
		expect(onError).not.toHaveBeenCalled();
		gate.resolve();
		const report = await emission.settled;
		expect(onError.mock.calls).toEqual([
			[error, { source: "callback", name: "order.paid", event: emission.event }],
		]);
		expect(report.ok).toBe(false);
		expect(report.outcomes.map(({ status }) => status)).toEqual([
			"fulfilled",
			"rejected",
			"fulfilled",
			"fulfilled",
		]);
		expect(report.outcomes[1]).toEqual({
			kind: "callback",
			name: "order.paid",
			attempts: 1,
			status: "rejected",
			error,
		});
	});

	test("a rejection that nobody awaits", async () => {
		const { bus, onError } = setup();
		const reported = createDeferred<unknown>();
		onError.mockImplementation((error) => reported.resolve(error));
		bus.on("order.paid", () => Promise.reject("a plain string"));
		bus.emit("order.paid", { id: 1 });
		expect(await reported.promise).toBe("a plain string");
	});

	test("each of several errors, in order, whatever is thrown", () => {
		const { bus, calls, note, onError } = setup();
		const throwing = (error: unknown) => () => {
			throw error;
		};
		for (const error of [undefined, null, "text", 0]) bus.on("order.paid", throwing(error));
		bus.on("order.paid", note("last"));
		bus.emit("order.paid", { id: 1 });
		expect(onError.mock.calls.map(([error]) => error)).toEqual([undefined, null, "text", 0]);
		expect(calls).toEqual(["last"]);
	});

	test("a result whose `then` throws when it is read or called", async () => {
		const { bus, calls, note, onError } = setup();
		const failing = (error: string) => () => {
			throw error;
		};
		// biome-ignore-start lint/suspicious/noThenProperty: foreign thenables are what is tested.
		bus.on("order.paid", () => Object.defineProperty({}, "then", { get: failing("read") }));
		bus.on("order.paid", () => ({ then: failing("called") }));
		// biome-ignore-end lint/suspicious/noThenProperty: see above.
		bus.on("order.paid", note("after"));
		const report = await bus.emit("order.paid", { id: 1 }).settled;
		expect(calls).toEqual(["after"]);
		expect(report.failed.map(({ error }) => error)).toEqual(["read", "called"]);
		expect(onError).toHaveBeenCalledTimes(2);
	});
});

describe("emit() - a subscription that changes during the emit", () => {
	test("removed, still runs in that emit and not in the next", () => {
		const { bus, calls, note } = setup();
		bus.once("order.paid", () => {
			removed();
			removedPattern();
			bus.off("order.paid", alsoRemoved);
		});
		const removed = bus.on("order.paid", note("removed"));
		const removedPattern = bus.on("order.*", note("removed pattern"));
		const alsoRemoved = note("removed by off");
		bus.on("order.paid", alsoRemoved);
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["removed", "removed pattern", "removed by off"]);
		bus.emit("order.paid", { id: 2 });
		expect(calls).toHaveLength(3);
	});

	test("added, does not run in that emit but in the next", () => {
		const { bus, calls, note } = setup();
		bus.once("order.paid", () => {
			bus.on("order.paid", note("added"));
			bus.on("order.*", note("added pattern"));
			bus.on("order.paid", note("added in front"), { priority: 1 });
		});
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual([]);
		bus.emit("order.paid", { id: 2 });
		expect(calls).toEqual(["added in front", "added", "added pattern"]);
	});

	test("added, runs in an emit nested in that emit", () => {
		const { bus, calls, note } = setup();
		bus.once("order.paid", () => {
			bus.on("order.paid", note("added"));
			bus.emit("order.paid", { id: 2 });
			calls.push("nested emit returned");
		});
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["added", "nested emit returned"]);
	});
});

describe("once()", () => {
	test("runs one time only", () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.once("order.*", callback);
		bus.emit("user.created", { id: 0 });
		bus.emit("order.shipped", { id: 1 });
		bus.emit("order.paid", { id: 2 });
		expect(callback.mock.calls.map(([data]) => data)).toEqual([{ id: 1 }]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("runs one time only when emits nest in it and before it", () => {
		const { bus } = setup();
		const seen: number[] = [];
		bus.on("order.paid", ({ id }) => {
			if (id < 3) bus.emit("order.paid", { id: id + 1 });
		});
		bus.once("order.paid", ({ id }) => {
			seen.push(id);
			bus.emit("order.paid", { id: 10 });
		});
		bus.emit("order.paid", { id: 1 });
		expect(seen).toEqual([3]);
	});

	test("that throws is over too", () => {
		const { bus, onError } = setup();
		bus.once("order.paid", () => {
			throw new Error("once");
		});
		bus.emit("order.paid", { id: 1 });
		bus.emit("order.paid", { id: 2 });
		expect(onError).toHaveBeenCalledTimes(1);
	});

	test("ended before its event never runs", () => {
		const { bus } = setup();
		const callback = vi.fn();
		bus.once("order.paid", callback)();
		bus.once("order.paid", callback);
		bus.off("order.paid", callback);
		bus.emit("order.paid", { id: 1 });
		expect(callback).not.toHaveBeenCalled();
	});

	test("takes a signal and a priority as on() does", () => {
		const { bus, calls, note } = setup();
		const controller = new AbortController();
		bus.on("order.paid", note("on"));
		bus.once("order.paid", note("aborted"), { signal: controller.signal });
		bus.once("order.paid", note("first"), { priority: 1 });
		controller.abort();
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["first", "on"]);
	});
});

describe("on() - ends", () => {
	test("when its function is called, any number of times, and only itself", () => {
		const { bus } = setup();
		const callback = vi.fn();
		const end = bus.on("order.paid", callback);
		bus.on("order.paid", callback);
		end();
		end();
		bus.emit("order.paid", { id: 1 });
		expect(callback).toHaveBeenCalledTimes(1);
	});

	test("at the end of a `using` block", () => {
		const { bus } = setup();
		const callback = vi.fn();
		{
			using subscription = bus.on("order.paid", callback);
			expect(subscription[Symbol.dispose]).toBeTypeOf("function");
			bus.emit("order.paid", { id: 1 });
		}
		bus.emit("order.paid", { id: 2 });
		expect(callback.mock.calls.map(([data]) => data)).toEqual([{ id: 1 }]);
	});

	test("when its signal fires", () => {
		const { bus } = setup();
		const callback = vi.fn();
		const controller = new AbortController();
		bus.on("order.paid", callback, { signal: controller.signal });
		bus.on("**", callback, { signal: controller.signal });
		bus.emit("order.paid", { id: 1 });
		controller.abort();
		bus.emit("order.paid", { id: 2 });
		expect(callback.mock.calls.map(([data]) => data)).toEqual([{ id: 1 }, { id: 1 }]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("before it begins when its signal has fired already", () => {
		const { bus } = setup();
		const callback = vi.fn();
		const end = bus.on("order.paid", callback, { signal: AbortSignal.abort() });
		bus.emit("order.paid", { id: 1 });
		end();
		end[Symbol.dispose]();
		expect(callback).not.toHaveBeenCalled();
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("and in every way leaves nothing on its signal", async () => {
		const { bus } = setup();
		const { signal } = new AbortController();
		const added = vi.spyOn(signal, "addEventListener");
		const removed = vi.spyOn(signal, "removeEventListener");
		const callback = () => undefined;
		bus.on("order.paid", callback, { signal })();
		bus.on("order.paid", callback, { signal })[Symbol.dispose]();
		bus.on("order.paid", callback, { signal });
		bus.off("order.paid", callback);
		bus.once("order.paid", callback, { signal });
		bus.emit("order.paid", { id: 1 });
		bus.on("order.paid", callback, { signal });
		await bus.close();
		expect(added).toHaveBeenCalledTimes(5);
		const left = new Set(added.mock.calls.map(([, listener]) => listener));
		for (const [, listener] of removed.mock.calls) left.delete(listener);
		expect(left.size).toBe(0);
	});
});

describe("off()", () => {
	test("ends every subscription of this function under this pattern, and no other", () => {
		const { bus, calls, note } = setup();
		const callback = note("removed");
		bus.on("order.paid", callback);
		bus.on("order.paid", callback, { priority: 3 });
		bus.once("order.paid", callback);
		bus.on("order.paid", note("another function"));
		const underAnotherPattern = note("another pattern");
		bus.on("order.*", underAnotherPattern);
		bus.off("order.paid", callback);
		bus.off("order.paid", underAnotherPattern);
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["another function", "another pattern"]);
	});

	test("does nothing for a function that is not registered", () => {
		const { bus } = setup();
		expect(() => bus.off("order.paid", () => undefined)).not.toThrow();
	});

	test("ends a wildcard subscription while another under its pattern stays", () => {
		const { bus, calls, note } = setup();
		const callback = note("removed");
		bus.on("order.*", callback);
		bus.on("order.*", note("stays"));
		bus.off("order.*", callback);
		bus.emit("order.paid", { id: 1 });
		expect(calls).toEqual(["stays"]);
	});
});

describe("emit() - inside callbacks", () => {
	test("runs to a depth of 500, the inner emit whole before the outer goes on", () => {
		const { bus, onError } = setup();
		const seen: string[] = [];
		bus.on("order.paid", ({ id }) => {
			seen.push(`begin ${id}`);
			if (id < 500) bus.emit("order.paid", { id: id + 1 });
		});
		bus.on("order.paid", ({ id }) => void seen.push(`end ${id}`));
		bus.emit("order.paid", { id: 1 });
		const ids = Array.from({ length: 500 }, (_, index) => index + 1);
		expect(seen).toEqual([...ids.map((id) => `begin ${id}`), ...ids.reverse().map((id) => `end ${id}`)]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("of another type and of the same type keep their own reports", async () => {
		const { bus } = setup();
		const inner: Promise<unknown>[] = [];
		bus.on("order.paid", ({ id }) => {
			inner.push(bus.emit("order.shipped", { id: id + 1 }).settled.then(({ outcomes }) => outcomes.length));
			return "outer";
		});
		bus.on("order.shipped", () => "inner");
		bus.on("order.shipped", () => "inner");
		const report = await bus.emit("order.paid", { id: 1 }).settled;
		expect(report.outcomes.map((outcome) => outcome.status === "fulfilled" && outcome.value)).toEqual([
			"outer",
		]);
		expect(await Promise.all(inner)).toEqual([2]);
	});
});
