import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { rejectionOf, thrownBy } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import type { EventStream } from "./stream.ts";

type Events = { "order.paid": number; "order.shipped": number; other: number };

function setup() {
	const clock = fakeClock();
	const bus = createBus<Events>({ clock });
	const emitAll = (...orders: number[]): void => {
		for (const order of orders) bus.emit("order.paid", order);
	};
	return { bus, clock, emitAll };
}

/** Reads to the end. */
async function readAll(stream: AsyncIterable<{ readonly data: unknown }>): Promise<unknown[]> {
	const read: unknown[] = [];
	for await (const { data } of stream) read.push(data);
	return read;
}

async function readNext(stream: EventStream): Promise<unknown> {
	const { done, value } = await stream.next();
	return done === true ? "done" : value.data;
}

describe("stream() - gives", () => {
	test("the events from the call on that match, in the order of emission", async () => {
		const { bus, emitAll } = setup();
		emitAll(1);
		const stream = bus.stream("order.*");
		emitAll(2);
		bus.emit("other", 3);
		const { event } = bus.emit("order.shipped", 4);
		expect(await readNext(stream)).toBe(2);
		expect(await stream.next()).toEqual({ done: false, value: event });
		const next = watch(readNext(stream));
		await bus.idle();
		expect(next.isOver).toBe(false);
		emitAll(5);
		expect(await next.promise).toBe(5);
	});

	test("an event ahead of those that its callbacks emit", async () => {
		const { bus, emitAll } = setup();
		bus.on("order.paid", (data) => void bus.emit("order.shipped", data + 1));
		const stream = bus.stream("order.*");
		emitAll(1, 3);
		await bus.close();
		expect(await readAll(stream)).toEqual([1, 2, 3, 4]);
	});

	test("every event to each of several streams, whatever their speed", async () => {
		const { bus, emitAll } = setup();
		const [slow, quick] = [bus.stream("order.paid"), bus.stream("**")];
		emitAll(1);
		expect(await readNext(quick)).toBe(1);
		emitAll(2);
		await bus.close();
		expect(await readAll(quick)).toEqual([2]);
		expect(await readAll(slow)).toEqual([1, 2]);
	});

	test("each event to one of two readers, first come first served", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid");
		const reads = [readNext(stream), readNext(stream), readNext(stream)];
		emitAll(1, 2, 3, 4);
		expect(await Promise.all(reads)).toEqual([1, 2, 3]);
		expect(await Promise.all([readNext(stream), bus.close()])).toEqual([4, undefined]);
	});

	test("the events to two loops over one stream, each once", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid");
		const loops = [readAll(stream), readAll(stream)];
		emitAll(1, 2, 3, 4, 5);
		await bus.close();
		const read = await Promise.all(loops);
		expect(read.flat().toSorted()).toEqual([1, 2, 3, 4, 5]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("what Readable.from makes a Node stream of; destroying that ends it", async () => {
		const { bus, clock, emitAll } = setup();
		const readable = Readable.from(bus.stream("order.paid"));
		const read: unknown[] = [];
		readable.on("data", ({ data }) => void read.push(data));
		emitAll(1, 2, 3);
		await clock.advance(0);
		expect(read).toEqual([1, 2, 3]);
		readable.destroy();
		await clock.advance(0);
		emitAll(4);
		await clock.advance(0);
		expect(read).toEqual([1, 2, 3]);
		expect(bus.stats().subscriptions).toEqual({});
	});
});

describe("stream() - ends", () => {
	test("when the loop is left, without what it still held, and leaves no subscription", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid");
		emitAll(1, 2, 3);
		for await (const { data } of stream) if (data === 2) break;
		expect(bus.stats().subscriptions).toEqual({});
		expect(await readNext(stream)).toBe("done");
	});

	test("when the loop throws", async () => {
		const { bus, emitAll } = setup();
		emitAll(0);
		const stream = bus.stream("order.paid");
		emitAll(1);
		const loop = async (): Promise<void> => {
			for await (const { data } of stream) throw new Error(`read ${data}`);
		};
		await expect(loop()).rejects.toThrow("read 1");
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("with the block of `await using`", async () => {
		const { bus } = setup();
		const reads = await (async () => {
			await using stream = bus.stream("order.paid");
			return [readNext(stream)];
		})();
		expect(await Promise.all(reads)).toEqual(["done"]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("on close behind what it holds, for all its readers, and stays so", async () => {
		const { bus, emitAll } = setup();
		const [held, empty] = [bus.stream("order.paid"), bus.stream("order.paid")];
		const reads = [readNext(empty), readNext(empty), readNext(empty)];
		emitAll(1);
		emitAll(2, 3, 4);
		await bus.close();
		expect(await readAll(held)).toEqual([1, 2, 3, 4]);
		expect(await readNext(held)).toBe("done");
		expect(await Promise.all(reads)).toEqual([1, 2, 3]);
		expect(await readAll(empty)).toEqual([4]);
		const waiting = setup();
		const open = readNext(waiting.bus.stream("other"));
		await waiting.bus.close();
		expect(await open).toBe("done");
	});

	test("on abort behind what it holds, without an error, and keeps no listener", async () => {
		const { bus, emitAll } = setup();
		const controller = new AbortController();
		const { signal } = controller;
		const [held, empty, left] = [1, 2, 3].map(() => bus.stream("order.paid", { signal }));
		const read = readNext(empty!);
		emitAll(1, 2);
		await left!.return();
		const next = [readNext(empty!), readNext(empty!)];
		controller.abort(new Error("enough"));
		emitAll(3);
		expect(await readAll(held!)).toEqual([1, 2]);
		expect([await read, ...(await Promise.all(next))]).toEqual([1, 2, "done"]);
		expect(getEventListeners(signal, "abort")).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("at once where its signal has fired before, and keeps no listener and no subscription", async () => {
		const { bus, emitAll } = setup();
		const signal = AbortSignal.abort();
		const stream = bus.stream("order.paid", { signal });
		emitAll(1);
		expect(await readAll(stream)).toEqual([]);
		expect(getEventListeners(signal, "abort")).toEqual([]);
		expect(bus.stats().subscriptions).toEqual({});
	});

	test("and takes its listener off the signal when the loop is left", async () => {
		const { bus } = setup();
		const { signal } = new AbortController();
		const stream = bus.stream("order.paid", { signal });
		expect(getEventListeners(signal, "abort")).toHaveLength(1);
		await stream.return();
		expect(getEventListeners(signal, "abort")).toEqual([]);
	});

	test("for good: in the middle of an emit too, nothing comes behind the end", async () => {
		const { bus } = setup();
		const controller = new AbortController();
		const first = bus.stream("other", { buffer: 1 });
		const second = bus.stream("other", { signal: controller.signal });
		bus.observe("stream:dropped", () => controller.abort());
		bus.emit("other", 1);
		bus.emit("other", 2);
		expect(await readAll(second)).toEqual([1]);
		expect(await readNext(second)).toBe("done");
		expect(await readNext(first)).toBe(2);
	});

	test("before it begins on a closed bus", async () => {
		const { bus } = setup();
		await bus.close();
		expect(thrownBy(() => bus.stream("other")).code).toBe("ERR_CALLHOOK_CLOSED");
	});

	test("behind a reader that is read to the end, once drained", async () => {
		const { bus, emitAll } = setup();
		const read = readAll(bus.stream("order.paid"));
		emitAll(1, 2);
		expect(await bus.drain()).toMatchObject({ isDrained: true, left: 0 });
		expect(await read).toEqual([1, 2]);
		expect(bus.stats().subscriptions).toEqual({});
	});
});

describe("stream() - an event for which there is no room", () => {
	function watchDrops(bus: ReturnType<typeof setup>["bus"]): unknown[] {
		const drops: unknown[] = [];
		bus.observe("stream:dropped", ({ event, pattern, overflow }) => {
			drops.push([event.data, pattern, overflow]);
		});
		return drops;
	}

	test("lets the oldest go, counted and told (drop-oldest, the default)", async () => {
		const { bus, emitAll } = setup();
		const drops = watchDrops(bus);
		const stream = bus.stream("order.*", { buffer: 2 });
		emitAll(1, 2);
		expect(stream.dropped).toBe(0);
		emitAll(3, 4);
		expect(stream.dropped).toBe(2);
		expect(drops).toEqual([
			[1, "order.*", "drop-oldest"],
			[2, "order.*", "drop-oldest"],
		]);
		await bus.close();
		expect(await readAll(stream)).toEqual([3, 4]);
	});

	test("goes itself, counted and told (drop-newest)", async () => {
		const { bus, emitAll } = setup();
		const drops = watchDrops(bus);
		const stream = bus.stream("order.*", { buffer: 2, overflow: "drop-newest" });
		emitAll(1, 2, 3, 4);
		expect(stream.dropped).toBe(2);
		expect(drops).toEqual([
			[3, "order.*", "drop-newest"],
			[4, "order.*", "drop-newest"],
		]);
		expect(await readNext(stream)).toBe(1);
		emitAll(5);
		await bus.close();
		expect(await readAll(stream)).toEqual([2, 5]);
	});

	test("ends the stream with an error behind what it holds, once (reject)", async () => {
		const { bus, emitAll } = setup();
		const drops = watchDrops(bus);
		const stream = bus.stream("order.*", { buffer: 2, overflow: "reject" });
		emitAll(1, 2, 3);
		expect(bus.stats().subscriptions).toEqual({});
		emitAll(4);
		const read: unknown[] = [];
		const error = await rejectionOf(
			(async () => {
				for await (const { data } of stream) read.push(data);
			})(),
		);
		expect(read).toEqual([1, 2]);
		expect(error).toMatchObject({
			code: "ERR_CALLHOOK_QUEUE_FULL",
			details: { handler: "order.*", limit: 2 },
		});
		expect(await readNext(stream)).toBe("done");
		expect([stream.dropped, drops]).toEqual([0, []]);
	});

	test("is no error any more for who leaves the stream (reject)", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.*", { buffer: 1, overflow: "reject" });
		emitAll(1, 2);
		await stream.return();
		expect(await readNext(stream)).toBe("done");
	});

	test("is the 257th that waits, where nothing else is said", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid");
		emitAll(...Array.from({ length: 256 }, (_, index) => index));
		expect(stream.dropped).toBe(0);
		emitAll(256);
		expect(stream.dropped).toBe(1);
		expect(await readNext(stream)).toBe(1);
	});

	test("is none as long as somebody waits for it", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid", { buffer: 1 });
		const reads = [readNext(stream), readNext(stream)];
		emitAll(1, 2, 3);
		expect(await Promise.all(reads)).toEqual([1, 2]);
		expect(stream.dropped).toBe(0);
	});

	test("hurts nobody when its observer leaves the stream", async () => {
		const { bus, emitAll } = setup();
		const stream = bus.stream("order.paid", { buffer: 1 });
		const callback = vi.fn();
		bus.on("order.paid", callback);
		bus.observe("stream:dropped", () => stream.return());
		emitAll(1, 2, 3);
		expect(callback).toHaveBeenCalledTimes(3);
		expect(stream.dropped).toBe(1);
		expect(await readNext(stream)).toBe("done");
	});
});
