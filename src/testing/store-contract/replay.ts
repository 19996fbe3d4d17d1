import assert from "node:assert/strict";
import {
	add,
	addOneInEachState,
	claim,
	claimOne,
	expectClaims,
	expectNoClaim,
	expectSettled,
	pastShortMs,
	queryOne,
	settle,
	shortMs,
	statesOf,
	waiting,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

export const replayChecks: readonly StoreCheck[] = [
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
		name: "replay() - what was cancelled before it was claimed is claimed once",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await store.cancel({});
			await store.replay({});
			assert.equal((await claimOne(store)).attempt, 1);
		},
	},
	{
		name: "replay() - what was cancelled before it was claimed comes last",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2", "evt_3"]);
			await store.cancel({ eventId: "evt_1" });
			await store.replay({ eventId: "evt_1" });
			await expectClaims(store, ["evt_2", "evt_3", "evt_1"]);
		},
	},
	{
		name: "replay() - what was cancelled before its retry was due is claimed once",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			await expectSettled(store, await claimOne(store), waiting(shortMs));
			await store.cancel({});
			await store.replay({});
			await advance(pastShortMs);
			assert.equal((await claimOne(store)).attempt, 1);
			await expectNoClaim(store, "it is in flight");
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
			const { cancelled, delivered } = (await statesOf(store)) ?? {};
			assert.deepEqual({ cancelled, delivered }, { cancelled: 5, delivered: 1 });
			await advance(pastShortMs);
			await expectNoClaim(store, "all is cancelled or final");
		},
	},
];
