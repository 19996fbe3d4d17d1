import fc from "fast-check";
import { test } from "vitest";
import { type ModelHarness, type RealStore, storeCommands } from "./store-commands.ts";
import { StoreModel } from "./store-model.ts";

export interface ModelTestOptions {
	readonly numRuns: number;
	/**
	 * The smallest time that makes a difference. Default 1: the store's clock moves only with `advance`. Where it runs
	 * on by itself, much more than a run of 60 commands takes.
	 */
	readonly unitMs?: number;
	/** Whether the harness has `reopen`. Default false. */
	readonly canReopen?: boolean;
	readonly timeoutMs?: number;
}

/** Compares a store with the plainest of stores, through random sequences of everything that may be asked of it. */
export function modelTest(
	name: string,
	open: () => Promise<ModelHarness>,
	{ numRuns, unitMs = 1, canReopen = false, timeoutMs = 120_000 }: ModelTestOptions,
): void {
	// A failure is made small first, and its seed printed.
	test(
		`${name} - does what the plainest of stores would, whatever is asked of it in whatever order`,
		async () => {
			const property = fc.asyncProperty(storeCommands({ unitMs, canReopen }), async (commands) => {
				const harness = await open();
				const real: RealStore = { harness, store: harness.store };
				try {
					await fc.asyncModelRun(() => ({ model: new StoreModel(), real }), commands);
				} finally {
					await real.store.close();
					await harness.dispose?.();
				}
			});
			// While a failure is made small on a slow store, the time must not run out before it is told.
			const limits = { interruptAfterTimeLimit: 0.75 * timeoutMs, markInterruptAsFailure: true };
			await fc.assert(property, { numRuns, ...limits });
		},
		timeoutMs,
	);
}
