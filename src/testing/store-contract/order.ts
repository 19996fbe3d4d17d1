import assert from "node:assert/strict";
import type { Claim } from "../../outbox/ports.ts";
import {
	add,
	claim,
	claimOne,
	delivery,
	eventIds,
	expectClaims,
	expectNoClaim,
	expectSettled,
	pastShortMs,
	query,
	shortMs,
	waiting,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

const keyed = delivery({ orderKey: "k" });

/** Claims the one delivery that its order lets through. */
async function claimNext(store: StoreHarness["store"], id: string): Promise<Claim> {
	const [claimed] = await expectClaims(store, [id]);
	return claimed as Claim;
}

export const orderChecks: readonly StoreCheck[] = [
	{
		name: "order key - one at a time, in the order they were added",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"], keyed);
			await add(store, ["evt_3"], keyed);
			for (const id of ["evt_1", "evt_2", "evt_3"]) {
				const claimed = await claimNext(store, id);
				await expectNoClaim(store, `${id} of the same key is in flight`);
				await expectSettled(store, claimed, "delivered");
			}
		},
	},
	{
		name: "order key - other keys, other targets and no key wait for nothing",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"], keyed);
			await add(store, ["evt_3"], delivery({ orderKey: "other" }));
			await add(store, ["evt_4", "evt_5"], delivery());
			await add(store, ["evt_6"], delivery({ target: "b", orderKey: "k" }));
			assert.deepEqual(eventIds(await claim(store)).sort(), ["evt_1", "evt_3", "evt_4", "evt_5", "evt_6"]);
		},
	},
	{
		name: "order key - the next waits while the first waits for a retry",
		async check({ store, advance }) {
			await add(store, ["evt_1", "evt_2"], keyed);
			await expectSettled(store, await claimNext(store, "evt_1"), waiting(shortMs));
			await expectNoClaim(store, "the first of the key waits for a retry");
			await advance(pastShortMs);
			await expectSettled(store, await claimNext(store, "evt_1"), waiting(0));
			await expectSettled(store, await claimNext(store, "evt_1"), "delivered");
			await claimNext(store, "evt_2");
		},
	},
	{
		name: "order key - the next waits while the first is delayed",
		async check({ store, advance }) {
			await add(store, ["evt_1"], { ...keyed, delayMs: shortMs });
			await add(store, ["evt_2"], keyed);
			await expectNoClaim(store, "the first of the key is not yet due");
			await advance(pastShortMs);
			await claimNext(store, "evt_1");
		},
	},
	{
		name: "order key - after a lease that ended and after a release the first comes again",
		async check({ store, advance }) {
			await add(store, ["evt_1", "evt_2"], keyed);
			await claimOne(store, { leaseMs: shortMs });
			await advance(pastShortMs);
			const again = await claimNext(store, "evt_1");
			await store.release([again.token]);
			await expectSettled(store, await claimNext(store, "evt_1"), "delivered");
			await claimNext(store, "evt_2");
		},
	},
	...(["dead", "cancelled"] as const).map((state) => ({
		name: `order key - a delivery settled as ${state} lets the next go`,
		async check({ store }: StoreHarness) {
			await add(store, ["evt_1", "evt_2"], keyed);
			await expectSettled(store, await claimNext(store, "evt_1"), state);
			await claimNext(store, "evt_2");
		},
	})),
	{
		name: "order key - cancelled deliveries are passed over wherever they stand",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"], keyed);
			assert.equal(await store.cancel({ eventId: "evt_1" }), 1);
			assert.equal(await store.cancel({ eventId: "evt_3" }), 1);
			await claimNext(store, "evt_2");
			assert.equal(await store.cancel({ eventId: "evt_2" }), 1);
			await claimNext(store, "evt_4");
		},
	},
	{
		name: "order key - a replayed delivery comes last, and is never claimed beside another",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"], keyed);
			assert.equal(await store.cancel({ eventId: "evt_1" }), 1);
			assert.equal(await store.cancel({ eventId: "evt_3" }), 1);
			assert.equal(await store.replay({}), 2);
			for (const id of ["evt_2", "evt_4", "evt_1", "evt_3"]) {
				const claimed = await claimNext(store, id);
				await expectNoClaim(store, `${id} of the same key is in flight`);
				await expectSettled(store, claimed, "delivered");
			}
		},
	},
	{
		name: "order key - of a routed delivery holds in its new place",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"], delivery({ target: "g", orderKey: "k" }));
			for (const id of ["evt_1", "evt_2"]) {
				const claimed = await claimNext(store, id);
				const deliveries = [{ group: "h", target: "b", orderKey: "k" }];
				await expectSettled(store, claimed, { state: "routed", deliveries });
			}
			assert.equal((await query(store, { group: "h", state: "pending" })).length, 2);
			const [first] = await expectClaims(store, ["evt_1"], { groups: ["h"] });
			await expectSettled(store, first as Claim, "delivered");
			await expectClaims(store, ["evt_2"], { groups: ["h"] });
		},
	},
];
