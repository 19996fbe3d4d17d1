import assert from "node:assert/strict";
import type { AttemptRecord, DeliveryFilter } from "../../outbox/ports.ts";
import {
	add,
	addOneInEachState,
	attempt,
	claim,
	claimOne,
	delivery,
	event,
	expectSettled,
	longMs,
	plain,
	queriedIds,
	query,
	queryOne,
	shortMs,
	waiting,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/u;

function parseTime(time: string | undefined, what: string): number {
	assert.match(time ?? "", rfc3339, `${what} should be a time in RFC 3339, UTC`);
	return Date.parse(time ?? "");
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
				if (nextAttemptAt !== undefined) parseTime(nextAttemptAt, "nextAttemptAt");
			}
		},
	},
	{
		name: "query() - says when a delivery was added, in every state the same",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const filter = { eventId: "evt_1" };
			const { addedAt, nextAttemptAt } = await queryOne(store, filter);
			const addedAtMs = parseTime(addedAt, "addedAt");
			// A delivery without a delay is due when it is added.
			assert.ok(Math.abs(Date.parse(nextAttemptAt ?? "") - addedAtMs) < withinShortMs);
			assert.deepEqual(await queriedIds(store, { since: addedAt }), ["evt_1"]);
			assert.deepEqual(await queriedIds(store, { until: addedAt }), []);
			const claimed = await claimOne(store);
			const steps = [
				() => expectSettled(store, claimed, waiting(0)),
				async () => expectSettled(store, await claimOne(store), "dead"),
				() => store.replay({}),
				() => store.cancel({}),
			];
			for (const step of steps) {
				await step();
				const { addedAt: now, state } = await queryOne(store, filter);
				assert.equal(now, addedAt, `addedAt of the ${state} delivery`);
			}
			await advance(shortMs);
			await add(store, ["evt_2"], delivery({ delayMs: longMs }));
			const later = await queryOne(store, { eventId: "evt_2" });
			const laterMs = parseTime(later.addedAt, "addedAt");
			assert.ok(laterMs > Date.parse((await queryOne(store, filter)).addedAt) + withinShortMs);
			assert.ok(Date.parse(later.nextAttemptAt ?? "") > laterMs + longMs - withinShortMs);
		},
	},
	{
		name: "query() - says when a delivery ended, in final states only",
		async check({ store, advance }) {
			await addOneInEachState(store);
			await add(store, ["in_time"], delivery({ target: "b" }));
			const isFinal = ["delivered", "dead", "cancelled"];
			for (const { state, addedAt, endedAt } of await query(store)) {
				assert.equal(endedAt !== undefined, isFinal.includes(state), `endedAt of a ${state} delivery`);
				if (endedAt === undefined) continue;
				const tookMs = parseTime(endedAt, "endedAt") - Date.parse(addedAt);
				assert.ok(tookMs >= 0 && tookMs < withinShortMs, `ended ${tookMs} ms after it was added`);
			}
			await advance(shortMs);
			await store.cancel({ eventId: "in_time" });
			const { addedAt, endedAt } = await queryOne(store, { eventId: "in_time" });
			const tookMs = parseTime(endedAt, "endedAt") - Date.parse(addedAt);
			assert.ok(tookMs > withinShortMs, `it was cancelled a second after it was added, not ${tookMs} ms`);
		},
	},
	{
		name: "query() - a replayed delivery has not ended, until it ends again",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), "dead");
			const first = await queryOne(store, { eventId: "evt_1" });
			await store.replay({});
			assert.equal((await queryOne(store, { eventId: "evt_1" })).endedAt, undefined);
			await advance(shortMs);
			await expectSettled(store, await claimOne(store), "delivered");
			const second = await queryOne(store, { eventId: "evt_1" });
			const laterMs = parseTime(second.endedAt, "endedAt") - Date.parse(first.endedAt ?? "");
			assert.ok(laterMs > withinShortMs, "endedAt should be the time of the last end");
		},
	},
	{
		name: "query() - shows an attempt with every field it was logged with",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const full: Required<AttemptRecord> = {
				...{ number: 1, startedAt: "2026-01-02T03:04:06.789Z", durationMs: 1_234 },
				outcome: "failed",
				...{ status: 503, errorCode: "EO'DD", error: 'Ünerwartet:\n\t"x"', responseBody: "<é 𝒳>" },
				errorClass: "other",
				...{ requestHeaders: { "x-a": "1" }, responseHeaders: { server: "é\t\u0000", __proto__x: "" } },
			};
			await expectSettled(store, await claimOne(store), waiting(0), full);
			await expectSettled(store, await claimOne(store), "dead", attempt(2));
			const { attempts } = await queryOne(store, { eventId: "evt_1" });
			assert.deepEqual(attempts.map(plain), [full, attempt(2)]);
		},
	},
	{
		name: "query() - keeps the attempts of a delivery that is replayed",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), "dead", attempt(1, { error: "first" }));
			await store.replay({});
			await expectSettled(store, await claimOne(store), "delivered", attempt(1, { error: "second" }));
			const { attempts } = await queryOne(store, { eventId: "evt_1" });
			assert.deepEqual(
				attempts.map(({ error }) => error),
				["first", "second"],
			);
		},
	},
	{
		name: "query() - takes times that no clock shows, and listEvents() too",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const [first, last] = [-8.64e15, 8.64e15].map((ms) => new Date(ms).toISOString());
			for (const since of [first, "0000-01-01T00:00:00.000Z"]) {
				assert.deepEqual(await queriedIds(store, { since, until: last }), ["evt_1"]);
				assert.equal((await store.listEvents({ since, until: last }, {})).items.length, 1);
			}
			assert.deepEqual(await queriedIds(store, { since: last }), []);
			assert.deepEqual(await queriedIds(store, { until: first }), []);
		},
	},
	{
		name: "query() - picks by the time of adding: `since` included, `until` not",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await advance(shortMs);
			await add(store, ["evt_2"]);
			const { addedAt: added } = await queryOne(store, { eventId: "evt_2" });
			await advance(shortMs);
			await add(store, ["evt_3"]);
			assert.deepEqual(await queriedIds(store, { since: added }), ["evt_3", "evt_2"]);
			assert.deepEqual(await queriedIds(store, { until: added }), ["evt_1"]);
			const afterMs = Date.parse(added) + shortMs / 2;
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
];
