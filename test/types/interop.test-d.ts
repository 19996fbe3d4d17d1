import { EventEmitter, on, once } from "node:events";
import { type Readable, Writable } from "node:stream";
import {
	type Bus,
	type BusEvent,
	type Catalog,
	createBus,
	defineEvents,
	type ErrorContext,
	type LifecycleSignals,
	type NodeStyleEmitter,
	type Pipe,
	type Unsubscribe,
} from "callhook";
import { publishDiagnostics } from "callhook/diagnostics";
import { createTestBus, type FakeClock, fakeClock, settle, type TestBus } from "callhook/testing";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { signalNames } from "../../src/bus/index.ts";

const events = defineEvents({
	"order.paid": z.object({ id: z.string(), total: z.string().transform(Number) }),
	"line.read": z.string(),
});
type Outputs = { "order.paid": { id: string; total: number }; "line.read": string };
type Inputs = { "order.paid": { id: string; total: string }; "line.read": string };

describe("pipeFrom()", () => {
	const bus = createBus({ events });
	const emitter = new EventEmitter();

	test("takes emitters, typed or not, streams, sockets and EventTargets", () => {
		expectTypeOf(bus.pipeFrom(emitter, { line: "line.read" })).toEqualTypeOf<Pipe>();
		bus.pipeFrom(new EventEmitter<{ line: [text: string] }>(), { line: "line.read" });
		bus.pipeFrom(new Writable(), { close: "line.read" });
		bus.pipeFrom(process, { warning: "line.read" });
		bus.pipeFrom(new EventTarget(), { line: "line.read" });
		bus.pipeFrom(AbortSignal.abort(), { abort: "line.read" });
		bus.pipeFrom(createBus().toEventEmitter(), { line: "line.read" });
		bus.pipeFrom(createBus().toEventTarget(), { line: "line.read" });
		// @ts-expect-error no emitter
		bus.pipeFrom({}, { line: "line.read" });
	});

	test("knows the types and what their data may be made of", () => {
		const data = (id: string, total: number) => ({ id, total: String(total) });
		bus.pipeFrom(emitter, { paid: { type: "order.paid", data }, line: "line.read" });
		// @ts-expect-error a wrong name
		bus.pipeFrom(emitter, { line: "line.red" });
		// @ts-expect-error a wrong name
		bus.pipeFrom(emitter, { line: { type: "line.red", data: String } });
		// @ts-expect-error data of another type
		bus.pipeFrom(emitter, { paid: { type: "order.paid", data: String } });
		// @ts-expect-error a pattern is no event type
		bus.pipeFrom(emitter, { line: "line.*" });
	});

	test("takes async iterables of the type's input", () => {
		const lines = {} as AsyncGenerator<string>;
		expectTypeOf(bus.pipeFrom(lines, "line.read").ended).toEqualTypeOf<Promise<void>>();
		bus.pipeFrom({} as Readable, "line.read");
		bus.pipeFrom({} as AsyncIterable<Inputs["order.paid"]>, "order.paid");
		// @ts-expect-error items of another type
		bus.pipeFrom(lines, "order.paid");
		// @ts-expect-error the output type is not the input type
		bus.pipeFrom({} as AsyncIterable<Outputs["order.paid"]>, "order.paid");
		// @ts-expect-error no iterable
		bus.pipeFrom(new EventEmitter(), "line.read");
	});

	test("gives a pipe that can be called and disposed", () => {
		expectTypeOf<Pipe>().toExtend<Unsubscribe>();
		expectTypeOf<Pipe>().toExtend<Disposable>();
	});
});

describe("the facades", () => {
	test("are what events.once, events.on and EventTarget ask for", () => {
		const emitter = createBus({ events }).toEventEmitter();
		expectTypeOf(emitter).toEqualTypeOf<NodeStyleEmitter>();
		expectTypeOf(emitter).toExtend<NodeJS.EventEmitter>();
		expectTypeOf(once).toBeCallableWith(emitter, "line.read");
		expectTypeOf(on).toBeCallableWith(emitter, "line.read");
		expectTypeOf(createBus({ events }).toEventTarget()).toEqualTypeOf<EventTarget>();
	});
});

describe("createTestBus()", () => {
	test("has the types of its catalog", () => {
		const bus = createTestBus({ events, source: "/shop" });
		expectTypeOf(bus).toEqualTypeOf<TestBus<Outputs, Inputs>>();
		expectTypeOf(bus).toExtend<Bus<Outputs, Inputs>>();
		expectTypeOf(bus.dataOf("order.paid")).toEqualTypeOf<Outputs["order.paid"][]>();
		expectTypeOf(bus.recorded).toEqualTypeOf<readonly BusEvent[]>();
		expectTypeOf(bus.errors[0]).toEqualTypeOf<
			{ readonly error: unknown; readonly context: ErrorContext } | undefined
		>();
		expectTypeOf(bus.clock).toEqualTypeOf<FakeClock>();
		bus.emit("order.paid", { id: "o_1", total: "42" });
		// @ts-expect-error the output type is not the input type
		bus.emit("order.paid", { id: "o_1", total: 42 });
		// @ts-expect-error a wrong name
		bus.dataOf("order.payd");
	});

	test("works with types only, and without any", () => {
		const typed = createTestBus<Outputs>();
		expectTypeOf(typed).toEqualTypeOf<TestBus<Outputs>>();
		expectTypeOf(typed.dataOf("line.read")).toEqualTypeOf<string[]>();
		expectTypeOf(createTestBus().dataOf("anything")).toEqualTypeOf<unknown[]>();
	});

	test("refuses unknown options and a clock that cannot be moved", () => {
		createTestBus({ clock: fakeClock(), events: {} as Catalog<Outputs, Inputs> });
		// @ts-expect-error unknown option
		createTestBus({ soruce: "/shop" });
		// @ts-expect-error no fake clock
		createTestBus({ clock: { now: () => 0, setTimeout: () => 0, clearTimeout: () => undefined } });
	});
});

describe("tools take", () => {
	test("a bus of any types", () => {
		expectTypeOf(settle(createBus({ events }))).toEqualTypeOf<Promise<void>>();
		expectTypeOf(publishDiagnostics(createBus({ events }))).toEqualTypeOf<Unsubscribe>();
		publishDiagnostics(createTestBus<Outputs>());
	});
});

describe("signalNames", () => {
	test("are the names of the lifecycle signals, and a list of all of them", () => {
		expectTypeOf(signalNames).toEqualTypeOf<readonly (keyof LifecycleSignals)[]>();
	});
});
