import { describe, expect, test, vi } from "vitest";
import { leaseMs, numbered, openRelay, ranIds } from "../../test/support/relay.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { rejectionOf } from "../../test/support/thrown.ts";

const down = new Error("store is down");

describe("relay - a store that fails", () => {
	test.each(["claim", "nextDueInMs"] as const)(
		"%s() is reported and tried again each second, whatever wakes the relay, and recovers by itself",
		async (name) => {
			const { relay, clock, advance, add, flush, store, errors, states } = openRelay();
			const call = vi.spyOn(store, name).mockRejectedValue(down);
			const group = fakeGroup(clock);
			relay.add(group);
			await flush();
			expect(call).toHaveBeenCalledTimes(1);
			for (const id of numbered("evt_", 20)) {
				await add([id]);
				relay.wake();
				await advance(100);
			}
			await advance(8_000);
			expect(call).toHaveBeenCalledTimes(11);
			expect(errors).toEqual(Array(11).fill("claim: store is down"));
			call.mockRestore();
			await advance(1_000);
			expect(await states()).toEqual(numbered("evt_", 20).map((id) => `${id} delivered`));
			expect(errors).toHaveLength(11);
			const asked = vi.spyOn(store, "claim");
			await advance(60_000);
			expect(asked).not.toHaveBeenCalled();
		},
	);

	test("a group that cannot be prepared is reported, and puts the claim off", async () => {
		const { relay, clock, advance, add, flush, store, errors, states } = openRelay();
		const claim = vi.spyOn(store, "claim");
		const prepare = vi.fn(async () => undefined).mockRejectedValueOnce(down);
		await add(["evt_1"]);
		relay.add({ ...fakeGroup(clock), prepare });
		await flush();
		expect(errors).toEqual(["claim: store is down"]);
		expect(claim).not.toHaveBeenCalled();
		await advance(1_000);
		expect(await states()).toEqual(["evt_1 delivered"]);
		expect(prepare.mock.calls.length).toBe(1 + claim.mock.calls.length);
	});

	test("settle() is reported, and the delivery runs again once its lease has ended", async () => {
		const { relay, clock, advance, add, flush, store, errors, states, signals } = openRelay();
		const settle = vi.spyOn(store, "settle").mockRejectedValue(down);
		const group = fakeGroup(clock);
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		expect(errors).toEqual(["settle: store is down"]);
		await advance(leaseMs - 1);
		expect(settle).toHaveBeenCalledTimes(1);
		expect(group.runs).toHaveLength(2);
		settle.mockRestore();
		await advance(1);
		expect(group.runs.map(({ claim }) => claim.attempt)).toEqual([1, 1, 2, 2]);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
		expect(signals).toHaveLength(2);
	});

	test("extend() is reported, and tried again before the lease ends", async () => {
		const { relay, clock, advance, add, flush, store, errors, signals } = openRelay();
		const extend = vi.spyOn(store, "extend").mockRejectedValueOnce(down);
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		await advance(leaseMs / 3);
		expect(errors).toEqual(["extend: store is down"]);
		await advance(leaseMs);
		expect(extend).toHaveBeenCalledTimes(4);
		expect(errors).toHaveLength(1);
		group.runs[0]?.end("delivered");
		await flush();
		expect(group.runs).toHaveLength(1);
		expect(signals.map(({ name }) => name)).toEqual(["delivery:delivered"]);
	});

	test("release() is reported, and removing goes on", async () => {
		const { relay, clock, add, flush, store, errors } = openRelay();
		const release = vi.spyOn(store, "release").mockRejectedValue(down);
		const group = fakeGroup(clock, () => undefined, { perTarget: 1 });
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		const removed = relay.remove("g", 1_000);
		group.runs[0]?.end("delivered");
		await removed;
		expect(release).toHaveBeenCalledTimes(1);
		expect(errors).toEqual(["release: store is down"]);
		expect(clock.timers).toBe(0);
	});

	test("a run that rejects is reported, hurts no other, and comes again once its lease has ended", async () => {
		const { relay, clock, advance, add, flush, errors, states } = openRelay();
		const group = fakeGroup(clock, ({ event, attempt }) =>
			event.id === "evt_1" && attempt === 1 ? undefined : "delivered",
		);
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		group.runs[0]?.fail(new Error("run broke"));
		await flush();
		expect(errors).toEqual(["deliver: run broke"]);
		expect(await states()).toEqual(["evt_1 in_flight", "evt_2 delivered"]);
		await advance(leaseMs);
		expect(ranIds(group)).toEqual(["evt_1", "evt_2", "evt_1"]);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
		expect(errors).toHaveLength(1);
	});

	test("because it is closed is not asked again, and idle() rejects", async () => {
		const { relay, clock, advance, flush, store, errors } = openRelay();
		relay.add(fakeGroup(clock));
		await flush();
		await store.close();
		const claim = vi.spyOn(store, "claim");
		const { code } = await rejectionOf(relay.idle());
		expect(code).toBe("ERR_CALLHOOK_CLOSED");
		await advance(60_000);
		expect(claim).toHaveBeenCalledTimes(1);
		expect(errors).toEqual(["claim: The memory store is closed"]);
		await relay.remove("g", 0);
		expect(clock.timers).toBe(0);
	});

	test("a group may be removed while the store is left alone; no timer stays behind", async () => {
		const { relay, clock, add, flush, store, errors, states } = openRelay();
		const claim = vi.spyOn(store, "claim").mockRejectedValue(down);
		relay.add(fakeGroup(clock));
		await flush();
		expect(errors).toHaveLength(1);
		await relay.remove("g", 0);
		expect(clock.timers).toBe(0);
		claim.mockRestore();
		await add(["evt_1"]);
		relay.add(fakeGroup(clock));
		await flush();
		expect(await states()).toEqual(["evt_1 delivered"]);
	});

	test("a store that fails after its group was removed leaves no timer either", async () => {
		const { relay, clock, flush, store, errors } = openRelay();
		let fail = (_: unknown): void => {};
		vi.spyOn(store, "claim").mockImplementation(() => new Promise((_, reject) => (fail = reject)));
		relay.add(fakeGroup(clock));
		await flush();
		const removed = relay.remove("g", 0);
		fail(down);
		await removed;
		expect(errors).toEqual(["claim: store is down"]);
		expect(clock.timers).toBe(0);
	});
});
