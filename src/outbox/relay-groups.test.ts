import { describe, expect, test, vi } from "vitest";
import { leaseMs, numbered, openRelay, ranIds } from "../../test/support/relay.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { watch } from "../../test/support/watch.ts";
import { CallhookError } from "../errors.ts";

describe("relay - pause() and resume()", () => {
	test("a paused group gives back what has not started, ends what runs, and claims nothing", async () => {
		const { relay, clock, add, advance, flush, store, states } = openRelay();
		const group = fakeGroup(clock, () => undefined, { perTarget: 1 });
		await add(numbered("evt_", 3));
		relay.add(group);
		await flush();
		expect(await states()).toEqual(["evt_1 in_flight", "evt_2 in_flight", "evt_3 pending"]);
		expect(relay.inFlight("g")).toBe(2);
		relay.pause("g");
		await flush();
		expect(await states()).toEqual(["evt_1 in_flight", "evt_2 pending", "evt_3 pending"]);
		expect(relay.inFlight("g")).toBe(1);
		const claim = vi.spyOn(store, "claim");
		group.runs[0]?.end("delivered");
		relay.wake();
		await advance(10 * leaseMs);
		expect(claim).not.toHaveBeenCalled();
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 pending", "evt_3 pending"]);
		expect([relay.inFlight("g"), group.aborts]).toEqual([0, 0]);
		relay.resume("g");
		for (let left = 2; left > 0; left--) {
			await flush();
			for (const run of group.running) run.end("delivered");
		}
		await flush();
		expect(group.runs.map(({ claim: { attempt } }) => attempt)).toEqual([1, 1, 1]);
		expect(new Set(ranIds(group))).toEqual(new Set(numbered("evt_", 3)));
	});

	test("other groups go on, and what waits for the paused one does not keep them awake", async () => {
		const { relay, clock, add, advance, flush, store, states } = openRelay();
		const [group, other] = [fakeGroup(clock), fakeGroup(clock, undefined, { name: "other" })];
		relay.add(group);
		relay.add(other);
		relay.pause("g");
		await add(["evt_1"]);
		await add(["evt_2"], { group: "other" });
		await flush();
		expect(await states()).toEqual(["evt_1 pending", "evt_2 delivered"]);
		const [claim, nextDue] = [vi.spyOn(store, "claim"), vi.spyOn(store, "nextDueInMs")];
		await advance(10 * leaseMs);
		expect([claim.mock.calls.length, nextDue.mock.calls.length]).toEqual([0, 0]);
		relay.resume("g");
		await flush();
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
	});

	test("the lease of what still runs is renewed", async () => {
		const { relay, clock, add, advance, flush, states } = openRelay();
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		relay.pause("g");
		for (let thirds = 0; thirds < 12; thirds++) await advance(leaseMs / 3);
		group.runs[0]?.end("delivered");
		relay.resume("g");
		await flush();
		expect(group.runs).toHaveLength(1);
		expect(await states()).toEqual(["evt_1 delivered"]);
	});

	test("what a claim under way brings is given back, and is no attempt", async () => {
		const { relay, clock, add, flush, store, states } = openRelay();
		const group = fakeGroup(clock);
		const { claim } = store;
		vi.spyOn(store, "claim").mockImplementationOnce((...args) => {
			relay.pause("g");
			return claim(...args);
		});
		await add(["evt_1"]);
		relay.add(group);
		await flush();
		expect(group.runs).toEqual([]);
		expect(await states()).toEqual(["evt_1 pending"]);
		relay.resume("g");
		await flush();
		expect(group.runs.map(({ claim: { attempt } }) => attempt)).toEqual([1]);
	});

	test("idle() of a paused group waits for what the store has for it", async () => {
		const { relay, clock, add, flush } = openRelay();
		relay.add(fakeGroup(clock));
		relay.pause("g");
		const empty = watch(relay.idle("g"));
		await flush();
		expect(empty.isOver).toBe(true);
		await add(["evt_1"]);
		const idle = watch(relay.idle("g"));
		await flush();
		expect(idle.isOver).toBe(false);
		relay.resume("g");
		await flush();
		expect(idle.isOver).toBe(true);
	});

	test("of a group that is not there does nothing; a removed one has nothing in flight", async () => {
		const { relay, clock, add, flush, errors } = openRelay();
		relay.pause("g");
		relay.resume("g");
		expect(relay.inFlight("g")).toBe(0);
		const group = fakeGroup(clock);
		relay.add(group);
		await add(["evt_1"]);
		await flush();
		expect(group.runs).toHaveLength(1);
		await relay.remove("g", 0);
		relay.pause("g");
		expect([relay.inFlight("g"), errors]).toEqual([0, []]);
	});
});

