import { isCallhookError } from "../errors.ts";
import { createBatcher } from "../internal/batcher.ts";
import type { Clock } from "../internal/clock.ts";
import { isoTime } from "../internal/iso-time.ts";
import type { AttemptRecord, Claim, OutboxStore, Settlement, SettleTo } from "./ports.ts";
import type { TargetLanes } from "./target-lanes.ts";

/** An attempt that has ended, on its way into the store. */
export interface Ended {
	readonly claim: Claim;
	readonly lanes: TargetLanes;
	readonly to: SettleTo;
	readonly attempt: AttemptRecord | undefined;
}

/** Writes down how attempts ended; each keeps its place in its lanes until that is done. */
export interface Settler {
	add(ended: Ended): void;
	/** Attempts are given up somewhere: those of them that wait for the store need not. */
	look(): void;
}

export interface SettlerOptions {
	readonly store: OutboxStore;
	readonly clock: Clock;
	report(error: unknown, activity: string): void;
	/** It is written; with `isLost` it came too late. */
	onSettled(ended: Ended, isLost: boolean): void;
}

const firstRestMs = 1_000;
const longestRestMs = 10_000;

export function createSettler({ store, clock, report, onSettled }: SettlerOptions): Settler {
	const batcher = createBatcher<Ended>(500, (batch) => settle(batch, false));
	const endRests = new Set<() => void>();

	/**
	 * While the store fails, this goes on: a webhook that was sent and is not written down would be sent again. Nothing
	 * else is claimed meanwhile than what there are places for.
	 */
	async function settle(batch: readonly Ended[], isReported: boolean): Promise<void> {
		let left = batch;
		for (let restMs = firstRestMs; left.length > 0; restMs = Math.min(2 * restMs, longestRestMs)) {
			try {
				const results = await store.settle(
					left.map(({ claim: { token }, to, attempt }): Settlement => ({ token, to, attempt })),
				);
				for (const [index, ended] of left.entries()) onSettled(ended, results[index] === "lost");
				return;
			} catch (error) {
				if (restMs === firstRestMs && !isReported) report(error, "settle");
				// Final: nobody opens a store again.
				if (isCallhookError(error, "ERR_CALLHOOK_CLOSED")) break;
				// One of them may be what the store does not take: that must not hold up the others, or the next.
				if (left.length > 1 && !isCallhookError(error, "ERR_CALLHOOK_STORE_UNAVAILABLE")) {
					for (const ended of keep(left)) void settle([ended], true);
					return;
				}
			}
			left = keep(left);
			if (left.length > 0) await rest(restMs);
			left = keep(left);
		}
		for (const { lanes, claim } of left) lanes.letGo(claim);
	}

	/** Those whose group still waits for them; the others are left to their leases. */
	function keep(batch: readonly Ended[]): readonly Ended[] {
		return batch.filter(({ lanes, claim }) => {
			if (lanes.isAborted) lanes.letGo(claim);
			return !lanes.isAborted;
		});
	}

	async function rest(ms: number): Promise<void> {
		await new Promise<void>((resolve) => {
			const end = (): void => {
				clock.clearTimeout(timer);
				endRests.delete(end);
				resolve();
			};
			const timer = clock.setTimeout(end, ms);
			endRests.add(end);
		});
	}

	return {
		add: (ended) => void batcher.add(ended),
		look() {
			for (const end of endRests) end();
		},
	};
}

/** What is damaged is not delivered, but neither does it stop the rest. */
export function giveUp(
	{ attempt }: Claim,
	error: Error & { readonly code?: string },
	clock: Clock,
): Pick<Ended, "to" | "attempt"> {
	const { code, message } = error;
	const times = { startedAt: isoTime(clock.now()), durationMs: 0 };
	return {
		to: { state: "dead" },
		attempt: { number: attempt, ...times, outcome: "failed", errorCode: code, error: message },
	};
}
