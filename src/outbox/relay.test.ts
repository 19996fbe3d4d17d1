import { describe, expect, test, vi } from "vitest";
import { countStates } from "../../test/support/claim-requests.ts";
import { leaseMs, numbered, openRelay, ranIds } from "../../test/support/relay.ts";
import { fakeGroup, type Run } from "../../test/support/target-group.ts";

describe("relay - claims, runs and settles", () => {
	test("what was stored before its group came, and what comes later", async () => {
		const { relay, clock, add, flush, states, signals, store } = openRelay();
		const group = fakeGroup(clock);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		await add(["evt_2"]);
		await flush();
		expect(ranIds(group)).toEqual(["evt_1", "evt_2"]);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
		const attempt = { number: 1, startedAt: expect.any(String), durationMs: 1, outcome: "delivered" };
		const { items } = await store.query({ eventId: "evt_1" }, {});
		expect(items[0]?.attempts).toEqual([attempt]);
		const info = { eventId: "evt_1", type: "order.paid", group: "g", target: "a", attempts: 1, attempt };
		expect(signals[0]).toEqual({
			name: "delivery:delivered",
			info: { deliveryId: items[0]?.id, ...info },
		});
		expect(signals).toHaveLength(2);
	});

	test("a backlog longer than it can hold", async () => {
		const { relay, clock, add, flush, states } = openRelay();
		await add(numbered("evt_", 1_000));
		relay.add(fakeGroup(clock, undefined, { concurrency: 3, perTarget: 2 }));
		await flush();
		expect((await states()).filter((state) => state.endsWith(" delivered"))).toHaveLength(1_000);
	});

	test("retries, each at its time, until the last attempt has failed", async () => {
		const { relay, clock, advance, add, flush, states, signals } = openRelay();
		const delays = [5_000, 300_000, 36_000_000];
		const group = fakeGroup(clock, ({ attempt }) => {
			const retryInMs = delays[attempt - 1];
			return retryInMs === undefined ? "dead" : { state: "waiting", retryInMs };
		});
		const startMs = clock.now();
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		await advance(4_999);
		expect(group.runs).toHaveLength(1);
		await advance(100 * 3_600_000);
		expect(group.runs.map(({ atMs }) => atMs - startMs)).toEqual([0, 5_000, 305_000, 36_305_000]);
		expect(group.runs.map(({ claim }) => claim.attempt)).toEqual([1, 2, 3, 4]);
		expect(await states()).toEqual(["evt_1 dead"]);
		expect(signals.map(({ name }) => name)).toEqual([
			...["attempt:failed", "attempt:failed", "attempt:failed", "attempt:failed"],
			"delivery:dead",
		]);
		expect(signals.map(({ info }) => (info as { retryInMs?: number }).retryInMs)).toEqual([
			...delays,
			undefined,
			undefined,
		]);
	});

	test("routes a delivery to others without a word to observers", async () => {
		const { relay, clock, add, flush, states, signals } = openRelay();
		const deliveries = ["a", "b"].map((target) => ({ group: "g", target }));
		const group = fakeGroup(clock);
		relay.add(group);
		relay.add(fakeGroup(clock, () => ({ state: "routed", deliveries }), { name: "routing" }));
		await add(["evt_1"], { group: "routing" });
		await flush();
		expect(group.runs.map(({ claim }) => claim.target)).toEqual(["a", "b"]);
		expect(await states()).toEqual(["evt_1 delivered", "evt_1 delivered"]);
		expect(signals.map(({ name }) => name)).toEqual(["delivery:delivered", "delivery:delivered"]);
	});

	test("asks the store less often than once for each delivery", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const claim = vi.spyOn(store, "claim");
		const settle = vi.spyOn(store, "settle");
		for (const target of numbered("t", 100)) await add(numbered(`${target}_`, 10), { target });
		relay.add(fakeGroup(clock, undefined, { concurrency: 50, perTarget: 4 }));
		await flush();
		expect(settle.mock.calls.flatMap(([batch]) => batch)).toHaveLength(1_000);
		expect(settle.mock.calls.length).toBeLessThan(100);
		expect(claim.mock.calls.length).toBeLessThan(250);
	});

	test("does not let the next delivery wait until the last one is written down", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const settle = vi.spyOn(store, "settle").mockImplementation(() => new Promise(() => {}));
		const group = fakeGroup(clock, undefined, { perTarget: 1 });
		await add(numbered("evt_", 5));
		relay.add(group);
		await flush();
		// As many as it may hold: what is not written down counts.
		expect(ranIds(group)).toEqual(["evt_1", "evt_2"]);
		expect(settle).toHaveBeenCalledTimes(1);
	});

	test("claims for a target once half of its spare claims are used up", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const group = fakeGroup(clock, () => undefined, { concurrency: 8, perTarget: 8 });
		relay.add(group);
		await add(numbered("evt_", 40));
		await flush();
		const claim = vi.spyOn(store, "claim");
		for (const run of group.runs.slice(0, 3)) run.end("delivered");
		await flush();
		expect(claim).not.toHaveBeenCalled();
		group.runs[3]?.end("delivered");
		await flush();
		expect(claim.mock.calls.map(([groups]) => groups.get("g")?.capacity.get("a"))).toEqual([4]);
	});
});

