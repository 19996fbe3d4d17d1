import assert from "node:assert/strict";
import type { NewDelivery, SettleTo } from "../../outbox/ports.ts";
import {
	add,
	attempt,
	claim,
	claimOne,
	delivery,
	expectClaims,
	expectNoClaim,
	expectSettled,
	newEvent,
	pastShortMs,
	plain,
	query,
	queryOne,
	settle,
	shortMs,
	statesOf,
	waiting,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

const router = delivery({ target: "g" });

function routed(...deliveries: readonly NewDelivery[]): SettleTo {
	return { state: "routed", deliveries };
}

export const settleChecks: readonly StoreCheck[] = [
	...(["delivered", "dead", "cancelled"] as const).map((state) => ({
		name: `settle() - ${state} is final`,
		async check({ store, advance }: Parameters<StoreCheck["check"]>[0]) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store, { leaseMs: shortMs }), state, attempt(1));
			await advance(pastShortMs);
			await expectNoClaim(store, `it is ${state}`);
			const stored = await queryOne(store, { eventId: "evt_1" });
			assert.equal(stored.state, state);
			assert.equal(stored.attempts.length, 1);
			assert.equal(stored.nextAttemptAt, undefined, "a final delivery has no next attempt");
		},
	})),
	{
		name: "settle() - waiting is claimable when its time has come, and counts on",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), waiting(shortMs), attempt(1));
			assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "waiting");
			await advance(withinShortMs);
			await expectNoClaim(store, "it waits");
			await advance(pastShortMs);
			assert.equal((await claimOne(store)).attempt, 2);
		},
	},
	{
		name: "settle() - waiting for no time is claimable at once",
		async check({ store }) {
			await add(store, ["evt_1"]);
			for (const number of [1, 2, 3]) {
				const claimed = await claimOne(store);
				assert.equal(claimed.attempt, number);
				await expectSettled(store, claimed, waiting(0));
			}
		},
	},
	{
		name: "settle() - logs attempts in order with all their fields",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const log = [
				attempt(1, { status: 503, responseBody: "busy \n é" }),
				attempt(2, { errorCode: "ECONNREFUSED", error: "connect ECONNREFUSED \n é", durationMs: 0 }),
				attempt(3, { outcome: "delivered", status: 200, responseBody: "" }),
			];
			for (const each of log) {
				const to = each.outcome === "delivered" ? "delivered" : waiting(0);
				await expectSettled(store, await claimOne(store), to, each);
			}
			assert.deepEqual((await queryOne(store, { eventId: "evt_1" })).attempts.map(plain), log);
		},
	},
	{
		name: "settle() - one batch may end each of its deliveries differently",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"]);
			const outcomes = [{ state: "delivered" }, { state: "dead" }, waiting(shortMs), routed()] as const;
			const claims = await claim(store);
			const settlements = claims.map(({ token }, index) => ({ token, to: outcomes[index] as SettleTo }));
			assert.deepEqual(await store.settle(settlements), ["ok", "ok", "ok", "ok"]);
			assert.deepEqual((await query(store)).map(({ eventId, state }) => `${eventId} ${state}`).reverse(), [
				"evt_1 delivered",
				"evt_2 dead",
				"evt_3 waiting",
			]);
		},
	},
	{
		name: "routed - the new deliveries take the place of the old one",
		async check({ store, advance }) {
			await add(store, ["evt_1"], router);
			const claimed = await claimOne(store);
			const to = routed(
				delivery(),
				delivery({ target: "b", group: "h" }),
				delivery({ target: "c", delayMs: shortMs }),
			);
			await expectSettled(store, claimed, to);
			assert.deepEqual(
				(await query(store, { eventId: "evt_1" }))
					.map(({ group, target, state }) => `${group} ${target} ${state}`)
					.sort(),
				["g a pending", "g c pending", "h b pending"],
			);
			for (const target of ["a", "c"]) assert.equal((await statesOf(store, target))?.pending, 1);
			const [first] = await expectClaims(store, ["evt_1"]);
			assert.deepEqual([first?.target, first?.attempt], ["a", 1]);
			await advance(pastShortMs);
			const [second] = await expectClaims(store, ["evt_1"]);
			assert.deepEqual([second?.target, second?.attempt], ["c", 1]);
		},
	},
	{
		name: "routed - to nowhere leaves the event known and nothing to do",
		async check({ store, advance }) {
			await add(store, ["evt_1"], router);
			await expectSettled(store, await claimOne(store, { leaseMs: shortMs }), routed());
			await advance(pastShortMs);
			await expectNoClaim(store, "it was routed to nowhere");
			assert.deepEqual(await query(store), []);
			assert.deepEqual(await store.append([newEvent("evt_1", delivery())]), ["duplicate"]);
		},
	},
	{
		name: "routed - keeps at most one delivery for each event and target",
		async check({ store }) {
			await add(store, ["evt_1"], router, delivery({ target: "b" }));
			const claimed = (await claim(store)).find(({ target }) => target === "g");
			assert.ok(claimed);
			await expectSettled(store, claimed, routed(delivery(), delivery(), delivery({ target: "b" })));
			assert.deepEqual((await query(store)).map(({ target }) => target).sort(), ["a", "b"]);
		},
	},
	{
		name: "routed - of one call, in the order of its settlements",
		async check({ store }) {
			const ids = ["evt_1", "evt_2", "evt_3"];
			await add(store, ids, router);
			const claims = await expectClaims(store, ids);
			const to = routed(delivery({ orderKey: "k" }));
			assert.deepEqual(await store.settle(claims.map(({ token }) => ({ token, to }))), ["ok", "ok", "ok"]);
			for (const id of ids) {
				const [claimed] = await expectClaims(store, [id]);
				assert.ok(claimed);
				await expectSettled(store, claimed, "delivered");
			}
		},
	},
	{
		name: "routed - also after attempts that failed, which go with the old delivery",
		async check({ store }) {
			await add(store, ["evt_1"], router);
			await expectSettled(store, await claimOne(store), waiting(0), attempt(1));
			await expectSettled(store, await claimOne(store), routed(router, delivery()));
			const items = await query(store);
			assert.deepEqual(items.map(({ target }) => target).sort(), ["a", "g"]);
			for (const { attempts } of items) assert.deepEqual(attempts, []);
			assert.deepEqual(
				(await claim(store)).map((each) => each.attempt),
				[1, 1],
			);
		},
	},
	{
		name: "routed - a delivery may be replaced by one to the same target",
		async check({ store }) {
			await add(store, ["evt_1"], router);
			await expectSettled(store, await claimOne(store), routed(router));
			await expectSettled(store, await claimOne(store), "delivered");
			assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "delivered");
		},
	},
	{
		name: "routed - with a token that is not valid adds nothing",
		async check({ store, advance }) {
			await add(store, ["evt_1"], router);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			assert.equal(await settle(store, first, routed(delivery(), delivery({ target: "b" }))), "lost");
			assert.deepEqual(
				(await query(store)).map(({ target }) => target),
				["g"],
			);
		},
	},
];
