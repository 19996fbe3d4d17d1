import assert from "node:assert/strict";
import type { DeliveryFilter, OutboxStore } from "../../outbox/ports.ts";
import {
	add,
	addOneInEachState,
	claim,
	claimOne,
	delivery,
	event,
	expectClaims,
	expectSettled,
	newEvent,
	pastShortMs,
	plain,
	queriedIds,
	query,
	settle,
	shortMs,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

/** Delivers in this order, so long one after the other that every store can tell their ends apart. */
async function deliverInTurn({ store, advance }: StoreHarness, ids: readonly string[]): Promise<void> {
	const claims = await claim(store);
	for (const id of ids) {
		const claimed = claims.find((each) => each.event.id === id);
		assert.ok(claimed, `${id} should have been claimable`);
		await expectSettled(store, claimed, "delivered");
		await advance(10);
	}
}

async function leftIds(store: OutboxStore): Promise<string[]> {
	return (await queriedIds(store)).sort();
}

async function knownIds(store: OutboxStore): Promise<string[]> {
	const events = await store.getEvents(["evt_1", "evt_2", "evt_3", "evt_4"]);
	return events.map(({ id }) => id).sort();
}

export const pruneChecks: readonly StoreCheck[] = [
	{
		name: "prune() - forgets final deliveries that ended long enough ago, at most `limit`",
		async check({ store, advance }) {
			await addOneInEachState(store);
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 100 }), 0);
			await advance(pastShortMs);
			await add(store, ["new"], delivery({ target: "b" }));
			await store.cancel({ target: "b" });
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 2 }), 2);
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 2 }), 1);
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 2 }), 0);
			assert.deepEqual((await queriedIds(store, {})).sort(), ["in_flight", "new", "pending", "waiting"]);
		},
	},
	{
		name: "prune() - counts from the end of a delivery, not from its beginning, and spares what was replayed",
		async check({ store, advance }) {
			await add(store, ["evt_1", "evt_2"]);
			const [first, second] = await claim(store);
			assert.ok(first && second);
			await expectSettled(store, first, "dead");
			await advance(pastShortMs);
			await expectSettled(store, second, "delivered");
			await store.replay({ eventId: "evt_1" });
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 100 }), 0);
			await advance(pastShortMs);
			assert.equal(await store.prune({ olderThanMs: shortMs, limit: 100 }), 1);
			assert.deepEqual(await queriedIds(store, {}), ["evt_1"]);
		},
	},
	{
		name: "prune() - forgets all final deliveries when it is told no more, and nothing that is not final",
		async check({ store }) {
			await addOneInEachState(store);
			assert.equal(await store.prune({ limit: 100 }), 3);
			assert.deepEqual(await leftIds(store), ["in_flight", "pending", "waiting"]);
			assert.equal(await store.prune({ filter: { state: "pending" }, limit: 100 }), 0);
			assert.equal(await store.prune({ filter: { target: "a" }, limit: 100 }), 0);
			assert.deepEqual(await leftIds(store), ["in_flight", "pending", "waiting"]);
		},
	},
	{
		name: "prune() - may keep for longer than there have been clocks",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await store.cancel({});
			assert.equal(await store.prune({ olderThanMs: Number.MAX_SAFE_INTEGER, limit: 100 }), 0);
			assert.deepEqual(await queriedIds(store, {}), ["evt_1"]);
		},
	},
	{
		name: "prune() - picks by each field of its filter and by all together",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"], delivery(), delivery({ target: "b" }));
			await store.append([
				{ event: event("evt_3", { type: "order.sent" }), deliveries: [delivery({ group: "h" })] },
			]);
			await store.cancel({});
			const prune = (filter: DeliveryFilter) => store.prune({ filter, limit: 100 });
			assert.equal(await prune({ state: "dead" }), 0);
			assert.equal(await prune({ ids: [] }), 0);
			assert.equal(await prune({ ids: ["unknown"] }), 0);
			assert.equal(await prune({ target: "b", group: "h" }), 0);
			assert.equal(await prune({ eventId: "evt_1", target: "b", state: "cancelled" }), 1);
			assert.equal(await prune({ target: "b" }), 1);
			assert.equal(await prune({ type: "order.sent" }), 1);
			const [{ id } = { id: "" }] = await query(store, { eventId: "evt_2" });
			assert.equal(await prune({ ids: [id, "unknown", id] }), 1);
			assert.deepEqual(
				(await query(store)).map(({ eventId, target }) => `${eventId} ${target}`),
				["evt_1 a"],
			);
			assert.equal(await prune({ group: "g" }), 1);
			assert.deepEqual(await query(store), []);
		},
	},
	{
		name: "prune() - picks by the time of adding",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await advance(shortMs);
			await add(store, ["evt_2"]);
			const [{ addedAt } = { addedAt: "" }] = await query(store, { eventId: "evt_2" });
			await store.cancel({});
			assert.equal(await store.prune({ filter: { until: addedAt }, limit: 100 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_2"]);
			assert.equal(await store.prune({ filter: { since: addedAt }, limit: 100 }), 1);
		},
	},
	{
		name: "prune() - filter and age must both agree",
		async check({ store, advance }) {
			await add(store, ["evt_1"], delivery(), delivery({ target: "b" }));
			await store.cancel({});
			await advance(pastShortMs);
			await add(store, ["evt_2"], delivery(), delivery({ target: "b" }));
			await store.cancel({});
			assert.equal(await store.prune({ filter: { target: "a" }, olderThanMs: shortMs, limit: 100 }), 1);
			assert.deepEqual((await query(store)).map(({ eventId, target }) => `${eventId} ${target}`).sort(), [
				"evt_1 b",
				"evt_2 a",
				"evt_2 b",
			]);
		},
	},
	{
		name: "prune() - the oldest first, by their end",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"]);
			await deliverInTurn(harness, ["evt_3", "evt_1", "evt_4", "evt_2"]);
			assert.equal(await store.prune({ limit: 1 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_1", "evt_2", "evt_4"]);
			assert.equal(await store.prune({ limit: 2 }), 2);
			assert.deepEqual(await leftIds(store), ["evt_2"]);
		},
	},
	{
		name: "prune() - `keep` spares the newest, by their end",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"]);
			await deliverInTurn(harness, ["evt_3", "evt_1", "evt_4", "evt_2"]);
			assert.equal(await store.prune({ keep: 4, limit: 100 }), 0);
			assert.equal(await store.prune({ keep: 100, limit: 100 }), 0);
			assert.equal(await store.prune({ keep: 2, limit: 100 }), 2);
			assert.deepEqual(await leftIds(store), ["evt_2", "evt_4"]);
			assert.equal(await store.prune({ keep: 2, limit: 100 }), 0);
		},
	},
	{
		name: "prune() - `keep` and `limit` together: the oldest go first, and the newest stay",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"]);
			await deliverInTurn(harness, ["evt_3", "evt_1", "evt_4", "evt_2"]);
			assert.equal(await store.prune({ keep: 1, limit: 2 }), 2);
			assert.deepEqual(await leftIds(store), ["evt_2", "evt_4"]);
			assert.equal(await store.prune({ keep: 1, limit: 2 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_2"]);
		},
	},
	{
		name: "prune() - `keep` counts what the filter picks, and nothing else",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2"]);
			await deliverInTurn(harness, ["evt_1", "evt_2"]);
			await add(store, ["evt_3", "evt_4"], delivery({ target: "b" }));
			await deliverInTurn(harness, ["evt_3", "evt_4"]);
			await add(store, ["evt_5"]);
			assert.equal(await store.prune({ filter: { target: "a" }, keep: 1, limit: 100 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_2", "evt_3", "evt_4", "evt_5"]);
		},
	},
	{
		name: "prune() - what was replayed counts by its last end",
		async check(harness) {
			const { store } = harness;
			const ids = ["evt_1", "evt_2", "evt_3"];
			await add(store, ids);
			await deliverInTurn(harness, ids);
			await store.replay({ eventId: "evt_1" });
			await deliverInTurn(harness, ["evt_1"]);
			assert.equal(await store.prune({ limit: 1 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_1", "evt_3"]);
			assert.equal(await store.prune({ keep: 1, limit: 100 }), 1);
			assert.deepEqual(await leftIds(store), ["evt_1"]);
		},
	},
	{
		name: "pruneEvents() - forgets events that have been without deliveries for long enough, with their ids and keys",
		async check({ store, advance }) {
			await store.append([{ ...newEvent("evt_1"), idempotencyKey: "k" }]);
			await add(store, ["evt_2"]);
			await expectSettled(store, await claimOne(store), { state: "routed", deliveries: [] });
			await add(store, ["evt_4"]);
			await store.cancel({});
			assert.equal(await store.pruneEvents({ olderThanMs: shortMs, limit: 100 }), 0);
			await advance(pastShortMs);
			await store.append([newEvent("evt_3")]);
			assert.equal(await store.prune({ filter: { target: "b" }, limit: 100 }), 0);
			assert.deepEqual(await knownIds(store), ["evt_1", "evt_2", "evt_3", "evt_4"]);
			assert.equal(await store.pruneEvents({ olderThanMs: shortMs, limit: 100 }), 2);
			assert.deepEqual(await knownIds(store), ["evt_3", "evt_4"]);
			assert.equal(await store.pruneEvents({ olderThanMs: Number.MAX_SAFE_INTEGER, limit: 100 }), 0);
			assert.deepEqual(await store.append([{ ...newEvent("evt_1"), idempotencyKey: "k" }]), ["stored"]);
		},
	},
	{
		name: "pruneEvents() - the oldest first, at most `limit`, and not the newest `keep`",
		async check({ store, advance }) {
			for (const id of ["evt_1", "evt_2", "evt_3", "evt_4"]) {
				await store.append([newEvent(id)]);
				await advance(10);
			}
			assert.equal(await store.pruneEvents({ limit: 1 }), 1);
			assert.deepEqual(await knownIds(store), ["evt_2", "evt_3", "evt_4"]);
			assert.equal(await store.pruneEvents({ keep: 3, limit: 100 }), 0);
			assert.equal(await store.pruneEvents({ keep: 1, limit: 1 }), 1);
			assert.deepEqual(await knownIds(store), ["evt_3", "evt_4"]);
			assert.equal(await store.pruneEvents({ keep: 1, limit: 100 }), 1);
			assert.deepEqual(await knownIds(store), ["evt_4"]);
		},
	},
	{
		name: "prune() - an event goes with its last delivery, and its id and key are free again",
		async check({ store }) {
			const keyed = { ...newEvent("evt_1", delivery(), delivery({ target: "b" })), idempotencyKey: "k" };
			const other = { ...newEvent("evt_2"), idempotencyKey: "k" };
			await store.append([keyed]);
			const before = await query(store);
			await store.cancel({});
			assert.equal(await store.prune({ limit: 1 }), 1);
			assert.equal((await store.getEvents(["evt_1"])).length, 1);
			assert.deepEqual(await store.append([keyed, other]), ["duplicate", "duplicate"]);
			assert.equal(await store.prune({ limit: 1 }), 1);
			assert.deepEqual(await store.getEvents(["evt_1"]), []);
			assert.equal(await store.replay({}), 0);
			assert.deepEqual(await store.append([keyed, other]), ["stored", "duplicate"]);
			const ids = (await claim(store)).map(({ deliveryId }) => deliveryId);
			assert.equal(ids.length, 2);
			for (const { id } of before) assert.ok(!ids.includes(id), "a new delivery should have a new id");
		},
	},
	{
		name: "prune() - an event stays while another of its deliveries is not final",
		async check({ store }) {
			await store.append([
				{ ...newEvent("evt_1", delivery(), delivery({ target: "b" })), idempotencyKey: "k" },
			]);
			const claims = await claim(store);
			const [toA, toB] = ["a", "b"].map((target) => claims.find((each) => each.target === target));
			assert.ok(toA && toB);
			await expectSettled(store, toA, "delivered");
			assert.equal(await store.prune({ limit: 100 }), 1);
			assert.deepEqual((await store.getEvents(["evt_1"])).map(plain), [event("evt_1")]);
			assert.deepEqual(await store.append([{ ...newEvent("evt_2"), idempotencyKey: "k" }]), ["duplicate"]);
			assert.equal(await settle(store, toB, { state: "waiting", retryInMs: 0 }), "ok");
			const [again] = await expectClaims(store, ["evt_1"]);
			assert.ok(again);
			assert.deepEqual(plain(again.event), event("evt_1"));
			await expectSettled(store, again, "delivered");
			assert.equal(await store.prune({ limit: 100 }), 1);
			assert.deepEqual(await store.getEvents(["evt_1"]), []);
		},
	},
];
