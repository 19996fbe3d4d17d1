import assert from "node:assert/strict";
import type { DeliveryFilter, OutboxStore } from "../../outbox/ports.ts";
import {
	add,
	attempt,
	claim,
	claimOne,
	delivery,
	event,
	expectClaims,
	expectNoClaim,
	expectSettled,
	longMs,
	pastShortMs,
	query,
	queryOne,
	settle,
	shortMs,
	waiting,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

async function queriedIds(store: OutboxStore, filter: DeliveryFilter): Promise<string[]> {
	return (await query(store, filter)).map(({ eventId }) => eventId);
}

/** One delivery in each state: the events are named like the states. */
async function addOneInEachState(store: OutboxStore): Promise<void> {
	const finals = ["delivered", "dead", "cancelled"] as const;
	await add(store, [...finals, "waiting"]);
	for (const claimed of await claim(store)) {
		const final = finals.find((state) => state === claimed.event.id);
		await expectSettled(store, claimed, final ?? waiting(longMs), attempt(1));
	}
	await add(store, ["in_flight"]);
	await claimOne(store);
	await add(store, ["pending"]);
}

export const historyChecks: readonly StoreCheck[] = [
	{
		name: "query() - picks by each field and by all together",
		async check({ store }) {
			await store.append([
				{
					event: event("evt_1", { type: "order.paid" }),
					deliveries: [delivery(), delivery({ target: "b" })],
				},
				{ event: event("evt_2", { type: "order.sent" }), deliveries: [delivery({ group: "h" })] },
			]);
			const deliveries = await query(store);
			const picked = async (filter: DeliveryFilter) =>
				(await query(store, filter))
					.map(({ eventId, group, target }) => `${eventId} ${group} ${target}`)
					.sort();
			assert.deepEqual(await picked({}), ["evt_1 g a", "evt_1 g b", "evt_2 h a"]);
			assert.deepEqual(await picked({ eventId: "evt_1" }), ["evt_1 g a", "evt_1 g b"]);
			assert.deepEqual(await picked({ group: "h" }), ["evt_2 h a"]);
			assert.deepEqual(await picked({ target: "a" }), ["evt_1 g a", "evt_2 h a"]);
			assert.deepEqual(await picked({ type: "order.sent" }), ["evt_2 h a"]);
			assert.deepEqual(await picked({ target: "a", group: "g", type: "order.paid", state: "pending" }), [
				"evt_1 g a",
			]);
			assert.deepEqual(await picked({ target: "b", type: "order.sent" }), []);
			assert.deepEqual(await picked({ ids: [] }), []);
			const [newest, , oldest] = deliveries.map(({ id }) => id);
			assert.ok(newest !== undefined && oldest !== undefined);
			const ids = [oldest, newest, "unknown", oldest];
			assert.deepEqual(
				(await query(store, { ids })).map(({ id }) => id),
				[newest, oldest],
			);
			assert.equal((await query(store, { ids, eventId: "evt_2" })).length, 1);
		},
	},
	{
		name: "query() - picks by state, and says when there is a next attempt",
		async check({ store }) {
			await addOneInEachState(store);
			for (const state of ["pending", "in_flight", "waiting", "delivered", "dead", "cancelled"] as const) {
				const { eventId, nextAttemptAt } = await queryOne(store, { state });
				assert.equal(eventId, state);
				const isFinal = state === "delivered" || state === "dead" || state === "cancelled";
				assert.equal(nextAttemptAt === undefined, isFinal, `nextAttemptAt of a ${state} delivery`);
				if (nextAttemptAt !== undefined) assert.match(nextAttemptAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/u);
			}
		},
	},
	{
		name: "query() - picks by the time of adding: `since` included, `until` not",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await advance(shortMs);
			await add(store, ["evt_2"]);
			// A delivery without a delay is due when it is added.
			const { nextAttemptAt: added } = await queryOne(store, { eventId: "evt_2" });
			await advance(shortMs);
			await add(store, ["evt_3"]);
			assert.deepEqual(await queriedIds(store, { since: added }), ["evt_3", "evt_2"]);
			assert.deepEqual(await queriedIds(store, { until: added }), ["evt_1"]);
			const afterMs = Date.parse(added ?? "") + shortMs / 2;
			assert.deepEqual(await queriedIds(store, { since: added, until: new Date(afterMs).toISOString() }), [
				"evt_2",
			]);
		},
	},
	{
		name: "query() - newest first, in pages; the last has no cursor",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3"]);
			await add(store, ["evt_4"]);
			const first = await store.query({}, { limit: 2 });
			assert.deepEqual(
				first.items.map(({ eventId }) => eventId),
				["evt_4", "evt_3"],
			);
			assert.ok(first.cursor !== undefined, "a page with more behind it should have a cursor");
			const second = await store.query({}, { limit: 2, cursor: first.cursor });
			assert.deepEqual(
				second.items.map(({ eventId }) => eventId),
				["evt_2", "evt_1"],
			);
			assert.equal(second.cursor, undefined);
			assert.deepEqual(await store.query({ state: "dead" }, {}), { items: [] });
		},
	},
	{
		name: "query() - pages show every row once, whatever is added or changes in between",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6"]);
			const seen: string[] = [];
			let cursor: string | undefined;
			do {
				const page = await store.query({}, { limit: 2, cursor });
				seen.push(...page.items.map(({ eventId }) => eventId));
				cursor = page.cursor;
				await add(store, [`new_${seen.length}`]);
				await claim(store, { limit: 1 });
			} while (cursor !== undefined);
			assert.deepEqual(seen, ["evt_6", "evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]);
		},
	},
	{
		name: "query() - a page holds 50 unless asked otherwise",
		async check({ store }) {
			await add(
				store,
				Array.from({ length: 51 }, (_, index) => `evt_${index}`),
			);
			const page = await store.query({}, {});
			assert.equal(page.items.length, 50);
			assert.equal((await store.query({}, { cursor: page.cursor })).items.length, 1);
		},
	},
	{
		name: "stats() - counts deliveries by group and state",
		async check({ store }) {
			await addOneInEachState(store);
			await add(store, ["evt_1", "evt_2"], delivery({ group: "h" }), delivery());
			const one = { pending: 1, in_flight: 1, waiting: 1, delivered: 1, dead: 1, cancelled: 1 };
			const none = { pending: 0, in_flight: 0, waiting: 0, delivered: 0, dead: 0, cancelled: 0 };
			const { groups } = await store.stats();
			assert.deepEqual({ ...groups }, { g: { ...one, pending: 3 }, h: { ...none, pending: 2 } });
		},
	},
	{
		name: "replay() - makes final deliveries pending with a new count of attempts, and no others",
		async check({ store }) {
			await addOneInEachState(store);
			assert.equal(await store.replay({}), 3);
			for (const id of ["delivered", "dead", "cancelled"]) {
				assert.equal((await queryOne(store, { eventId: id })).state, "pending");
			}
			const attempts = (await claim(store)).map(({ event: { id }, attempt: number }) => `${id} ${number}`);
			assert.deepEqual(attempts.sort(), ["cancelled 1", "dead 1", "delivered 1", "pending 1"]);
		},
	},
	{
		name: "replay() - picks by its filter, and may be done again",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"]);
			for (const claimed of await claim(store)) await expectSettled(store, claimed, "dead");
			for (let times = 0; times < 3; times++) {
				assert.equal(await store.replay({ eventId: "evt_2", state: "dead" }), 1);
				const [claimed] = await expectClaims(store, ["evt_2"]);
				assert.ok(claimed);
				await expectNoClaim(store, "it is in flight");
				await expectSettled(store, claimed, "dead");
			}
		},
	},
	{
		name: "cancel() - ends what is not final, also in flight, and nothing else",
		async check({ store, advance }) {
			await addOneInEachState(store);
			await add(store, ["evt_1"]);
			const claimed = (await claim(store)).find(({ event: { id } }) => id === "evt_1");
			assert.ok(claimed);
			assert.equal(await store.cancel({ target: "b" }), 0);
			assert.equal(await store.cancel({}), 4);
			assert.equal(await settle(store, claimed, "delivered"), "lost");
			assert.equal((await store.stats()).groups.g?.cancelled, 5);
			assert.equal((await store.stats()).groups.g?.delivered, 1);
			await advance(pastShortMs);
			await expectNoClaim(store, "all is cancelled or final");
		},
	},
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
];
