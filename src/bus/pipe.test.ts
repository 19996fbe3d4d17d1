import { EventEmitter, getEventListeners } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { Inbox } from "../../test/support/inbox.ts";
import { Scripted } from "../../test/support/scripted-iterable.ts";
import { codeOf, optionOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { defineEvents } from "../event/index.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import type { ErrorContext } from "./core.ts";
import { createBus } from "./create-bus.ts";
import type { Pipe } from "./pipe.ts";

const events = defineEvents({
	"chat.said": z.unknown(),
	"chat.left": z.object({ code: z.number() }),
	"line.read": z.string(),
});

function setup() {
	const onError = vi.fn<(error: unknown, context: ErrorContext) => void>();
	const clock = fakeClock();
	const bus = createBus({ events, clock, onError });
	const seen = new Inbox<[type: string, data: unknown]>();
	bus.on("**", (data, { type }) => seen.push([type, data]));
	return { bus, clock, onError, seen };
}

describe("pipeFrom() - an emitter of Node", () => {
	test("gives its only argument as data, several as a list, none as undefined", () => {
		const { bus, seen } = setup();
		const socket = new EventEmitter();
		bus.pipeFrom(socket, { message: "chat.said" });
		socket.emit("message", "one");
		socket.emit("message", "one", 2, null);
		socket.emit("message");
		socket.emit("other", "not asked for");
		expect(seen.items).toEqual([
			["chat.said", "one"],
			["chat.said", ["one", 2, null]],
			["chat.said", undefined],
		]);
	});

	test("has its data made of all arguments by a function of its own", () => {
		const { bus, seen } = setup();
		const socket = new EventEmitter();
		const data = vi.fn((code: number) => ({ code }));
		bus.pipeFrom(socket, { close: { type: "chat.left", data }, message: { type: "chat.said" } as never });
		socket.emit("close", 1_006, "gone");
		socket.emit("message", "bye");
		expect(data.mock.calls).toEqual([[1_006, "gone"]]);
		expect(seen.items).toEqual([
			["chat.left", { code: 1_006 }],
			["chat.said", "bye"],
		]);
	});

	test("that is a stream gives its chunks, its end and its error", async () => {
		const { bus, seen, onError } = setup();
		const stream = new PassThrough({ encoding: "utf8" });
		bus.pipeFrom(stream, {
			data: "line.read",
			error: { type: "chat.said", data: ({ message }: Error) => message },
			close: { type: "chat.left", data: () => ({ code: 0 }) },
		});
		stream.write("first");
		stream.write("second");
		expect(await seen.take(2)).toEqual([
			["line.read", "first"],
			["line.read", "second"],
		]);
		stream.destroy(new Error("torn"));
		expect(await seen.take(2)).toEqual([
			["chat.said", "torn"],
			["chat.left", { code: 0 }],
		]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("that can only remove with removeListener works as well", () => {
		const { bus, seen } = setup();
		const socket = new EventEmitter();
		const old = { on: socket.on.bind(socket), removeListener: socket.removeListener.bind(socket) };
		const pipe = bus.pipeFrom(old as never, { message: "chat.said" });
		socket.emit("message", 1);
		pipe();
		expect(socket.listenerCount("message")).toBe(0);
		expect(seen.items).toEqual([["chat.said", 1]]);
	});

	test("may be the facade of another bus", () => {
		const { bus, seen } = setup();
		const other = createBus();
		bus.pipeFrom(other.toEventEmitter(), { said: { type: "chat.said", data: (data: string) => data } });
		other.emit("said", "hello");
		expect(seen.items).toEqual([["chat.said", "hello"]]);
	});
});

describe("pipeFrom() - an EventTarget", () => {
	test("gives the detail of a CustomEvent, and another event as it is", () => {
		const { bus, seen } = setup();
		const target = new EventTarget();
		bus.pipeFrom(target, { said: "chat.said" });
		target.dispatchEvent(new CustomEvent("said", { detail: { text: "hello" } }));
		const plain = new Event("said");
		target.dispatchEvent(plain);
		expect(seen.items).toEqual([
			["chat.said", { text: "hello" }],
			["chat.said", plain],
		]);
		expect(seen.items[1]?.[1]).toBe(plain);
	});

	test("has its data made of the event by a function of its own", () => {
		const { bus, seen } = setup();
		const controller = new AbortController();
		const data = ({ target }: Event) => ({ code: (target as AbortSignal).reason as number });
		bus.pipeFrom(controller.signal, { abort: { type: "chat.left", data } });
		controller.abort(7);
		expect(seen.items).toEqual([["chat.left", { code: 7 }]]);
	});
});

describe("pipeFrom() - an async iterable", () => {
	test("gives its items in order, and ends with it", async () => {
		const { bus, seen, onError } = setup();
		async function* lines() {
			yield "first";
			yield "second";
		}
		await bus.pipeFrom(lines(), "line.read").ended;
		expect(seen.items).toEqual([
			["line.read", "first"],
			["line.read", "second"],
		]);
		expect(onError).not.toHaveBeenCalled();
	});

	test("that is a stream of Node is read to its end", async () => {
		const { bus, seen } = setup();
		const stream = Readable.from(["a", "b", "c"]);
		await bus.pipeFrom(stream, "line.read").ended;
		expect(seen.items.map(([, data]) => data)).toEqual(["a", "b", "c"]);
		expect(stream.destroyed).toBe(true);
	});

	test("that ends is not asked to", async () => {
		const { bus } = setup();
		const lines = new Scripted();
		const pipe = bus.pipeFrom(lines, "line.read");
		(await lines.asked.next()).resolve({ done: true, value: undefined });
		await pipe.ended;
		pipe();
		expect(lines.returns).toBe(0);
	});

	test("that fails ends the pipe and goes to onError", async () => {
		const { bus, seen, onError } = setup();
		const error = new Error("unreadable");
		async function* lines() {
			yield "first";
			throw error;
		}
		await bus.pipeFrom(lines(), "line.read").ended;
		expect(seen.items).toEqual([["line.read", "first"]]);
		expect(onError.mock.calls).toEqual([[error, { source: "pipe", name: "line.read" }]]);
	});

	test("is asked for no item before the one before it is accepted by a full queue", async () => {
		const { bus, clock, seen } = setup();
		const lines = new Scripted();
		const running = new Inbox<Deferred<void>>();
		bus.handle(
			"line.read",
			() => {
				const work = createDeferred<void>();
				running.push(work);
				return work.promise;
			},
			{ concurrency: 1, queue: { limit: 1, overflow: "block" } },
		);
		bus.pipeFrom(lines, "line.read");
		for (const line of ["runs", "waits in the queue", "waits outside"]) await lines.give(line);
		await clock.advance(0);
		expect(seen.items).toHaveLength(3);
		expect(lines.asked.items).toHaveLength(3);
		(await running.next()).resolve();
		await clock.advance(0);
		expect(lines.asked.items).toHaveLength(4);
		await bus.close();
	});

	test("is asked for nothing more when the pipe ended while it waited for room", async () => {
		const { bus, clock } = setup();
		const lines = new Scripted();
		const work = createDeferred<void>();
		bus.handle("line.read", () => work.promise, { concurrency: 1, queue: { limit: 1 } });
		const pipe = bus.pipeFrom(lines, "line.read");
		for (const line of ["runs", "waits", "waits outside"]) await lines.give(line);
		await clock.advance(0);
		pipe();
		work.resolve();
		await bus.idle();
		await clock.advance(0);
		expect(lines.asked.items).toHaveLength(3);
		expect(lines.returns).toBe(1);
	});

	test("may give an item when the pipe has ended: nobody gets it, nor the error that comes instead", async () => {
		const { bus, clock, onError, seen } = setup();
		const [late, failing] = [new Scripted(), new Scripted()];
		const pipes = [late, failing].map((lines) => bus.pipeFrom(lines, "line.read"));
		for (const pipe of pipes) pipe();
		await late.give("too late");
		(await failing.asked.next()).reject(new Error("too late"));
		await clock.advance(0);
		expect(seen.items).toEqual([]);
		expect(onError).not.toHaveBeenCalled();
	});
});

describe("pipeFrom() - goes to onError and not into the source", () => {
	const sources: [
		kind: string,
		send: (bus: ReturnType<typeof setup>["bus"], data: unknown[]) => Promise<void>,
	][] = [
		[
			"an emitter",
			async (bus, data) => {
				const source = new EventEmitter();
				const after = vi.fn();
				bus.pipeFrom(source, { line: "line.read" });
				source.on("line", after);
				for (const each of data) source.emit("line", each);
				expect(after).toHaveBeenCalledTimes(data.length);
			},
		],
		[
			"an EventTarget",
			async (bus, data) => {
				const source = new EventTarget();
				const after = vi.fn();
				bus.pipeFrom(source, { line: "line.read" });
				source.addEventListener("line", after);
				for (const detail of data) source.dispatchEvent(new CustomEvent("line", { detail }));
				expect(after).toHaveBeenCalledTimes(data.length);
			},
		],
		["an async iterable", async (bus, data) => bus.pipeFrom(Readable.from(data), "line.read").ended],
	];

	test.each(sources)("bad data from %s, which goes on", async (_kind, send) => {
		const { bus, onError, seen } = setup();
		await send(bus, ["good", 7, "good again"]);
		expect(seen.items).toEqual([
			["line.read", "good"],
			["line.read", "good again"],
		]);
		expect(onError.mock.calls).toEqual([
			[expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_DATA" }), { source: "pipe", name: "line.read" }],
		]);
	});

	test.each(sources)("that a full queue refuses an event from %s, which goes on", async (_kind, send) => {
		const { bus, clock, onError } = setup();
		const work = createDeferred<void>();
		const options = { concurrency: 1, name: "slow", queue: { limit: 1, overflow: "reject" } } as const;
		bus.handle("line.read", () => work.promise, options);
		await send(bus, ["runs"]);
		// Until then it waits as well: a handler starts in a later microtask.
		await clock.advance(0);
		await send(bus, ["waits", "refused", "refused too"]);
		await clock.advance(0);
		// The handler's own report, and nothing from the pipe: not even a rejection that nobody handles.
		expect(onError.mock.calls.map(([, { source, name, event }]) => [source, name, event?.data])).toEqual([
			["handler", "slow", "refused"],
			["handler", "slow", "refused too"],
		]);
		work.resolve();
		await bus.idle();
	});

	test("what the data function throws", () => {
		const { bus, onError, seen } = setup();
		const source = new EventEmitter();
		const error = new Error("cannot convert");
		const data = (text: string) => {
			if (text === "bad") throw error;
			return text;
		};
		bus.pipeFrom(source, { line: { type: "line.read", data } });
		for (const text of ["bad", "good"]) source.emit("line", text);
		expect(onError.mock.calls).toEqual([[error, { source: "pipe", name: "line.read" }]]);
		expect(seen.items).toEqual([["line.read", "good"]]);
	});
});

type Setup = ReturnType<typeof setup>;

const kinds: [kind: string, open: (bus: Setup["bus"]) => { pipe: Pipe; send(): void; isGone(): boolean }][] =
	[
		[
			"an emitter",
			(bus) => {
				const source = new EventEmitter();
				return {
					pipe: bus.pipeFrom(source, { line: "line.read", end: "chat.said" }),
					send: () => void source.emit("line", "text"),
					isGone: () => source.eventNames().length === 0,
				};
			},
		],
		[
			"an EventTarget",
			(bus) => {
				const source = new EventTarget();
				return {
					pipe: bus.pipeFrom(source, { line: "line.read", end: "chat.said" }),
					send: () => void source.dispatchEvent(new CustomEvent("line", { detail: "text" })),
					isGone: () => ["line", "end"].every((name) => getEventListeners(source, name).length === 0),
				};
			},
		],
		[
			"an async iterable",
			(bus) => {
				const source = new Scripted();
				return {
					pipe: bus.pipeFrom(source, "line.read"),
					send: () => void source.give("text"),
					isGone: () => source.returns === 1,
				};
			},
		],
	];

const ends: [how: string, end: (setup: Setup, pipe: Pipe) => unknown][] = [
	["a call, twice", (_, pipe) => [pipe(), pipe()]],
	[
		"`using`",
		(_, pipe) => {
			using _pipe = pipe;
		},
	],
	["the close of the bus", ({ bus }) => bus.close()],
	["a drain of the bus", ({ bus }) => bus.drain()],
];

describe("pipeFrom() - ends", () => {
	const cases = kinds.flatMap(([kind, open]) => ends.map(([how, end]) => [kind, how, open, end] as const));

	test.each(cases)(
		"from %s by %s: nothing stays with the source, nothing comes any more",
		async (...args) => {
			const [, , open, end] = args;
			const all = setup();
			const { bus, clock, seen, onError } = all;
			const { pipe, send, isGone } = open(bus);
			const ended = watch(pipe.ended);
			send();
			await clock.advance(0);
			expect(seen.items).toEqual([["line.read", "text"]]);
			expect([isGone(), ended.isOver]).toEqual([false, false]);
			await end(all, pipe);
			await pipe.ended;
			expect(isGone()).toBe(true);
			send();
			await clock.advance(0);
			pipe();
			await bus.close();
			expect(seen.items).toHaveLength(1);
			expect(isGone()).toBe(true);
			expect(onError).not.toHaveBeenCalled();
		},
	);

	test("from a generator that waits at a yield: its `finally` runs", async () => {
		const { bus } = setup();
		const cleanedUp = createDeferred<void>();
		async function* lines() {
			try {
				while (true) yield "again";
			} finally {
				cleanedUp.resolve();
			}
		}
		bus.handle("line.read", () => createDeferred<void>().promise, { concurrency: 1, queue: { limit: 1 } });
		const pipe = bus.pipeFrom(lines(), "line.read");
		pipe();
		await cleanedUp.promise;
		await pipe.ended;
		await bus.close();
	});

	test("from a stream with more to come: the stream is destroyed", async () => {
		const { bus, clock } = setup();
		const stream = new PassThrough({ encoding: "utf8" });
		const closed = new Promise((resolve) => stream.on("error", () => undefined).on("close", resolve));
		const pipe = bus.pipeFrom(stream, "line.read");
		stream.write("first");
		await clock.advance(0);
		pipe();
		// A pending read cannot be taken back: the stream learns of it with the next chunk.
		stream.write("late");
		await closed;
		await pipe.ended;
	});

	test("without a `return` to call, when the bus closes while it waits for room", async () => {
		const { bus, clock } = setup();
		const script = new Scripted();
		const lines = { [Symbol.asyncIterator]: () => ({ next: () => script.next() }) };
		bus.handle("line.read", () => createDeferred<void>().promise, { concurrency: 1, queue: { limit: 1 } });
		const pipe = bus.pipeFrom(lines, "line.read");
		for (const line of ["runs", "waits", "waits outside"]) await script.give(line);
		await clock.advance(0);
		await bus.close();
		await pipe.ended;
		expect(script.asked.items).toHaveLength(3);
	});

	test("quietly when its own data closes the bus", async () => {
		const { bus, onError, seen } = setup();
		const source = new EventEmitter();
		const data = (text: string) => {
			void bus.close();
			return text;
		};
		const pipe = bus.pipeFrom(source, { line: { type: "line.read", data } });
		source.emit("line", "text");
		await pipe.ended;
		expect(seen.items).toEqual([]);
		expect(source.listenerCount("line")).toBe(0);
		expect(onError).not.toHaveBeenCalled();
	});

	test.each<[string, (bus: Setup["bus"]) => { pipe: Pipe; left(): number }]>([
		[
			"an emitter",
			(bus) => {
				const source = new EventEmitter();
				const on = (name: string, listener: () => void) => {
					source.on(name, listener);
					source.emit(name, "at once");
				};
				const off = source.off.bind(source);
				const pipe = bus.pipeFrom({ on, off }, { line: "line.read", end: "chat.said" });
				return { pipe, left: () => source.eventNames().length };
			},
		],
		[
			"an async iterable",
			(bus) => {
				const source = new Scripted();
				const next = () => {
					void bus.close();
					return source.next();
				};
				const pipe = bus.pipeFrom(
					{ [Symbol.asyncIterator]: () => ({ next, return: source.return }) },
					"line.read",
				);
				return { pipe, left: () => source.asked.items.length - 1 };
			},
		],
	])("when what %s does at once closes the bus", async (_kind, open) => {
		const { bus, clock, onError } = setup();
		bus.on("line.read", () => bus.close());
		const { pipe, left } = open(bus);
		await pipe.ended;
		await clock.advance(0);
		expect(left()).toBe(0);
		expect(onError).not.toHaveBeenCalled();
	});

	const broken = new Error("cannot end");
	const asks = () => new Promise<never>(() => undefined);
	const fail = () => {
		throw broken;
	};
	const stubborn: [string, (bus: Setup["bus"]) => Pipe][] = [
		["whose `off` throws", (bus) => bus.pipeFrom({ on: () => undefined, off: fail }, { line: "line.read" })],
		[
			"whose `return` throws",
			(bus) => bus.pipeFrom({ [Symbol.asyncIterator]: () => ({ next: asks, return: fail }) }, "line.read"),
		],
		[
			"whose `return` rejects",
			(bus) => {
				const iterator = { next: asks, return: () => Promise.reject(broken) };
				return bus.pipeFrom({ [Symbol.asyncIterator]: () => iterator }, "line.read");
			},
		],
	];

	test.each(stubborn)("from a source %s: it goes to onError, and the bus closes", async (_what, open) => {
		const { bus, clock, onError } = setup();
		const source = new EventEmitter();
		const pipes = [open(bus), bus.pipeFrom(source, { line: "line.read" })];
		await bus.close();
		for (const pipe of pipes) await pipe.ended;
		await clock.advance(0);
		expect(source.listenerCount("line")).toBe(0);
		expect(onError.mock.calls).toEqual([[broken, { source: "pipe", name: "line.read" }]]);
	});
});

describe("pipeFrom() - refuses", () => {
	test.each([
		["nothing", undefined],
		["a number", 7],
		["an object without methods", {}],
		["an emitter that cannot remove", { on: () => undefined }],
		["an EventTarget that cannot remove", { addEventListener: () => undefined }],
		["an async iterable, since there are names", Readable.from([])[Symbol.asyncIterator]()],
	])("%s as a source of events with names", (_what, source) => {
		const { bus } = setup();
		expect(optionOf(() => bus.pipeFrom(source as never, { line: "line.read" }))).toBe("source");
	});

	test.each([
		["an emitter", new EventEmitter()],
		["a list", ["a", "b"]],
	])("%s as a source of items", (_what, source) => {
		const { bus } = setup();
		expect(optionOf(() => bus.pipeFrom(source as never, "line.read"))).toBe("source");
	});

	test.each<[unknown, string]>([
		[null, "map"],
		[["line.read"], "map"],
		[() => "line.read", "map"],
		[{ line: null }, 'map["line"]'],
		[{ line: undefined }, 'map["line"]'],
		[{ line: 7 }, 'map["line"]'],
		[{ line: {} }, 'map["line"]'],
		[{ line: { type: 7 } }, 'map["line"]'],
		[{ line: { type: "line.read", data: "text" } }, 'map["line"].data'],
		[{ line: { type: "line.read", data: null } }, 'map["line"].data'],
		[{ line: { type: "line.read", date: String } }, 'map["line"].date'],
	])("the map %o, and registers nothing", (map, option) => {
		const { bus } = setup();
		const source = new EventEmitter();
		const isMap = typeof map === "object" && map !== null && !Array.isArray(map);
		const whole = isMap ? { end: "chat.said", ...map } : map;
		expect(optionOf(() => bus.pipeFrom(source, whole as Record<string, never>))).toBe(option);
		expect(source.eventNames()).toEqual([]);
	});

	test("an event type that the catalog lacks, and registers and reads nothing", () => {
		const { bus } = setup();
		const source = new EventEmitter();
		for (const target of ["line.red", { type: "line.red", data: String }]) {
			const map = { end: "chat.said", line: target } as never as { line: "line.read" };
			expect(codeOf(() => bus.pipeFrom(source, map))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		}
		const items = { [Symbol.asyncIterator]: vi.fn<() => AsyncIterator<string>>() };
		expect(codeOf(() => bus.pipeFrom(items, "line.red" as "line.read"))).toBe(
			"ERR_CALLHOOK_UNKNOWN_EVENT_TYPE",
		);
		expect(source.eventNames()).toEqual([]);
		expect(items[Symbol.asyncIterator]).not.toHaveBeenCalled();
	});

	test("a source that refuses one of the names, and takes the others off again", () => {
		const { bus } = setup();
		const other = createBus({ events: defineEvents({ known: z.unknown() }) });
		const source = other.toEventEmitter();
		const map = {
			known: { type: "line.read", data: String },
			unknown: { type: "line.read", data: String },
		} as const;
		expect(codeOf(() => bus.pipeFrom(source, map))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(source.eventNames()).toEqual([]);
		expect(other.stats().subscriptions).toEqual({});
	});

	test("everything on a closed bus", async () => {
		const { bus } = setup();
		await bus.close();
		const source = new EventEmitter();
		expect(codeOf(() => bus.pipeFrom(source, { line: "line.read" }))).toBe("ERR_CALLHOOK_CLOSED");
		expect(codeOf(() => bus.pipeFrom(new Scripted(), "line.read"))).toBe("ERR_CALLHOOK_CLOSED");
		expect(source.eventNames()).toEqual([]);
	});
});
