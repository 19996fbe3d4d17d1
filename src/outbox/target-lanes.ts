import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { createGate, createLanes, type LaneJob, type Lanes } from "../lanes/index.ts";
import type { Claim } from "./ports.ts";
import type { TargetGroup } from "./target-group.ts";

/** The claims of one group that this process holds, in lanes by target. */
export interface TargetLanes {
	/** How many claims the group may hold at once. */
	readonly limit: number;
	readonly inFlight: number;
	push(claim: Claim): void;
	/** A claim that ran is settled or given back: its place is free. */
	letGo(claim: Claim): void;
	/** Adds how many more claims each busy target may get. */
	addCapacities(capacity: Map<string, number>): void;
	tokens(): string[];
	/** Takes out the claims that have not started; returns their tokens. */
	clear(): string[];
	/** Whether waiting has ended and with it the attempts that ran. */
	readonly isAborted: boolean;
	/** Waits for what runs, at most so long, then aborts it. Called again, the shortest time counts. */
	stop(timeoutMs: number): Promise<void>;
}

interface ClaimJob extends LaneJob {
	readonly claim: Claim;
}

interface TargetLane {
	readonly lanes: Lanes<ClaimJob>;
	readonly concurrency: number;
	claims: number;
}

/** Twice what can run: the next delivery of a target is at hand while the settlement of the last is written. */
export const claimsPerSlot = 2;

export function createTargetLanes(
	group: TargetGroup,
	clock: Clock,
	runClaim: (claim: Claim) => Promise<undefined>,
	onHungry: () => void,
): TargetLanes {
	// All targets of a group share its ceiling: a lane gives its slot up in turn when others wait.
	const gate = createGate(group.concurrency);
	const targets = new Map<string, TargetLane>();
	const held = new Set<string>();
	let isAborted = false;
	let emptied: Deferred<void> | undefined;

	function laneOf(target: string): TargetLane {
		const known = targets.get(target);
		if (known !== undefined) return known;
		const concurrency = group.concurrencyOf(target);
		const lane: TargetLane = {
			concurrency,
			claims: 0,
			lanes: createLanes<ClaimJob>({ concurrency, gate, clock, run: ({ claim }) => runClaim(claim) }),
		};
		targets.set(target, lane);
		return lane;
	}

	function letGo({ token, target }: Claim): void {
		held.delete(token);
		if (held.size === 0) {
			emptied?.resolve();
			emptied = undefined;
		}
		const lane = targets.get(target);
		if (lane === undefined) return;
		if (--lane.claims === 0) targets.delete(target);
		// A claim for every place would cost more than the places: half of those at hand may be used up first.
		if (lane.claims <= lane.concurrency * ((1 + claimsPerSlot) / 2)) onHungry();
	}

	return {
		limit: group.concurrency * claimsPerSlot,
		get inFlight() {
			return held.size;
		},
		get isAborted() {
			return isAborted;
		},
		push(claim) {
			const lane = laneOf(claim.target);
			lane.claims++;
			held.add(claim.token);
			lane.lanes.push({ claim, lane: undefined });
		},
		letGo,
		addCapacities(capacity) {
			for (const [target, { concurrency, claims }] of targets) {
				capacity.set(target, Math.max(0, concurrency * claimsPerSlot - claims));
			}
		},
		tokens: () => [...held],
		clear() {
			const claims = [...targets.values()].flatMap(({ lanes }) => lanes.clear().map(({ claim }) => claim));
			for (const claim of claims) letGo(claim);
			return claims.map(({ token }) => token);
		},
		async stop(timeoutMs) {
			if (held.size === 0) return;
			emptied ??= createDeferred();
			const ended = emptied.promise;
			let timer: unknown;
			const timeout = new Promise<"timeout">((resolve) => {
				timer = clock.setTimeout(() => resolve("timeout"), timeoutMs);
			});
			if ((await Promise.race([ended, timeout])) === "timeout") {
				if (!isAborted) group.abort();
				isAborted = true;
				await ended;
			}
			clock.clearTimeout(timer);
		},
	};
}
