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
	newEvent,
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

/** Text that no index can hold and no compression makes short. */
function longText(seed: number): string {
	let state = seed;
	const next = (): string => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return String.fromCharCode(0x4e00 + (state >>> 18));
	};
	return Array.from({ length: 10_000 }, next).join("");
}

export const orderChecks: readonly StoreCheck[] = [
	{
		name: "order key - may be of any length, an idempotency key too, and costs the others nothing",
		async check({ store }) {
			const [key, other] = [longText(1), longText(2)];
			await add(store, ["evt_1", "evt_2"], delivery({ orderKey: key }));
			await add(store, ["evt_3"], delivery({ orderKey: other }));
			await add(store, ["evt_4"]);
			assert.deepEqual(eventIds(await claim(store)).sort(), ["evt_1", "evt_3", "evt_4"]);
			const append = (id: string, idempotencyKey: string) =>
				store.append([{ ...newEvent(id), idempotencyKey }]);
			assert.deepEqual(await append("evt_5", key), ["stored"]);
			assert.deepEqual(await append("evt_6", key), ["duplicate"]);
			assert.deepEqual(await append("evt_7", other), ["stored"]);
		},
	},
	{
		name: "order key - may have any characters, half of a pair of UTF-16 too",
		async check({ store }) {
			for (const [index, orderKey] of ["a\0b", "\u{1f600}".slice(0, 1), "", "\u{1f600}", "'\"\\"].entries()) {
				const ids = [`evt_${index}_1`, `evt_${index}_2`];
				for (const id of ids) await add(store, [id], delivery({ orderKey }));
				for (const id of ids) await expectSettled(store, await claimNext(store, id), "delivered");
			}
		},
	},
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
	{
		name: "order key - pruned deliveries leave no gap that others could wait for",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3", "evt_4"], keyed);
			await expectSettled(store, await claimNext(store, "evt_1"), "delivered");
			assert.equal(await store.cancel({ eventId: "evt_3" }), 1);
			const second = await claimNext(store, "evt_2");
			assert.equal(await store.prune({ limit: 100 }), 2);
			await expectNoClaim(store, "evt_2 of the same key is in flight");
			await expectSettled(store, second, "delivered");
			assert.equal(await store.prune({ limit: 100 }), 1);
			await expectSettled(store, await claimNext(store, "evt_4"), "delivered");
			assert.equal(await store.prune({ limit: 100 }), 1);
			await add(store, ["evt_5", "evt_6"], keyed);
			await expectSettled(store, await claimNext(store, "evt_5"), "delivered");
			await claimNext(store, "evt_6");
		},
	},
	{
		name: "order key - an event that was pruned and added again comes last",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3"], keyed);
			await store.cancel({ eventId: "evt_1" });
			assert.equal(await store.prune({ limit: 100 }), 1);
			await add(store, ["evt_1"], keyed);
			for (const id of ["evt_2", "evt_3", "evt_1"]) {
				const claimed = await claimNext(store, id);
				await expectNoClaim(store, `${id} of the same key is in flight`);
				await expectSettled(store, claimed, "delivered");
			}
		},
	},
	{
		name: "order key - holds across replay, cancel and prune",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3"], keyed);
			await expectSettled(store, await claimNext(store, "evt_1"), "dead");
			const second = await claimNext(store, "evt_2");
			assert.equal(await store.replay({ eventId: "evt_1" }), 1);
			await expectNoClaim(store, "evt_2 of the same key is in flight");
			assert.equal(await store.prune({ limit: 100 }), 0);
			assert.equal(await store.cancel({ eventId: "evt_1" }), 1);
			assert.equal(await store.replay({ eventId: "evt_1" }), 1);
			assert.equal(await store.cancel({ eventId: "evt_2" }), 1);
			assert.equal(await store.prune({ limit: 100 }), 1);
			await store.release([second.token]);
			const third = await claimNext(store, "evt_3");
			await expectNoClaim(store, "evt_3 of the same key is in flight");
			await expectSettled(store, third, "delivered");
			await expectSettled(store, await claimNext(store, "evt_1"), "delivered");
			assert.equal(await store.replay({}), 2);
			await claimOne(store);
			await expectNoClaim(store, "one of the same key is in flight");
		},
	},
	{
		name: "order key - query() says which delivery blocks another",
		async check({ store }) {
			await add(store, ["evt_0"]);
			await add(store, ["evt_1", "evt_2", "evt_3"], keyed);
			const byEvent = async () => new Map((await query(store)).map((each) => [each.eventId, each] as const));
			for (const isClaimed of [false, true]) {
				const claims = isClaimed ? await claim(store) : [];
				const found = await byEvent();
				const first = found.get("evt_1")?.id;
				assert.deepEqual(
					["evt_0", "evt_1", "evt_2", "evt_3"].map((id) => found.get(id)?.blockedBy),
					[undefined, undefined, first, first],
				);
				assert.deepEqual(
					["evt_0", "evt_1", "evt_3"].map((id) => found.get(id)?.orderKey),
					[undefined, "k", "k"],
				);
				for (const each of claims) await expectSettled(store, each, "dead");
			}
			const found = await byEvent();
			assert.deepEqual(
				["evt_1", "evt_2", "evt_3"].map((id) => found.get(id)?.blockedBy),
				[undefined, undefined, found.get("evt_2")?.id],
			);
		},
	},
];
