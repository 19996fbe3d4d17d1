// What tests ask of a store is what the contract suite asks of it.
export { claim, requestsFor } from "../../src/testing/store-contract/fixtures.ts";

import type { DeliveryState, OutboxStore } from "../../src/outbox/ports.ts";

/** How many deliveries of each group are in which state; states without any are left out. */
export async function countStates(
	store: OutboxStore,
): Promise<Record<string, Partial<Record<DeliveryState, number>>>> {
	const groups: Record<string, Partial<Record<DeliveryState, number>>> = {};
	for (const { group, states } of (await store.stats()).targets) {
		groups[group] ??= {};
		const sums = groups[group];
		for (const [state, count] of Object.entries(states) as [DeliveryState, number][]) {
			if (count > 0) sums[state] = (sums[state] ?? 0) + count;
		}
	}
	return groups;
}
