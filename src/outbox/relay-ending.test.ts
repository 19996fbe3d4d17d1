import { describe, expect, test, vi } from "vitest";
import { claim, countStates } from "../../test/support/claim-requests.ts";
import { leaseMs, numbered, openRelay, type RelayBench, ranIds } from "../../test/support/relay.ts";
import { fakeGroup } from "../../test/support/target-group.ts";

/** Whether a promise has been fulfilled, once everything that is ready has run. */
async function isDone({ flush }: RelayBench, promise: Promise<unknown>): Promise<boolean> {
	let done = false;
	void promise.then(() => {
		done = true;
	});
	await flush();
	return done;
}

/** Lets the next call of `name` through to the store, and holds back its answer. */
function holdAnswer(store: RelayBench["store"], name: "claim" | "nextDueInMs"): () => void {
	const call = store[name] as (...args: unknown[]) => Promise<unknown>;
	let letGo = (): void => {};
	const gate = new Promise<void>((resolve) => {
		letGo = resolve;
	});
	const held = async (...args: unknown[]): Promise<unknown> => {
		Object.assign(store, { [name]: call });
		const answer = await call(...args);
		await gate;
		return answer;
	};
	Object.assign(store, { [name]: held });
	return letGo;
}

describe("relay.idle()", () => {
	test("resolves at once without a group, and soon without a delivery", async () => {
		const bench = openRelay();
		await bench.relay.idle("g");
		bench.relay.add(fakeGroup(bench.clock));
		expect(await isDone(bench, bench.relay.idle("g"))).toBe(true);
	});

	test("waits for what runs, for what waits to be retried and for what is not yet due", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add } = bench;
		const group = fakeGroup(clock, ({ attempt }) => (attempt === 1 ? undefined : "delivered"));
		relay.add(group);
		await add(["evt_1"]);
		await add(["evt_2"], { delayMs: 100_000 });
		const idle = relay.idle("g");
		expect(relay.idle("g")).toBe(idle);
		expect(await isDone(bench, idle)).toBe(false);
		group.runs[0]?.end({ state: "waiting", retryInMs: 30_000 });
		expect(await isDone(bench, idle)).toBe(false);
		await advance(99_999);
		expect(await isDone(bench, idle)).toBe(false);
		await advance(1);
		group.runs[2]?.end("delivered");
		expect(await isDone(bench, idle)).toBe(true);
		expect(ranIds(group)).toEqual(["evt_1", "evt_1", "evt_2"]);
	});

	test("resolves when what was left is cancelled, whatever its due time was", async () => {
		const bench = openRelay();
		const { relay, clock, add, store } = bench;
		relay.add(fakeGroup(clock));
		await add(["evt_1"], { delayMs: 36_000_000 });
		const idle = relay.idle("g");
		expect(await isDone(bench, idle)).toBe(false);
		await store.cancel({});
		expect(await isDone(bench, idle)).toBe(true);
	});

	test("waits for its own group only, and no longer than until that is removed", async () => {
		const bench = openRelay();
		const { relay, clock, add } = bench;
		relay.add(fakeGroup(clock));
		relay.add(fakeGroup(clock, undefined, { name: "h" }));
		await add(["evt_1"], { group: "foreign", delayMs: 5_000 });
		await add(["evt_2"], { group: "foreign" });
		await add(["evt_3"], { group: "h", delayMs: 36_000_000 });
		expect(await isDone(bench, relay.idle("g"))).toBe(true);
		const idle = relay.idle("h");
		expect(await isDone(bench, idle)).toBe(false);
		await relay.remove("h", 0);
		expect(await isDone(bench, idle)).toBe(true);
		expect(await isDone(bench, relay.idle("unknown"))).toBe(true);
	});

	test("does not take an answer for the end that is older than the question", async () => {
		const bench = openRelay();
		const { relay, clock, add, store, flush } = bench;
		const group = fakeGroup(clock, () => undefined);
		const letGo = holdAnswer(store, "nextDueInMs");
		relay.add(group);
		await flush();
		await add(["evt_1"]);
		const idle = relay.idle("g");
		letGo();
		expect(await isDone(bench, idle)).toBe(false);
		group.runs[0]?.end("delivered");
		expect(await isDone(bench, idle)).toBe(true);
	});

	test("waits for a run whose lease was lost, and for the next claim of its delivery", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add, store, flush } = bench;
		vi.spyOn(store, "extend").mockResolvedValue([]);
		const group = fakeGroup(clock, ({ attempt }) => (attempt === 1 ? undefined : "delivered"), {
			perTarget: 1,
		});
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		const idle = relay.idle("g");
		await advance(leaseMs);
		expect(await isDone(bench, idle)).toBe(false);
		group.runs[0]?.end("delivered");
		await flush();
		group.runs[1]?.end("delivered");
		expect(await isDone(bench, idle)).toBe(true);
		expect(await countStates(store)).toEqual({ g: { delivered: 2 } });
	});
});

