import { describe, expect, test, vi } from "vitest";
import { leaseMs, numbered, openRelay, ranIds } from "../../test/support/relay.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { rejectionOf } from "../../test/support/thrown.ts";
import { CallhookError } from "../errors.ts";
import type { AttemptRecord, Settlement } from "./ports.ts";

const down = new CallhookError("ERR_CALLHOOK_STORE_UNAVAILABLE", "store is down", { reason: "unreachable" });

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

	test("settle() is reported once and tried again until the store is back: nothing runs twice", async () => {
		const { relay, clock, advance, add, flush, store, errors, states, signals } = openRelay();
		const settle = vi.spyOn(store, "settle").mockRejectedValue(down);
		const group = fakeGroup(clock);
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		await advance(1_000 + 2_000 + 4_000 + 8_000 + 10_000);
		expect(settle).toHaveBeenCalledTimes(6);
		await advance(2 * leaseMs);
		expect(errors).toEqual(["settle: store is down"]);
		settle.mockRestore();
		await advance(10_000);
		expect(group.runs).toHaveLength(2);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
		expect(signals.map(({ name }) => name)).toEqual(["delivery:delivered", "delivery:delivered"]);
	});

	test("settle() of what the store does not take holds up no other", async () => {
		const { relay, clock, advance, add, flush, store, errors, states } = openRelay();
		const settle = store.settle.bind(store);
		vi.spyOn(store, "settle").mockImplementation(async (settlements) => {
			if (settlements.some(({ attempt }) => attempt?.error === "strange"))
				throw new Error("cannot be written");
			return settle(settlements);
		});
		const group = fakeGroup(clock);
		await add(["evt_1", "evt_2", "evt_3"]);
		relay.add({
			...group,
			async run(claim) {
				const end = (await group.run(claim)) as Settlement;
				const error = claim.event.id === "evt_2" ? "strange" : undefined;
				return { ...end, attempt: { ...(end.attempt as AttemptRecord), error } };
			},
		});
		await flush();
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 in_flight", "evt_3 delivered"]);
		await add(["evt_4"]);
		await advance(10_000);
		expect((await states()).at(-1)).toBe("evt_4 delivered");
		expect(errors).toEqual(["settle: cannot be written"]);
		const removed = relay.remove("g", 0);
		await advance(0);
		await removed;
		expect(clock.timers).toBe(0);
	});

	test("what is due and cannot be claimed, since others hold it, is not asked for in a tight loop", async () => {
		const { relay, clock, advance, add, flush, store, states } = openRelay();
		vi.spyOn(store, "nextDueInMs").mockResolvedValue(0);
		const claim = vi.spyOn(store, "claim").mockResolvedValue([]);
		relay.add(fakeGroup(clock));
		await flush();
		for (let waited = 0; waited < 10_000; waited += 100) await advance(100);
		expect(claim.mock.calls.length).toBeLessThan(25);
		claim.mockRestore();
		await add(["evt_1"]);
		await flush();
		expect(await states()).toEqual(["evt_1 delivered"]);
	});

	test("settle() claims no more meanwhile than there are places for", async () => {
		const { relay, clock, advance, add, store, errors, states } = openRelay();
		const settle = vi.spyOn(store, "settle").mockRejectedValue(down);
		const group = fakeGroup(clock, undefined, { perTarget: 1 });
		await add(numbered("evt_", 20));
		relay.add(group);
		await advance(60_000);
		expect(group.runs).toHaveLength(2);
		settle.mockRestore();
		await advance(10_000);
		expect(group.runs).toHaveLength(20);
		expect(new Set(await states())).toHaveLength(20);
		expect(errors).toHaveLength(1);
	});

	test("settle() does not hold up who stops: what it could not write is left to its lease", async () => {
		const { relay, clock, advance, add, flush, store, errors } = openRelay();
		const settle = vi.spyOn(store, "settle").mockRejectedValue(down);
		await add(["evt_1"]);
		relay.add(fakeGroup(clock));
		await flush();
		const removed = relay.remove("g", 300);
		await advance(300);
		await removed;
		expect(clock.timers).toBe(0);
		expect(errors).toEqual(["settle: store is down"]);
		settle.mockRestore();
		const again = fakeGroup(clock);
		relay.add(again);
		await advance(leaseMs);
		expect(again.runs.map(({ claim }) => claim.attempt)).toEqual([2]);
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
		const { code } = await rejectionOf(relay.idle("g"));
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
