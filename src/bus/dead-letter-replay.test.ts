// What becomes of a replayed dead letter that the queue of its handler does not run.
import { describe, expect, test, vi } from "vitest";
import { rejectionOf } from "../../test/support/thrown.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./create-bus.ts";
import type { HandleOptions } from "./handler-options.ts";

/** Dead letters of the events given, a millisecond apart, and a handler that is mended and paused. */
async function setup(ids: readonly number[], queue: HandleOptions["queue"], deadLetterLimit = 1_000) {
	const clock = fakeClock();
	const bus = createBus<{ job: number }>({ clock, onError: () => undefined, deadLetterLimit });
	const { deadLetters } = bus;
	const ran: number[] = [];
	let isBroken = true;
	const jobs = bus.handle(
		"job",
		(data) => {
			if (isBroken) throw new Error("broken");
			ran.push(data);
		},
		{ concurrency: 1, key: () => "k", queue },
	);
	for (const id of ids) {
		bus.emit("job", id);
		await clock.advance(1);
	}
	isBroken = false;
	jobs.pause();
	const listed = async () => (await deadLetters.list()).items.map(({ event }) => event.data);
	const run = async () => {
		jobs.resume();
		await clock.advance(0);
		return ran;
	};
	return { bus, clock, deadLetters, jobs, listed, run };
}

describe("deadLetters.replay() - an event that its queue does not keep", () => {
	test("comes back as the very letter, in its place, and can be replayed when there is room", async () => {
		const { deadLetters, listed, run } = await setup([1, 2, 3], { limit: 1, overflow: "drop-newest" });
		const before = (await deadLetters.list()).items;
		expect(await deadLetters.replay({ where: ({ event }) => event.data !== 3 })).toBe(1);
		expect(await listed()).toEqual([3, 2]);
		expect((await deadLetters.list()).items).toEqual(before.slice(0, 2));
		expect((await deadLetters.list()).items[1]).toBe(before[1]);
		expect((await deadLetters.list({ limit: 1 })).cursor).toBe(before[0]?.id);
		expect(await run()).toEqual([1]);
		expect(await deadLetters.replay({ ids: [before[1]!.id] })).toBe(1);
		expect(await run()).toEqual([1, 2]);
		expect(await listed()).toEqual([3]);
	});

	test("comes back when an event that is emitted later drops it", async () => {
		const { bus, deadLetters, listed, run } = await setup([1], { limit: 1, overflow: "drop-oldest" });
		expect(await deadLetters.replay()).toBe(1);
		expect(await listed()).toEqual([]);
		bus.emit("job", 2);
		expect(await listed()).toEqual([1]);
		expect(await run()).toEqual([2]);
		expect(bus.stats().open).toBe(0);
	});

	test("comes back when the bus closes while it waits outside", async () => {
		const { bus, deadLetters, listed } = await setup([1, 2], { limit: 1 });
		expect(await deadLetters.replay()).toBe(2);
		await bus.close();
		expect(await listed()).toEqual([2]);
		expect(bus.stats().open).toBe(0);
	});

	test("that came back may be the oldest of too many, which is forgotten", async () => {
		const { bus, deadLetters, jobs, listed } = await setup([1], { limit: 1, overflow: "drop-oldest" }, 2);
		const dropped = vi.fn();
		bus.observe("deadletter:dropped", ({ letter }) => dropped(letter.event.data));
		bus.handle("job", () => Promise.reject(new Error("broken")), { name: "other" });
		await deadLetters.replay();
		for (const id of [2, 3]) await Promise.race([bus.emit("job", id).settled, new Promise(setImmediate)]);
		expect(await listed()).toEqual([3, 2]);
		expect(dropped.mock.calls).toEqual([[1]]);
		expect(jobs.size).toBe(1);
	});
});