describe("relay - limits", () => {
	test("runs no more of one target at once than it may", async () => {
		const { relay, clock, add, flush } = openRelay();
		const group = fakeGroup(clock, () => undefined, { perTarget: 2 });
		relay.add(group);
		await add(numbered("evt_", 5));
		await flush();
		expect(ranIds(group)).toEqual(["evt_1", "evt_2"]);
		group.runs[1]?.end("delivered");
		await flush();
		expect(ranIds(group)).toEqual(["evt_1", "evt_2", "evt_3"]);
		expect(group.mostAtOnce).toBe(2);
	});

	test("all targets share the ceiling of their group, in turn", async () => {
		const { relay, clock, add, flush, states } = openRelay();
		const group = fakeGroup(clock, undefined, { concurrency: 5, perTarget: 4 });
		for (const target of numbered("t", 20)) await add(numbered(`${target}_`, 10), { target });
		relay.add(group);
		await flush();
		expect(group.mostAtOnce).toBe(5);
		expect((await states()).filter((state) => state.endsWith(" delivered"))).toHaveLength(200);
		// Nobody is served out before everybody had a turn.
		expect(new Set(group.runs.slice(0, 100).map(({ claim }) => claim.target)).size).toBe(20);
	});

	test("holds no more claims than will soon run", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		for (const target of numbered("t", 50)) await add(numbered(`${target}_`, 10), { target });
		relay.add(fakeGroup(clock, () => undefined, { concurrency: 6, perTarget: 2 }));
		await flush();
		expect(await countStates(store)).toEqual({ g: { in_flight: 12, pending: 488 } });
	});

	test("targets that hang hold up no others", async () => {
		const { relay, clock, add, flush } = openRelay();
		const hangs = ["h1", "h2", "h3"];
		const answer = ({ target }: Run["claim"]) => (hangs.includes(target) ? undefined : "delivered");
		const group = fakeGroup(clock, answer, { concurrency: 8, perTarget: 2 });
		for (const target of hangs) await add(numbered(`${target}_`, 100), { target });
		for (const target of numbered("t", 20)) await add(numbered(`${target}_`, 10), { target });
		relay.add(group);
		await flush();
		const served = ranIds(group).filter((id) => id.startsWith("t"));
		expect(served).toHaveLength(200);
		expect([...group.running].map(({ claim }) => claim.target).sort()).toEqual([
			...["h1", "h1", "h2", "h2", "h3", "h3"],
		]);
	});

	test("a group whose every place is taken holds up no other group", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const stuck = fakeGroup(clock, () => undefined, { name: "stuck", concurrency: 4, perTarget: 4 });
		const free = fakeGroup(clock, undefined, { name: "free", concurrency: 4, perTarget: 4 });
		for (const target of numbered("t", 40)) await add([`stuck_${target}`], { group: "stuck", target });
		relay.add(stuck);
		relay.add(free);
		await flush();
		const claim = vi.spyOn(store, "claim");
		await add(["evt_1"], { group: "free" });
		await flush();
		expect(ranIds(free)).toEqual(["evt_1"]);
		expect(stuck.running.size).toBe(4);
		expect(claim.mock.calls.every(([groups]) => !groups.has("stuck"))).toBe(true);
	});

	test("waits for a full group without asking the store again and again", async () => {
		const { relay, clock, advance, add, flush, store } = openRelay();
		const claim = vi.spyOn(store, "claim");
		const group = fakeGroup(clock, () => undefined, { concurrency: 1, perTarget: 1 });
		for (const target of numbered("t", 9)) await add([target], { target });
		relay.add(group);
		await flush();
		const asked = claim.mock.calls.length;
		await advance(10_000);
		expect(claim.mock.calls.length).toBe(asked);
		group.runs[0]?.end("delivered");
		await flush();
		expect(ranIds(group)).toEqual(["t1", "t2"]);
	});
});

