import { describe, expect, test } from "vitest";
import { claim, countStates, requestsFor } from "../../../test/support/claim-requests.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import { codeOf, optionOf } from "../../../test/support/thrown.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { fakeClock } from "../../testing/index.ts";
import { claim as claimFrom } from "./claim.ts";
import { memoryStore } from "./index.ts";
import { Tables } from "./tables.ts";

/** A store on a clock that stands still: nothing comes due by itself. */
function openStore(options: { readonly maxFinished?: number } = {}): OutboxStore {
	return memoryStore({ clock: fakeClock(), ...options });
}

async function add(store: OutboxStore, ids: readonly string[]): Promise<void> {
	await store.append(ids.map((id) => eventFor(id, { group: "g", target: id })));
}

/** Appends events and delivers them. */
async function deliver(store: OutboxStore, ...ids: readonly string[]): Promise<void> {
	await add(store, ids);
	const claims = await claim(store);
	await store.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" } })));
}

async function idsIn(store: OutboxStore): Promise<string[]> {
	return (await store.query({}, { limit: 1_000 })).items.map(({ eventId }) => eventId).reverse();
}

/** Whether the store still knows an event, and so takes it for a duplicate. */
async function knows(store: OutboxStore, id: string, idempotencyKey?: string): Promise<boolean> {
	return (await store.append([{ ...eventFor(id), idempotencyKey }]))[0] === "duplicate";
}

describe("memoryStore() - what it keeps", () => {
	test("the newest `maxFinished` finished deliveries; of older ones it forgets event, id and key", async () => {
		const store = openStore({ maxFinished: 3 });
		const keyed = { ...eventFor("evt_0", { group: "g", target: "t" }), idempotencyKey: "k" };
		await store.append([keyed]);
		await deliver(store, "evt_1", "evt_2", "evt_3", "evt_4", "evt_5");
		expect(await idsIn(store)).toEqual(["evt_3", "evt_4", "evt_5"]);
		expect(await knows(store, "evt_5")).toBe(true);
		expect(await knows(store, "evt_0", "k")).toBe(false);
	});

	test("1,000 finished deliveries unless asked otherwise", async () => {
		const store = openStore();
		await deliver(store, ...Array.from({ length: 1_200 }, (_, index) => `evt_${index}`));
		expect(await countStates(store)).toEqual({ g: { delivered: 1_000 } });
	});

	test("nothing finished where `maxFinished` is 0", async () => {
		const store = openStore({ maxFinished: 0 });
		await deliver(store, "evt_1");
		expect(await idsIn(store)).toEqual([]);
		expect(await knows(store, "evt_1")).toBe(false);
	});

	test("everything unfinished, however much is finished", async () => {
		const store = openStore({ maxFinished: 1 });
		await add(store, ["evt_1", "evt_2", "evt_3"]);
		const claims = await claim(store, { limit: 2 });
		await store.settle(claims.map(({ token }) => ({ token, to: { state: "waiting", retryInMs: 60_000 } })));
		await deliver(store, "evt_4", "evt_5", "evt_6");
		expect(await idsIn(store)).toEqual(["evt_1", "evt_2", "evt_6"]);
	});

	test("an event as long as one of its deliveries needs it", async () => {
		const store = openStore({ maxFinished: 0 });
		const targets = ["a", "b"].map((target) => ({ group: "g", target }));
		await store.append([eventFor("evt_1", ...targets)]);
		const [first, second] = await claim(store);
		await store.settle([{ token: first?.token ?? "", to: { state: "delivered" } }]);
		expect(await knows(store, "evt_1")).toBe(true);
		await store.settle([{ token: second?.token ?? "", to: { state: "delivered" } }]);
		expect(await knows(store, "evt_1")).toBe(false);
	});

	test("an event without deliveries no longer than a finished one", async () => {
		const store = openStore({ maxFinished: 2 });
		await store.append([eventFor("evt_1"), eventFor("evt_2")]);
		expect(await knows(store, "evt_1")).toBe(true);
		await deliver(store, "evt_3");
		expect(await knows(store, "evt_1")).toBe(false);
	});

	test("an event routed to nowhere no longer than a finished one", async () => {
		const store = openStore({ maxFinished: 1 });
		await add(store, ["evt_1"]);
		const [claimed] = await claim(store);
		const to = { state: "routed", deliveries: [] } as const;
		await store.settle([{ token: claimed?.token ?? "", to }]);
		expect(await knows(store, "evt_1")).toBe(true);
		await deliver(store, "evt_2");
		expect(await knows(store, "evt_1")).toBe(false);
	});

	test("what was replayed, until it has ended again", async () => {
		const store = openStore({ maxFinished: 1 });
		await deliver(store, "evt_1");
		await store.replay({});
		await claim(store);
		await deliver(store, "evt_2", "evt_3");
		expect(await idsIn(store)).toEqual(["evt_1", "evt_3"]);
	});

	test("nothing of targets that have no more to do", () => {
		const tables = new Tables(fakeClock(), 0);
		for (let index = 0; index < 100; index++) {
			const { event, deliveries } = eventFor(`evt_${index}`, { group: "g", target: `t${index}` });
			const row = tables.addEvent(event, undefined);
			for (const delivery of deliveries) if (row !== undefined) tables.addDelivery(row, delivery);
		}
		expect(tables.active.get("g")?.size).toBe(100);
		claimFrom(tables, requestsFor(), 60_000);
		expect(tables.active.get("g")?.size).toBe(0);
		for (const row of tables.claims.values()) tables.finish(row, "delivered");
		expect([tables.claims.size, tables.deliveries.size, tables.events.size]).toEqual([0, 0, 0]);
	});
});

describe("memoryStore() - a clock that is set back", () => {
	test("delays what was due, and loses nothing", async () => {
		let nowMs = 100_000;
		const { setTimeout, clearTimeout } = fakeClock();
		const store = memoryStore({ clock: { now: () => nowMs, setTimeout, clearTimeout } });
		await add(store, ["evt_1"]);
		nowMs -= 3_000;
		expect(await claim(store)).toEqual([]);
		expect(await store.nextDueInMs(requestsFor())).toBe(3_000);
		nowMs += 3_000;
		expect(await claim(store)).toHaveLength(1);
		expect(await claim(store)).toEqual([]);
	});
});

describe("memoryStore() - options", () => {
	test("says what it can promise", () => {
		expect(memoryStore().capabilities).toEqual({
			...{ durability: "memory", transactions: false, sharing: "none" },
		});
	});

	test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3"])(
		"refuses %s as maxFinished",
		(maxFinished) => {
			const open = () => memoryStore({ maxFinished: maxFinished as number });
			expect(codeOf(open)).toBe("ERR_CALLHOOK_INVALID_OPTION");
			expect(optionOf(open)).toBe("maxFinished");
		},
	);

	test.each([
		["an unknown option", { max: 3 }, "memoryStore.max"],
		["what is no object", 3, "memoryStore"],
	])("refuses %s", (_, options, option) => {
		expect(optionOf(() => memoryStore(options as object))).toBe(option);
	});

	test("uses the clock it is given", async () => {
		const clock = fakeClock({ now: 0 });
		const store = memoryStore({ clock });
		await add(store, ["evt_1"]);
		expect((await store.query({}, {})).items[0]?.nextAttemptAt).toBe("1970-01-01T00:00:00.000Z");
	});
});