describe("deadLetters.replay() with `coalesce`", () => {
	const queue = { limit: 5, overflow: "coalesce" } as const;

	test("a newer event that waits is not replaced by the old one, which is dropped for good", async () => {
		const { bus, deadLetters, jobs, listed, run } = await setup([1], queue);
		const dropped = vi.fn();
		bus.observe("handler:dropped", ({ event, overflow }) => dropped(event.data, overflow));
		const { settled } = bus.emit("job", 2);
		expect(await deadLetters.replay()).toBe(0);
		expect(dropped.mock.calls).toEqual([[1, "coalesce"]]);
		expect(jobs.size).toBe(1);
		expect(await run()).toEqual([2]);
		expect((await settled).outcomes).toMatchObject([{ status: "fulfilled" }]);
		expect(await listed()).toEqual([]);
		expect(bus.stats().open).toBe(0);
	});

	test("of two letters the newer one runs, in whichever order they are replayed", async () => {
		const { deadLetters, run } = await setup([1, 2], queue);
		const [newer, older] = (await deadLetters.list()).items;
		for (const { id } of [newer!, older!]) await deadLetters.replay({ ids: [id] });
		expect(await run()).toEqual([2]);
	});

	test("a newer event that comes later takes its place", async () => {
		const { bus, deadLetters, listed, run } = await setup([1], queue);
		expect(await deadLetters.replay()).toBe(1);
		bus.emit("job", 2);
		expect(await run()).toEqual([2]);
		expect(await listed()).toEqual([]);
	});
});

describe("deadLetters.replay() - a letter that is gone before its turn", () => {
	/** Two letters of a handler whose key function does something while the first of them is queued again. */
	function open() {
		const bus = createBus<{ job: number }>({ onError: () => undefined });
		const ran: number[] = [];
		let inKey: (() => unknown) | undefined;
		let isBroken = true;
		bus.handle(
			"job",
			(data) => {
				if (isBroken) throw new Error("broken");
				ran.push(data);
			},
			{
				key() {
					inKey?.();
					return undefined;
				},
			},
		);
		for (const data of [1, 2]) bus.emit("job", data);
		const mend = (duringReplay: () => unknown): void => {
			isBroken = false;
			inKey = () => {
				inKey = undefined;
				duringReplay();
			};
		};
		return { bus, ran, mend };
	}

	test("is not run twice when it is replayed inside", async () => {
		const { bus, ran, mend } = open();
		await bus.idle();
		const counts: Promise<number>[] = [];
		mend(() => counts.push(bus.deadLetters.replay()));
		counts.push(bus.deadLetters.replay());
		await bus.idle();
		expect(ran.sort()).toEqual([1, 2]);
		expect((await Promise.all(counts)).reduce((sum, count) => sum + count, 0)).toBe(2);
	});

	test("is not run when it is discarded inside", async () => {
		const { bus, ran, mend } = open();
		await bus.idle();
		mend(() => bus.deadLetters.discard());
		expect(await bus.deadLetters.replay()).toBe(1);
		await bus.idle();
		expect(ran).toEqual([1]);
	});
});

test.each(["drain", "close"] as const)("deadLetters.replay() - is refused behind %s()", async (method) => {
	const { bus, deadLetters, jobs, listed, run } = await setup([1], { limit: 1 });
	jobs.resume();
	await bus[method]();
	expect((await rejectionOf(deadLetters.replay())).code).toBe("ERR_CALLHOOK_CLOSED");
	expect(await run()).toEqual([]);
	expect(await listed()).toEqual([1]);
	expect(await deadLetters.discard()).toBe(1);
});

test("emit() - `accepted` rejects where a callback of this emit has closed the bus", async () => {
	const bus = createBus<{ job: number }>({ onError: () => undefined });
	bus.on("job", () => void bus.close());
	bus.handle("job", () => undefined, { queue: { limit: 1 } });
	const emission = bus.emit("job", 1);
	expect((await rejectionOf(emission.accepted)).code).toBe("ERR_CALLHOOK_STOPPED");
	expect((await emission.settled).failed).toHaveLength(1);
});
