import assert from "node:assert/strict";
import type { Claim, GroupRequests } from "../../outbox/ports.ts";
import {
	add,
	type ClaimRequest,
	claim,
	claimOne,
	delivery,
	eventIds,
	expectClaims,
	expectNoClaim,
	longMs,
	query,
	queryOne,
	requestsFor,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

type Store = StoreHarness["store"];

/** Events with one delivery each: `addTo(store, "a", 2)` makes `a1` and `a2`, due for the target `a`. */
async function addTo(store: Store, target: string, count: number): Promise<void> {
	const ids = Array.from({ length: count }, (_, index) => `${target}${index + 1}`);
	await add(store, ids, delivery({ target }));
}

/** What to claim of two groups, each with limits of its own. */
function requestsOfTwo(g: ClaimRequest, h: ClaimRequest): GroupRequests {
	return new Map([...requestsFor({ ...g, groups: ["g"] }), ...requestsFor({ ...h, groups: ["h"] })]);
}

/** How many claims each target of each group got. */
function countByGroup(claims: readonly Claim[]): Record<string, Record<string, number>> {
	const inGroup = (name: string) => countTargets(claims.filter(({ group }) => group === name));
	return { g: inGroup("g"), h: inGroup("h") };
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
		name: "claim() - each group has its own limit, and a full one takes nothing from another",
		async check({ store }) {
			const ids = Array.from({ length: 30 }, (_, index) => `evt_${index}`);
			await add(store, ids, delivery());
			await add(store, ["h1", "h2", "h3", "h4"], delivery({ group: "h" }));
			const first = await store.claim(requestsOfTwo({ limit: 2 }, { limit: 3 }), longMs);
			assert.deepEqual(countByGroup(first), { g: { a: 2 }, h: { a: 3 } });
			const second = await store.claim(requestsOfTwo({ limit: 3 }, { limit: 100 }), longMs);
			assert.deepEqual(countByGroup(second), { g: { a: 3 }, h: { a: 1 } });
			const third = await store.claim(requestsOfTwo({ limit: 100 }, { limit: 100 }), longMs);
			assert.deepEqual(countByGroup(third), { g: { a: 25 }, h: {} });
		},
	},
	{
		name: "claim() - each group has its own `limitPerTarget`",
		async check({ store }) {
			for (const target of ["a", "b"]) {
				const ids = Array.from({ length: 5 }, (_, index) => `${target}${index}`);
				await add(store, ids, delivery({ target }), delivery({ group: "h", target }));
			}
			const requests = requestsOfTwo({ limitPerTarget: 1 }, { limitPerTarget: 3 });
			assert.deepEqual(countByGroup(await store.claim(requests, longMs)), {
				...{ g: { a: 1, b: 1 }, h: { a: 3, b: 3 } },
			});
		},
	},
	{
		name: "claim() - the capacity of a target is one of its own group",
		async check({ store }) {
			const ids = ["evt_1", "evt_2", "evt_3"];
			await add(store, ids, delivery(), delivery({ group: "h" }));
			const capacity = (count: number) => new Map([["a", count]]);
			const first = await store.claim(
				requestsOfTwo({ capacity: capacity(0) }, { capacity: capacity(2) }),
				longMs,
			);
			assert.deepEqual(countByGroup(first), { g: {}, h: { a: 2 } });
			const second = await store.claim(requestsOfTwo({ capacity: capacity(1) }, {}), longMs);
			assert.deepEqual(countByGroup(second), { g: { a: 1 }, h: { a: 1 } });
		},
	},
	{
		name: "claim() - gives every delivery to its own claim, however often it was to be claimed before",
		async check({ store }) {
			await addTo(store, "a", 4);
			await store.cancel({});
			await store.replay({});
			await store.release((await claim(store, { limit: 2 })).map(({ token }) => token));
			const claims = await claim(store);
			assert.equal(new Set(claims.map(({ deliveryId }) => deliveryId)).size, 4);
			assert.equal(claims.length, 4);
			assert.equal(new Set(claims.map(({ token }) => token)).size, 4);
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
	{
		name: "claim() - while events are appended gives each once, and none is lost",
		async check({ store }) {
			const claimed: string[] = [];
			let isAppending = true;
			const append = async () => {
				for (let round = 0; round < 25; round++) {
					await Promise.all(
						["a", "b"].map((target) => add(store, [`${target}_${round}`], delivery({ target }))),
					);
				}
				isAppending = false;
			};
			const claimAll = async () => {
				while (isAppending) claimed.push(...eventIds(await claim(store, { limit: 3 })));
			};
			await Promise.all([append(), claimAll(), claimAll()]);
			claimed.push(...eventIds(await claim(store)));
			assert.equal(claimed.length, 50);
			assert.equal(new Set(claimed).size, 50);
			assert.equal((await query(store, { state: "in_flight" })).length, 50);
		},
	},
];
