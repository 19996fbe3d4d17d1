import assert from "node:assert/strict";
import type { TargetStats } from "../../outbox/ports.ts";
import { add, addOneInEachState, delivery } from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

const none = { pending: 0, in_flight: 0, waiting: 0, delivered: 0, dead: 0, cancelled: 0 };

/** What stats() tells of the targets that have deliveries, in the order of their names. */
async function countsOf({ store }: StoreHarness): Promise<TargetStats[]> {
	const nameOf = ({ group, target }: TargetStats) => `${group} ${target}`;
	const { targets } = await store.stats();
	return targets
		.filter(({ states }) => Object.values(states).some((count) => count > 0))
		.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export const statsChecks: readonly StoreCheck[] = [
	{
		name: "stats() - counts deliveries by target and state",
		async check(harness) {
			const { store } = harness;
			assert.deepEqual(await countsOf(harness), []);
			await addOneInEachState(store);
			await add(store, ["evt_1", "evt_2"], delivery({ group: "h" }), delivery());
			await add(store, ["evt_3"], delivery({ target: "b" }));
			const one = { pending: 1, in_flight: 1, waiting: 1, delivered: 1, dead: 1, cancelled: 1 };
			assert.deepEqual(await countsOf(harness), [
				{ group: "g", target: "a", states: { ...one, pending: 3 } },
				{ group: "g", target: "b", states: { ...none, pending: 1 } },
				{ group: "h", target: "a", states: { ...none, pending: 2 } },
			]);
		},
	},
	{
		name: "stats() - counts no delivery that was pruned",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2"], delivery(), delivery({ target: "b" }));
			await store.cancel({ target: "b" });
			await store.cancel({ eventId: "evt_1" });
			await store.prune({ limit: 100 });
			assert.deepEqual(await countsOf(harness), [
				{ group: "g", target: "a", states: { ...none, pending: 1 } },
			]);
		},
	},
];
