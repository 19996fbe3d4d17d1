import { appendChecks } from "./store-contract/append.ts";
import { claimChecks } from "./store-contract/claim.ts";
import { closingChecks } from "./store-contract/closing.ts";
import { endpointChecks } from "./store-contract/endpoints.ts";
import { eventChecks } from "./store-contract/events.ts";
import type { StoreCheck, StoreContractCase, StoreHarness } from "./store-contract/harness.ts";
import { historyChecks } from "./store-contract/history.ts";
import { leaseChecks } from "./store-contract/lease.ts";
import { orderChecks } from "./store-contract/order.ts";
import { pruneChecks } from "./store-contract/prune.ts";
import { receiptChecks } from "./store-contract/receipts.ts";
import { reopenChecks } from "./store-contract/reopen.ts";
import { replayChecks } from "./store-contract/replay.ts";
import { scheduleChecks } from "./store-contract/schedule.ts";
import { settleChecks } from "./store-contract/settle.ts";
import { sharingChecks } from "./store-contract/sharing.ts";
import { statsChecks } from "./store-contract/stats.ts";

const checks: readonly StoreCheck[] = [
	...appendChecks,
	...claimChecks,
	...leaseChecks,
	...settleChecks,
	...orderChecks,
	...scheduleChecks,
	...historyChecks,
	...eventChecks,
	...statsChecks,
	...replayChecks,
	...pruneChecks,
	...endpointChecks,
	...receiptChecks,
	...closingChecks,
	...reopenChecks,
	...sharingChecks,
];

/**
 * The suite every outbox store passes: what the outbox relies on, case by case. It belongs to no test framework; run
 * each case in a test of your own. A case makes its own store with `open`, so cases may run in any order and at once.
 *
 * @example
 * ```ts
 * import { storeContract } from "callhook/testing";
 * import { test } from "node:test";
 *
 * const open = async () => {
 *   const clock = fakeClock();
 *   return { store: memoryStore({ clock }), advance: clock.advance };
 * };
 * for (const { name, run } of storeContract(open)) test(name, run);
 * ```
 */
export function storeContract(open: () => Promise<StoreHarness>): readonly StoreContractCase[] {
	return checks.map(({ name, check }) => ({
		name,
		async run() {
			const harness = await open();
			try {
				await check(harness);
			} finally {
				await harness.store.close();
				await harness.dispose?.();
			}
		},
	}));
}