describe("relay - formerNames", () => {
	test("no more is held under several names than under one", async () => {
		const { relay, clock, add, flush } = openRelay();
		const group = fakeGroup(clock, () => undefined, { concurrency: 2 });
		await add(numbered("evt_", 5), { group: "old" });
		await add(numbered("other_", 5));
		relay.add({ ...group, formerNames: ["old"], claimsPerSlot: 1 });
		await flush();
		expect(relay.inFlight("g")).toBe(2);
	});

	test("deliveries under all names run in the group, within its concurrency", async () => {
		const { relay, clock, add, flush, states } = openRelay();
		const group = fakeGroup(clock, () => undefined, { concurrency: 2, perTarget: 10 });
		await add(["evt_1", "evt_2"], { group: "old" });
		await add(["evt_3", "evt_4"]);
		await add(["evt_5"], { group: "older" });
		await add(["evt_6"], { group: "strange" });
		relay.add({ ...group, formerNames: ["old", "older"] });
		const seen: number[] = [];
		for (let round = 0; round < 6; round++) {
			await flush();
			seen.push(group.running.size);
			for (const run of group.running) run.end("delivered");
		}
		expect(Math.max(...seen)).toBe(2);
		expect(group.runs.every(({ claim }) => claim.attempt === 1)).toBe(true);
		expect(ranIds(group).sort()).toEqual(numbered("evt_", 5));
		expect((await states()).at(-1)).toBe("evt_6 pending");
	});

	test("pausing, removing and waiting mean all names", async () => {
		const { relay, clock, add, flush, states } = openRelay();
		const group = fakeGroup(clock, () => undefined, { perTarget: 1 });
		await add(["evt_1", "evt_2"], { group: "old" });
		relay.add({ ...group, formerNames: ["old"] });
		await flush();
		expect(relay.inFlight("g")).toBe(2);
		const idle = watch(relay.idle("g"));
		relay.pause("g");
		await flush();
		expect(await states()).toEqual(["evt_1 in_flight", "evt_2 pending"]);
		group.runs[0]?.end("delivered");
		await flush();
		expect(idle.isOver).toBe(false);
		relay.resume("g");
		await flush();
		const removed = watch(relay.remove("g", leaseMs));
		await flush();
		expect(removed.isOver).toBe(false);
		group.runs[1]?.end("delivered");
		await flush();
		expect(removed.isOver).toBe(true);
		expect(await states()).toEqual(["evt_1 delivered", "evt_2 delivered"]);
	});
});

test("relay - a group that was removed does nothing to another of its name", async () => {
	const { relay, clock, add, flush, states } = openRelay();
	const old = relay.add(fakeGroup(clock));
	await old.remove(0);
	const again = fakeGroup(clock, () => undefined);
	relay.add(again);
	old.pause();
	await old.remove(0);
	await old.idle();
	await add(["evt_1"]);
	await flush();
	expect(await states()).toEqual(["evt_1 in_flight"]);
	expect([old.inFlight(), again.aborts]).toEqual([0, 0]);
});