describe("relay.remove()", () => {
	test("gives back what has not started, uncounted, and waits for what runs", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add, flush, states, store } = bench;
		const group = fakeGroup(clock, () => undefined, { perTarget: 1 });
		await add(["evt_1", "evt_2", "evt_3"]);
		relay.add(group);
		await flush();
		const removed = relay.remove("g", 10_000);
		expect(await isDone(bench, removed)).toBe(false);
		expect(await states()).toEqual(["evt_1 in_flight", "evt_2 pending", "evt_3 pending"]);
		await advance(9_999);
		expect(group.aborts).toBe(0);
		group.runs[0]?.end("delivered");
		expect(await isDone(bench, removed)).toBe(true);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 pending", "evt_3 pending"]);
		expect((await claim(store)).map(({ attempt }) => attempt)).toEqual([1, 1]);
		expect(ranIds(group)).toEqual(["evt_1"]);
		expect(clock.timers).toBe(0);
	});

	test("ends what runs too long, and gives that back uncounted", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add, flush, states, store, signals } = bench;
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		const removed = relay.remove("g", 10_000);
		await advance(10_000);
		expect(await isDone(bench, removed)).toBe(true);
		expect(group.aborts).toBe(1);
		expect(await states()).toEqual(["evt_1 pending", "evt_2 pending"]);
		const { items } = await store.query({}, {});
		expect(items.flatMap(({ attempts }) => attempts)).toEqual([]);
		expect(signals).toEqual([]);
		const second = fakeGroup(clock);
		relay.add(second);
		await flush();
		expect(second.runs.map(({ claim }) => claim.attempt)).toEqual([1, 1]);
		await relay.remove("g", 0);
		expect(clock.timers).toBe(0);
	});

	test("called again, waits for the same end; the shortest time counts, and it aborts once", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add, flush } = bench;
		const group = fakeGroup(clock, () => undefined);
		const abort = vi.fn();
		await add(["evt_1"]);
		relay.add({ ...group, abort });
		await flush();
		const removals = Promise.all([60_000, 1_000, 30_000].map((timeoutMs) => relay.remove("g", timeoutMs)));
		await advance(999);
		expect(abort).not.toHaveBeenCalled();
		await advance(1);
		expect(abort).toHaveBeenCalledOnce();
		await advance(4_999);
		expect(await isDone(bench, removals)).toBe(false);
		group.runs[0]?.end("dead");
		expect(await isDone(bench, removals)).toBe(true);
		expect(abort).toHaveBeenCalledOnce();
		expect(clock.timers).toBe(0);
	});

	test("settles what was delivered all the same while it was being ended", async () => {
		const { relay, clock, advance, add, flush, states } = openRelay();
		const group = fakeGroup(clock, () => undefined);
		group.abort = () => group.runs[0]?.end("delivered");
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		const removed = relay.remove("g", 1);
		await advance(1);
		await removed;
		expect(await states()).toEqual(["evt_1 delivered"]);
	});

	test("renews the leases of what still runs", async () => {
		const bench = openRelay();
		const { relay, clock, advance, add, flush, signals } = bench;
		const groups = ["g", "h"].map((name) => fakeGroup(clock, () => undefined, { name }));
		for (const group of groups) {
			await add([`evt_${group.name}`], { group: group.name });
			relay.add(group);
		}
		await flush();
		const removed = groups.map(({ name }) => relay.remove(name, 10 * leaseMs));
		await advance(leaseMs);
		groups[0]?.runs[0]?.end("delivered");
		await removed[0];
		await advance(leaseMs);
		groups[1]?.runs[0]?.end("delivered");
		await removed[1];
		expect(signals.map(({ name }) => name)).toEqual(["delivery:delivered", "delivery:delivered"]);
		expect(clock.timers).toBe(0);
	});

	test("gives back what a claim under way still brings, before it resolves", async () => {
		const bench = openRelay();
		const { relay, clock, add, flush, states, store } = bench;
		const letGo = holdAnswer(store, "claim");
		const group = fakeGroup(clock);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		const removed = relay.remove("g", 0);
		expect(await isDone(bench, removed)).toBe(false);
		expect(await states()).toEqual(["evt_1 in_flight"]);
		letGo();
		await removed;
		expect(await states()).toEqual(["evt_1 pending"]);
		expect(group.runs).toEqual([]);
		expect(clock.timers).toBe(0);
	});

	test("leaves no timer behind, although there is something to come", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		relay.add(fakeGroup(clock));
		await add(["evt_1"], { delayMs: 5_000 });
		await flush();
		expect(clock.timers).toBe(1);
		const letGo = holdAnswer(store, "nextDueInMs");
		relay.wake();
		await flush();
		const removed = relay.remove("g", 0);
		letGo();
		await removed;
		expect(clock.timers).toBe(0);
	});

	test("listens to the store no more, and is asked nothing by a wake", async () => {
		const { relay, clock, advance, add, flush, store } = openRelay();
		const stopListening = vi.fn();
		vi.spyOn(store, "onWake").mockReturnValue(stopListening);
		relay.add(fakeGroup(clock));
		await flush();
		await relay.remove("g", 0);
		await relay.remove("g", 0);
		expect(stopListening).toHaveBeenCalledOnce();
		await relay.remove("unknown", 0);
		const claim = vi.spyOn(store, "claim");
		await add(["evt_1"]);
		relay.wake();
		await advance(100_000);
		expect(claim).not.toHaveBeenCalled();
	});

	test("of one group leaves the others at work", async () => {
		const { relay, clock, advance, add, flush, states } = openRelay();
		relay.add(fakeGroup(clock));
		relay.add(fakeGroup(clock, undefined, { name: "h" }));
		await relay.remove("g", 0);
		await add(["evt_1"]);
		await add(["evt_2"], { group: "h" });
		await flush();
		expect(await states()).toEqual(["evt_1 pending", "evt_2 delivered"]);
		await add(numbered("more_", 1), { group: "h", delayMs: 5_000 });
		await advance(5_000);
		expect((await states()).at(-1)).toBe("more_1 delivered");
	});

	test("resolves idle() where it was the last group", async () => {
		const bench = openRelay();
		const { relay, clock, add } = bench;
		relay.add(fakeGroup(clock));
		await add(["evt_1"], { delayMs: 5_000 });
		const idle = relay.idle("g");
		expect(await isDone(bench, idle)).toBe(false);
		await relay.remove("g", 0);
		expect(await isDone(bench, idle)).toBe(true);
	});

	test("ends, and says so, although the store never answers", async () => {
		const { relay, clock, add, advance, flush, store, errors } = openRelay();
		for (const name of ["settle", "release"] as const) {
			vi.spyOn(store, name).mockImplementation(() => new Promise<never>(() => undefined));
		}
		await add(["evt_1", "evt_2", "evt_3"]);
		relay.add(fakeGroup(clock, undefined, { perTarget: 1 }));
		await flush();
		let isOver = false;
		void relay.remove("g", 2_000).then(() => {
			isOver = true;
		});
		await advance(6_999);
		expect(isOver).toBe(false);
		await advance(1);
		expect(isOver).toBe(true);
		expect(errors).toEqual([expect.stringContaining("stop: The store did not answer for 5000 ms")]);
		expect(clock.timers).toBe(0);
	});

	test("the same when who asked first had all the time in the world, and the store hangs in a claim", async () => {
		const { relay, clock, advance, flush, store, errors } = openRelay();
		vi.spyOn(store, "claim").mockImplementation(() => new Promise<never>(() => undefined));
		relay.add(fakeGroup(clock));
		await flush();
		const over: number[] = [];
		for (const [index, timeoutMs] of [2_147_483_647, 1_000, 60_000].entries()) {
			void relay.remove("g", timeoutMs).then(() => over.push(index));
		}
		await advance(5_999);
		expect(over).toEqual([]);
		await advance(1);
		expect(over.toSorted()).toEqual([0, 1, 2]);
		expect(errors).toEqual([expect.stringContaining("stop: The store did not answer for 5000 ms")]);
		expect(clock.timers).toBe(0);
	});
});
