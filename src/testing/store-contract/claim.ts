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
	queryOne,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

type Store = StoreHarness["store"];

/** Events with one delivery each: `addTo(store, "a", 2)` makes `a1` and `a2`, due for the target `a`. */
async function addTo(store: Store, target: string, count: number): Promise<void> {
	const ids = Array.from({ length: count }, (_, index) => `${target}${index + 1}`);
	await add(store, ids, delivery({ target }));
}

/** How many claims each target got. */
function countTargets(claims: readonly Claim[]): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const { target } of claims) counts[target] = (counts[target] ?? 0) + 1;
	return counts;
}

export const claimChecks: readonly StoreCheck[] = [
	{
		name: "claim() - tells what to run and marks it as in flight",
		async check({ store }) {
			await add(store, ["evt_1"], delivery({ target: "b" }));
			const { token, deliveryId, group, target, attempt } = await claimOne(store);
			assert.deepEqual({ group, target, attempt }, { group: "g", target: "b", attempt: 1 });
			assert.match(token, /./u, "a token should be a string that is not empty");
			const { id, state } = await queryOne(store, { eventId: "evt_1" });
			assert.deepEqual({ id, state }, { id: deliveryId, state: "in_flight" });
		},
	},
	{
		name: "claim() - gives what is leased to nobody else",
		async check({ store }) {
			await addTo(store, "a", 3);
			assert.equal(new Set((await claim(store)).map(({ token }) => token)).size, 3);
			await expectNoClaim(store, "all is leased");
		},
	},
	{
		name: "claim() - the oldest of a target first, at most `limit`",
		async check({ store }) {
			await addTo(store, "a", 5);
			await expectClaims(store, ["a1", "a2"], { limit: 2 });
			await expectClaims(store, ["a3", "a4", "a5"], { limit: 9 });
		},
	},
	{
		name: "claim() - at most `limitPerTarget` of each target",
		async check({ store }) {
			await addTo(store, "a", 5);
			await addTo(store, "b", 1);
			await addTo(store, "c", 5);
			assert.deepEqual(countTargets(await claim(store, { limitPerTarget: 2 })), { a: 2, b: 1, c: 2 });
			assert.deepEqual(countTargets(await claim(store, { limitPerTarget: 2 })), { a: 2, c: 2 });
		},
	},
	{
		name: "claim() - `capacity` stands in for `limitPerTarget` where it names a target, and 0 passes it over",
		async check({ store }) {
			for (const target of ["a", "b", "c"]) await addTo(store, target, 5);
			const capacity = new Map(Object.entries({ a: 0, b: 4, unknown: 3 }));
			assert.deepEqual(countTargets(await claim(store, { limitPerTarget: 2, capacity })), { b: 4, c: 2 });
			assert.deepEqual(countTargets(await claim(store)), { a: 5, b: 1, c: 3 });
		},
	},
	{
		name: "claim() - targets in turn: a long backlog does not hold up a short one",
		async check({ store }) {
			await addTo(store, "a", 50);
			await addTo(store, "b", 2);
			await addTo(store, "c", 1);
			assert.deepEqual(countTargets(await claim(store, { limit: 3 })), { a: 1, b: 1, c: 1 });
			assert.deepEqual(countTargets(await claim(store, { limit: 4 })), { a: 3, b: 1 });
		},
	},
	{
		name: "claim() - takes from the groups it names and from no other",
		async check({ store }) {
			for (const group of ["g", "h", "i"]) await add(store, [group], delivery({ group }));
			assert.deepEqual(eventIds(await claim(store, { groups: [] })), []);
			assert.deepEqual(eventIds(await claim(store, { groups: ["unknown"] })), []);
			const claims = await claim(store, { groups: ["g", "i"] });
			assert.deepEqual(claims.map(({ group, event }) => `${group} ${event.id}`).sort(), ["g g", "i i"]);
			await expectClaims(store, ["h"], { groups: ["h"] });
		},
	},
	{
		name: "claim() - never gives one delivery to two claimers at once",
		async check({ store }) {
			for (const target of ["a", "b", "c"]) await addTo(store, target, 40);
			const claimed: string[] = [];
			const claimAll = async () => {
				for (let claims = await claim(store, { limit: 7 }); claims.length > 0; ) {
					claimed.push(...eventIds(claims));
					claims = await claim(store, { limit: 7 });
				}
			};
			await Promise.all(Array.from({ length: 8 }, claimAll));
			// A claimer that saw only rows another was claiming may have stopped early.
			await claimAll();
			assert.equal(claimed.length, 120);
			assert.equal(new Set(claimed).size, 120);
		},
	},
];
