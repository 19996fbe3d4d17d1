import assert from "node:assert/strict";
import type { Claim, EventFilter, OutboxStore, StoredEvent } from "../../outbox/ports.ts";
import {
	add,
	claim,
	claimOne,
	delivery,
	event,
	eventIds,
	expectSettled,
	newEvent,
	plain,
	query,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

async function knownIds(store: OutboxStore, ids: readonly string[]): Promise<string[]> {
	return (await store.getEvents(ids)).map(({ id }) => id).sort();
}

export const eventChecks: readonly StoreCheck[] = [
	{
		name: "getEvents() - gives the events it knows, each once, and passes over the others",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3"]);
			assert.deepEqual(await knownIds(store, []), []);
			assert.deepEqual(await knownIds(store, ["unknown"]), []);
			assert.deepEqual(await knownIds(store, ["evt_3", "unknown", "evt_1"]), ["evt_1", "evt_3"]);
			assert.deepEqual(await knownIds(store, ["evt_2", "evt_2"]), ["evt_2"]);
		},
	},
	{
		name: "getEvents() - gives every field to the byte, as a claim does",
		async check({ store }) {
			const odd = ' {"b":1.0,\t"a":"é 𝒳 \\u0000"} ';
			const full: Required<StoredEvent> = {
				...{ id: "evt_1", type: "order.paid", time: "2026-01-02T03:04:05.678Z", source: "/shop?a=1" },
				...{ dataJson: odd, metadataJson: odd, version: 3, key: "o'1\n", subject: "ünï" },
				...{ correlationId: "c", causationId: "d" },
				traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			};
			await store.append([{ event: full, deliveries: [delivery()] }]);
			assert.deepEqual((await store.getEvents(["evt_1"])).map(plain), [full]);
			assert.deepEqual(plain((await claimOne(store)).event), full);
		},
	},
	{
		name: "getEvents() - leaves out what an event does not have",
		async check({ store }) {
			await add(store, ["evt_1"]);
			assert.deepEqual((await store.getEvents(["evt_1"])).map(plain), [event("evt_1")]);
		},
	},
	{
		name: "getEvents() - gives events with final deliveries and with none, until they are pruned",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), "delivered");
			await store.append([newEvent("evt_2")]);
			await add(store, ["evt_3"]);
			await expectSettled(store, await claimOne(store), { state: "routed", deliveries: [] });
			const ids = ["evt_1", "evt_2", "evt_3"];
			assert.deepEqual(await knownIds(store, ids), ids);
			await store.prune({ limit: 100 });
			assert.deepEqual(await knownIds(store, ids), ["evt_2", "evt_3"]);
			await store.pruneEvents({ limit: 100 });
			assert.deepEqual(await knownIds(store, ids), []);
		},
	},
	{
		name: "getEvents() - takes many ids",
		async check({ store }) {
			const ids = Array.from({ length: 1_000 }, (_, index) => `evt_${String(index).padStart(4, "0")}`);
			await store.append(ids.map((id) => newEvent(id)));
			assert.deepEqual(await knownIds(store, [...ids].reverse()), ids);
		},
	},
	{
		name: "listEvents() - oldest first, in pages, to the byte",
		async check({ store }) {
			assert.deepEqual(await store.listEvents({}, {}), { items: [] });
			for (const id of ["evt_3", "evt_1", "evt_2"]) await add(store, [id]);
			await store.append([newEvent("evt_0")]);
			const first = await store.listEvents({}, { limit: 3 });
			assert.deepEqual(first.items.map(plain), [event("evt_3"), event("evt_1"), event("evt_2")]);
			assert.ok(first.cursor !== undefined);
			await add(store, ["evt_4"]);
			const second = await store.listEvents({}, { limit: 3, cursor: first.cursor });
			assert.deepEqual(
				second.items.map(({ id }) => id),
				["evt_0", "evt_4"],
			);
			assert.equal(second.cursor, undefined);
		},
	},
	{
		name: "listEvents() - since, until, and those that are missing at a target",
		async check({ store, advance }) {
			const list = async (filter: EventFilter) =>
				(await store.listEvents(filter, {})).items.map(({ id }) => id);
			await add(store, ["evt_1"]);
			await advance(50);
			await add(store, ["evt_2"], delivery({ target: "b" }));
			await advance(50);
			await add(store, ["evt_3"], delivery({ group: "h" }));
			const added = (await query(store, { eventId: "evt_2" }))[0]?.addedAt as string;
			assert.deepEqual(await list({ since: added }), ["evt_2", "evt_3"]);
			assert.deepEqual(await list({ until: added }), ["evt_1"]);
			const missingAt = { group: "g", target: "a" };
			assert.deepEqual(await list({ missingAt }), ["evt_2", "evt_3"]);
			assert.deepEqual(await list({ missingAt, since: added, until: added }), []);
			await expectSettled(store, (await claim(store, { limit: 1 }))[0] as Claim, "delivered");
			assert.deepEqual(await list({ missingAt }), ["evt_2", "evt_3"]);
		},
	},
	{
		name: "addDeliveries() - to targets that an event has not been sent to, and wakes",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"]);
			await store.append([newEvent("evt_3")]);
			let wakes = 0;
			const stop = store.onWake(() => wakes++);
			const to = (target: string, orderKey?: string) => delivery({ target, orderKey });
			assert.equal(await store.addDeliveries([]), 0);
			assert.equal(await store.addDeliveries([{ eventId: "unknown", deliveries: [to("b")] }]), 0);
			assert.equal(await store.addDeliveries([{ eventId: "evt_1", deliveries: [] }]), 0);
			assert.equal(
				await store.addDeliveries([
					{ eventId: "evt_1", deliveries: [to("a"), to("b", "k"), to("b", "k")] },
					{ eventId: "evt_3", deliveries: [to("b", "k")] },
				]),
				2,
			);
			assert.ok(wakes > 0, "a listener should have been called");
			stop();
			assert.deepEqual(eventIds(await claim(store)).sort(), ["evt_1", "evt_1", "evt_2"]);
			const [first] = await query(store, { eventId: "evt_1", target: "b" });
			const [blocked] = await query(store, { eventId: "evt_3" });
			assert.equal(blocked?.blockedBy, first?.id);
		},
	},
	{
		name: "addDeliveries() - an event without deliveries is needed from then on",
		async check({ store }) {
			await store.append([newEvent("evt_1"), newEvent("evt_2")]);
			assert.equal(await store.addDeliveries([{ eventId: "evt_1", deliveries: [delivery()] }]), 1);
			assert.equal(await store.pruneEvents({ limit: 100 }), 1);
			assert.deepEqual(await knownIds(store, ["evt_1", "evt_2"]), ["evt_1"]);
			await expectSettled(store, await claimOne(store), "delivered");
			assert.equal(await store.addDeliveries([{ eventId: "evt_1", deliveries: [delivery()] }]), 0);
		},
	},
];
