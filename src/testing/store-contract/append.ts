import assert from "node:assert/strict";
import { isCallhookError } from "../../errors.ts";
import type { StoredEvent } from "../../outbox/ports.ts";
import {
	add,
	claim,
	claimOne,
	delivery,
	event,
	expectSettled,
	newEvent,
	plain,
	query,
	requestsFor,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

// As JSON allows it and a store must not change it: a payload is signed byte by byte, retry after retry.
const oddJson = ` { "b" : 1.0,\t"a":"é 𝒳 \\u0000 \\n","b":-0, "long":"${"x".repeat(100_000)}" } `;

export const appendChecks: readonly StoreCheck[] = [
	{
		name: "append() - keeps every field of an event to the byte",
		async check({ store }) {
			const full: Required<StoredEvent> = {
				...{ id: "evt_1", type: "order.paid", time: "2026-01-02T03:04:05.678Z", source: "/shop?a=1" },
				...{ dataJson: oddJson, metadataJson: oddJson, key: "o'1\n", subject: "ünï", correlationId: "c" },
				...{
					version: 2,
					causationId: "d",
					traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				},
			};
			await store.append([{ event: full, deliveries: [delivery()] }]);
			assert.deepEqual(plain((await claimOne(store)).event), full);
		},
	},
	{
		name: "append() - leaves out what an event does not have",
		async check({ store }) {
			await add(store, ["evt_1"]);
			assert.deepEqual(plain((await claimOne(store)).event), event("evt_1"));
		},
	},
	{
		name: "append() - answers for each event in order and keeps all their deliveries",
		async check({ store }) {
			const results = await store.append([
				newEvent("evt_1", delivery(), delivery({ target: "b" })),
				newEvent("evt_2", delivery()),
			]);
			assert.deepEqual(results, ["stored", "stored"]);
			assert.deepEqual(
				(await query(store)).map((each) => `${each.eventId} ${each.target} ${each.state}`).sort(),
				["evt_1 a pending", "evt_1 b pending", "evt_2 a pending"],
			);
		},
	},
	{
		name: "append() - an event with a known id is a duplicate and adds nothing",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const again = [newEvent("evt_1", delivery({ target: "b" })), newEvent("evt_2", delivery())];
			assert.deepEqual(await store.append(again), ["duplicate", "stored"]);
			assert.deepEqual((await claim(store)).map((each) => `${each.event.id} ${each.target}`).sort(), [
				"evt_1 a",
				"evt_2 a",
			]);
		},
	},
	{
		name: "append() - an event with a known idempotency key is a duplicate, also after its delivery",
		async check({ store }) {
			const keyed = (id: string, idempotencyKey: string) => ({ ...newEvent(id, delivery()), idempotencyKey });
			assert.deepEqual(await store.append([keyed("evt_1", "k"), keyed("evt_2", "other")]), [
				"stored",
				"stored",
			]);
			assert.deepEqual(await store.append([keyed("evt_3", "k")]), ["duplicate"]);
			for (const each of await claim(store)) await expectSettled(store, each, "delivered");
			assert.deepEqual(await store.append([keyed("evt_4", "k"), newEvent("evt_5")]), ["duplicate", "stored"]);
			assert.equal((await query(store)).length, 2);
		},
	},
	{
		name: "append() - of two equal events in one batch the first counts",
		async check({ store }) {
			const keyed = (id: string, target: string) => ({
				...newEvent(id, delivery({ target })),
				idempotencyKey: "k",
			});
			const batch = [
				newEvent("evt_1", delivery()),
				newEvent("evt_1", delivery({ target: "b" })),
				keyed("evt_2", "c"),
				keyed("evt_3", "d"),
			];
			assert.deepEqual(await store.append(batch), ["stored", "duplicate", "stored", "duplicate"]);
			assert.deepEqual((await query(store)).map(({ target }) => target).sort(), ["a", "c"]);
		},
	},
	{
		name: "append() - keeps an event without deliveries, for its id and key",
		async check({ store }) {
			const bare = { ...newEvent("evt_1"), idempotencyKey: "k" };
			assert.deepEqual(await store.append([bare]), ["stored"]);
			assert.deepEqual(await store.append([bare, { ...newEvent("evt_2"), idempotencyKey: "k" }]), [
				"duplicate",
				"duplicate",
			]);
			assert.equal(await store.nextDueInMs(requestsFor()), undefined);
		},
	},
	{
		name: "append() - keeps at most one delivery for each event and target",
		async check({ store }) {
			await add(store, ["evt_1"], delivery(), delivery({ delayMs: 5 }), delivery({ target: "b" }));
			assert.deepEqual((await query(store)).map(({ target }) => target).sort(), ["a", "b"]);
		},
	},
	{
		name: "append() - takes large batches, and empty ones",
		async check({ store }) {
			assert.deepEqual(await store.append([]), []);
			const ids = Array.from({ length: 500 }, (_, index) => `evt_${index}`);
			await add(store, ids, ...["a", "b", "c", "d"].map((target) => delivery({ target })));
			const claims = await claim(store);
			assert.equal(claims.length, 2_000);
			const settlements = claims.map(({ token }) => ({ token, to: { state: "delivered" as const } }));
			assert.equal((await store.settle(settlements)).filter((result) => result === "ok").length, 2_000);
		},
	},
	{
		name: "append() - of equal events from parallel calls one is stored, with its deliveries alone",
		async check({ store }) {
			const targets = Array.from({ length: 8 }, (_, index) => `t${index}`);
			const results = await Promise.all(
				targets.map((target) => store.append([newEvent("evt_1", delivery({ target }))])),
			);
			assert.equal(results.flat().filter((result) => result === "stored").length, 1);
			assert.equal(results.flat().filter((result) => result === "duplicate").length, 7);
			const { target } = await claimOne(store);
			assert.deepEqual(results[targets.indexOf(target)], ["stored"]);
		},
	},
	{
		name: "append() - of events with one idempotency key from parallel calls one is stored",
		async check({ store }) {
			const ids = Array.from({ length: 8 }, (_, index) => `evt_${index}`);
			const results = await Promise.all(
				ids.map((id, index) =>
					store.append([
						{ ...newEvent(id, delivery()), idempotencyKey: "k" },
						newEvent(`other_${index}`, delivery({ group: "h" })),
					]),
				),
			);
			assert.equal(results.filter(([first]) => first === "stored").length, 1);
			assert.ok(results.every(([, second]) => second === "stored"));
			const claimed = await claimOne(store);
			assert.equal(results[ids.indexOf(claimed.event.id)]?.[0], "stored");
			assert.deepEqual(
				(await store.getEvents(ids)).map(({ id }) => id),
				[claimed.event.id],
			);
		},
	},
	{
		name: "append() - refuses a transaction where it can take part in none, and keeps nothing",
		async check({ store }) {
			if (store.capabilities.transactions) return;
			await assert.rejects(
				store.append([newEvent("evt_1", delivery())], { tx: {} }),
				(error) => isCallhookError(error, "ERR_CALLHOOK_INVALID_OPTION"),
				"append() with a transaction should reject: the caller would take its rollback for ours",
			);
			assert.equal((await query(store)).length, 0);
		},
	},
];
