import { describe, expect, test } from "vitest";
import { numbered, openRelay, type RelayBench, ranIds } from "../../test/support/relay.ts";
import { type FakeGroup, fakeGroup } from "../../test/support/target-group.ts";
import type { TargetGroup } from "./target-group.ts";

const aloneMs = 5_000;

/** Events that another process had claimed when it died. */
async function addCrashed({ add, store, clock }: RelayBench, ids: readonly string[]): Promise<void> {
	await add(ids);
	const request = { limit: ids.length, limitPerTarget: ids.length, capacity: new Map<string, number>() };
	expect(await store.claim(new Map([["g", request]]), 1_000)).toHaveLength(ids.length);
	await clock.advance(1_001);
}

function isolated(group: FakeGroup): TargetGroup {
	return { ...group, isIsolated: true, targets: ["a"] };
}

describe("relay - what ran when its process died", () => {
	test("runs alone, one after the other, before anything else of its group", async () => {
		const bench = openRelay();
		const { relay, clock, add, flush, states } = bench;
		const group = fakeGroup(clock, () => undefined);
		await addCrashed(bench, ["evt_1", "evt_2"]);
		await add(["evt_3", "evt_4"]);
		relay.add(isolated(group));
		const seen: string[] = [];
		for (let round = 0; round < 4; round++) {
			await flush();
			const running = [...group.running];
			seen.push(running.map(({ claim }) => `${claim.event.id} ${claim.attempt}`).join());
			for (const run of running) run.end("delivered");
		}
		expect(seen.slice(0, 1)).toEqual(["evt_1 2"]);
		expect(seen).toContain("evt_2 2");
		expect(seen.join()).toMatch(/evt_3 1/u);
		expect(seen.join()).toMatch(/evt_4 1/u);
		await flush();
		expect(new Set(await states())).toEqual(new Set(numbered("evt_", 4).map((id) => `${id} delivered`)));
	});

	test("holds back other groups that are isolated, and no others", async () => {
		const bench = openRelay();
		const { relay, clock, add, flush } = bench;
		const [group, other, webhooks] = [
			fakeGroup(clock, () => undefined),
			fakeGroup(clock, () => undefined, { name: "other" }),
			fakeGroup(clock, () => undefined, { name: "webhooks" }),
		];
		await addCrashed(bench, ["evt_1"]);
		await add(["evt_2"], { group: "other" });
		await add(["evt_3"], { group: "webhooks" });
		relay.add(isolated(group));
		relay.add(isolated(other));
		relay.add(webhooks);
		await flush();
		expect([group, other, webhooks].map(({ running }) => running.size)).toEqual([1, 0, 1]);
		group.runs[0]?.end("delivered");
		await flush();
		expect(other.running.size).toBe(1);
	});

	test("waits for what runs already, and costs what it is given back with no attempt", async () => {
		const bench = openRelay();
		const { relay, clock, add, flush, store } = bench;
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(isolated(group));
		await flush();
		relay.pause("g");
		await addCrashed(bench, ["evt_2"]);
		await add(["evt_3"]);
		relay.resume("g");
		await flush();
		expect(ranIds(group)).toEqual(["evt_1"]);
		group.runs[0]?.end("delivered");
		await flush();
		expect([...group.running].map(({ claim }) => claim.event.id)).toEqual(["evt_2"]);
		expect((await store.query({ eventId: "evt_3" }, {})).items[0]?.state).toBe("pending");
		group.runs[1]?.end("delivered");
		await flush();
		expect(group.runs[2]?.claim.attempt).toBe(1);
	});

	test("neither waits nor is alone for longer than 5 s", async () => {
		const bench = openRelay();
		const { relay, clock, add, advance, flush } = bench;
		const group = fakeGroup(clock, () => undefined);
		await add(["evt_1"]);
		relay.add(isolated(group));
		await flush();
		relay.pause("g");
		await addCrashed(bench, ["evt_2"]);
		await add(["evt_3"]);
		relay.resume("g");
		await advance(aloneMs - 1);
		expect(ranIds(group)).toEqual(["evt_1"]);
		await advance(1);
		expect(ranIds(group)).toEqual(["evt_1", "evt_2"]);
		await advance(aloneMs - 1);
		expect(ranIds(group)).toEqual(["evt_1", "evt_2"]);
		await advance(1);
		expect(ranIds(group)).toEqual(["evt_1", "evt_2", "evt_3"]);
		expect(group.runs.map(({ claim }) => claim.attempt)).toEqual([1, 2, 1]);
	});

	test.each(["pause", "remove"] as const)(
		"is given back when its group is told to %s before",
		async (call) => {
			const bench = openRelay();
			const { relay, clock, add, advance, flush, states } = bench;
			const [group, other] = [fakeGroup(clock), fakeGroup(clock, () => undefined, { name: "other" })];
			await add(["evt_1"], { group: "other" });
			relay.add(isolated(other));
			await flush();
			await addCrashed(bench, ["evt_2"]);
			relay.add(isolated(group));
			await flush();
			expect(await states()).toEqual(["evt_1 in_flight", "evt_2 in_flight"]);
			if (call === "pause") relay.pause("g");
			else await relay.remove("g", 0);
			await flush();
			expect(await states()).toEqual(["evt_1 in_flight", "evt_2 waiting"]);
			await add(["evt_3"], { group: "other" });
			await flush();
			expect(other.running.size).toBe(2);
			const removed = Promise.all([relay.remove("other", 0), relay.remove("g", 0)]);
			await advance(0);
			await removed;
			expect(clock.timers).toBe(0);
		},
	);

	test("runs beside the others where nothing is isolated", async () => {
		const bench = openRelay();
		const { relay, clock, flush } = bench;
		const group = fakeGroup(clock, () => undefined);
		await addCrashed(bench, ["evt_1", "evt_2"]);
		relay.add(group);
		await flush();
		expect(group.running.size).toBe(2);
	});
});