describe("relay - targets that are known beforehand", () => {
	test("have their share in the first claim; others two", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const claim = vi.spyOn(store, "claim");
		await add(numbered("evt_", 10), { target: "a" });
		await add(numbered("other_", 10), { target: "b" });
		const group = fakeGroup(clock, () => undefined, { perTarget: 3 });
		relay.add({ ...group, targets: ["a"] });
		await flush();
		const request = claim.mock.calls[0]?.[0].get("g");
		expect(request).toMatchObject({ limit: 20, limitPerTarget: 2 });
		expect([...request!.capacity]).toEqual([["a", 6]]);
		const first = await claim.mock.results[0]?.value;
		expect(first.map(({ target }: { target: string }) => target).sort()).toEqual([..."aaaaaabb"]);
	});

	test("have what is left of it later, and all of it again when they are idle", async () => {
		const { relay, clock, add, flush, store } = openRelay();
		const group = fakeGroup(clock, () => undefined, { perTarget: 3 });
		relay.add({ ...group, targets: ["a"] });
		const claim = vi.spyOn(store, "claim");
		const capacityOfA = () => claim.mock.calls.at(-1)?.[0].get("g")?.capacity.get("a");
		await add(numbered("evt_", 2));
		await flush();
		relay.wake();
		await flush();
		expect(capacityOfA()).toBe(4);
		for (const run of [...group.running]) run.end("delivered");
		await flush();
		relay.wake();
		await flush();
		expect(capacityOfA()).toBe(6);
	});
});

describe("relay - a claim that cannot be made an attempt", () => {
	test("whose event is damaged is dead at once, with the reason, and the others run", async () => {
		const { relay, clock, add, flush, store, states, errors, signals } = openRelay();
		const damage = new CallhookError("ERR_CALLHOOK_STORE_DAMAGED", "flipped bits", { reason: "bits" });
		const { claim } = store;
		vi.spyOn(store, "claim").mockImplementation(async (...args) =>
			(await claim(...args)).map((each) => (each.event.id === "evt_1" ? { ...each, damage } : each)),
		);
		const group = fakeGroup(clock);
		await add(["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		expect(ranIds(group)).toEqual(["evt_2"]);
		expect(await states()).toEqual(["evt_1 dead", "evt_2 delivered"]);
		expect(errors).toEqual(["claim: flipped bits"]);
		const attempt = {
			...{ number: 1, startedAt: "2026-01-01T00:00:00.000Z", durationMs: 0, outcome: "failed" },
			...{ errorCode: "ERR_CALLHOOK_STORE_DAMAGED", error: "flipped bits" },
		};
		expect((await store.query({ state: "dead" }, {})).items[0]?.attempts).toEqual([attempt]);
		expect(signals.filter(({ name }) => name !== "delivery:delivered")).toEqual([
			{ name: "attempt:failed", info: expect.objectContaining({ eventId: "evt_1", attempt }) },
			{ name: "delivery:dead", info: expect.objectContaining({ eventId: "evt_1", attempt }) },
		]);
	});

	test("that its group was stopped in is given back as if it had never been made", async () => {
		const { relay, clock, add, flush, states, store, signals } = openRelay();
		const [group, next] = [fakeGroup(clock), fakeGroup(clock, undefined, { name: "g" })];
		await add(["evt_1"]);
		const run = vi.fn(async () => {
			void relay.remove("g", leaseMs);
			return undefined;
		});
		relay.add({ ...group, run });
		await flush();
		expect(run).toHaveBeenCalledTimes(1);
		expect(await states()).toEqual(["evt_1 pending"]);
		expect((await store.query({}, {})).items[0]?.attempts).toEqual([]);
		expect(signals).toEqual([]);
		expect(clock.timers).toBe(0);
		relay.add(next);
		await flush();
		expect(next.runs.map(({ claim: { attempt } }) => attempt)).toEqual([1]);
	});
});