describe("relay - leases", () => {
	test("are renewed while a delivery runs or waits for its turn", async () => {
		const { relay, clock, advance, add, flush, store, signals } = openRelay();
		const extend = vi.spyOn(store, "extend");
		const group = fakeGroup(clock, () => undefined, { perTarget: 1 });
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		await advance(10 * leaseMs);
		expect(ranIds(group)).toEqual(["evt_1"]);
		expect(extend.mock.calls.map(([tokens]) => tokens.length)).toEqual(Array(30).fill(2));
		expect(extend.mock.calls.every(([, ms]) => ms === leaseMs)).toBe(true);
		group.runs[0]?.end("delivered");
		await flush();
		group.runs[1]?.end("delivered");
		await flush();
		expect(group.runs.map(({ claim }) => claim.attempt)).toEqual([1, 1]);
		expect(signals.map(({ name }) => name)).toEqual(["delivery:delivered", "delivery:delivered"]);
	});

	test("are not renewed once nothing runs", async () => {
		const { relay, clock, advance, add, flush, store } = openRelay();
		const extend = vi.spyOn(store, "extend");
		await add(["evt_1"]);
		relay.add(fakeGroup(clock));
		await flush();
		await advance(leaseMs);
		expect(extend).not.toHaveBeenCalled();
		expect(clock.timers).toBe(0);
	});

	test("that end before the settlement make it `delivery:lost`, without an error", async () => {
		const { relay, clock, advance, add, flush, store, signals, errors, states } = openRelay();
		vi.spyOn(store, "extend").mockResolvedValue([]);
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		await advance(leaseMs);
		expect(group.runs.map(({ claim }) => claim.attempt)).toEqual([1, 2]);
		group.runs[0]?.end("delivered");
		await flush();
		const info = { eventId: "evt_1", type: "order.paid", group: "g", target: "a", attempts: 1 };
		expect(signals).toEqual([
			{ name: "delivery:lost", info: { deliveryId: group.runs[0]?.claim.deliveryId, ...info } },
		]);
		expect(await states()).toEqual(["evt_1 in_flight"]);
		group.runs[1]?.end("delivered");
		await flush();
		expect(await states()).toEqual(["evt_1 delivered"]);
		expect(errors).toEqual([]);
	});

	test("of a delivery that was cancelled while it ran are lost too", async () => {
		const { relay, clock, add, flush, store, signals, states } = openRelay();
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		await store.cancel({});
		group.runs[0]?.end("delivered");
		await flush();
		expect(signals.map(({ name }) => name)).toEqual(["delivery:lost"]);
		expect(await states()).toEqual(["evt_1 cancelled"]);
	});
});
