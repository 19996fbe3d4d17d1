import assert from "node:assert/strict";
import {
	add,
	attempt,
	claim,
	claimOne,
	delivery,
	expectNoClaim,
	expectSettled,
	longMs,
	pastShortMs,
	queryOne,
	settle,
	shortMs,
	waiting,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

export const leaseChecks: readonly StoreCheck[] = [
	{
		name: "lease - when it ends, the delivery is claimable again, under a new token and with the attempt counted",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(withinShortMs);
			await expectNoClaim(store, "the lease has not ended");
			await advance(pastShortMs);
			const second = await claimOne(store);
			assert.equal(second.deliveryId, first.deliveryId);
			assert.equal(second.attempt, 2);
			assert.notEqual(second.token, first.token);
		},
	},
	{
		name: "lease - a claim says how many before it ended by their lease, and a replay forgets them",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			assert.equal(first.crashes, 0);
			await advance(pastShortMs);
			const second = await claimOne(store);
			assert.equal(second.crashes, 1);
			await expectSettled(store, second, waiting(0), attempt(2));
			const third = await claimOne(store, { leaseMs: shortMs });
			assert.equal(third.crashes, 1);
			await store.release([third.token]);
			assert.equal((await claimOne(store, { leaseMs: shortMs })).crashes, 1);
			await advance(pastShortMs);
			const last = await claimOne(store);
			assert.equal(last.crashes, 2);
			await expectSettled(store, last, "dead", attempt(4));
			assert.equal(await store.replay({ eventId: "evt_1" }), 1);
			assert.equal((await claimOne(store)).crashes, 0);
		},
	},
	{
		name: "lease - a settlement after its end is lost and changes nothing",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			assert.equal(await settle(store, first, "delivered", attempt(1)), "lost");
			assert.deepEqual((await queryOne(store, { eventId: "evt_1" })).attempts, []);
			assert.equal((await claimOne(store)).attempt, 2);
		},
	},
	{
		name: "lease - an old token is lost while the new one is valid",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			const second = await claimOne(store);
			assert.equal(await settle(store, first, "dead", attempt(1)), "lost");
			assert.deepEqual(await store.extend([first.token, second.token], longMs), [second.token]);
			await store.release([first.token]);
			await expectSettled(store, second, "delivered", attempt(2));
			const { state, attempts } = await queryOne(store, { eventId: "evt_1" });
			assert.deepEqual(
				{ state, numbers: attempts.map(({ number }) => number) },
				{ state: "delivered", numbers: [2] },
			);
		},
	},
	{
		name: "settle() - a token is good for one settlement",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"]);
			const [first, second] = await claim(store);
			assert.ok(first && second);
			await expectSettled(store, first, "delivered");
			await expectSettled(store, second, waiting(0));
			assert.equal(await settle(store, first, "dead"), "lost");
			assert.equal(await settle(store, second, "dead"), "lost");
			assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "delivered");
		},
	},
	{
		name: "settle() - answers for each in order, the lost among the others",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"]);
			const [first, second] = await claim(store);
			assert.ok(first && second);
			const to = { state: "delivered" as const };
			assert.deepEqual(await store.settle([]), []);
			assert.deepEqual(
				await store.settle([
					{ token: "unknown", to },
					{ token: first.token, to },
					{ token: first.token, to: { state: "dead" } },
					{ token: second.token, to },
				]),
				["lost", "ok", "lost", "ok"],
			);
			assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "delivered");
		},
	},
	{
		name: "extend() - moves the end of a lease and returns the tokens that are valid",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(withinShortMs);
			assert.deepEqual(await store.extend(["unknown", first.token], shortMs + withinShortMs), [first.token]);
			await advance(pastShortMs);
			await expectNoClaim(store, "the lease was extended");
			await advance(withinShortMs);
			assert.equal((await claimOne(store)).attempt, 2);
			assert.deepEqual(await store.extend([], shortMs), []);
		},
	},
	{
		name: "extend() - does not revive a lease that has ended",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			assert.deepEqual(await store.extend([first.token], longMs), []);
			await claimOne(store);
		},
	},
	{
		name: "release() - gives back at once and uncounts the attempt",
		async check({ store }) {
			await add(store, ["evt_1"], delivery({ orderKey: "k" }));
			const first = await claimOne(store);
			await store.release([first.token]);
			assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "pending");
			assert.equal(await settle(store, first, "delivered"), "lost");
			assert.equal((await claimOne(store)).attempt, 1);
		},
	},
	{
		name: "release() - keeps the attempts made before",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), waiting(0), attempt(1));
			await store.release([(await claimOne(store)).token]);
			const { state, attempts } = await queryOne(store, { eventId: "evt_1" });
			assert.deepEqual({ state, attempts: attempts.length }, { state: "waiting", attempts: 1 });
			assert.equal((await claimOne(store)).attempt, 2);
		},
	},
	{
		name: "release() - with a delay, the delivery is claimable when that is over",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await store.release([(await claimOne(store)).token], shortMs);
			await advance(withinShortMs);
			await expectNoClaim(store, "the delay is not over");
			await advance(pastShortMs);
			assert.equal((await claimOne(store)).attempt, 1);
		},
	},
	{
		name: "release() - a token that is not valid changes nothing",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			const first = await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			await store.release([first.token, "unknown"]);
			await store.release([]);
			const second = await claimOne(store);
			assert.equal(second.attempt, 2, "the attempt of a lease that ended stays counted");
			await store.release([first.token]);
			await expectSettled(store, second, "delivered");
		},
	},
];
