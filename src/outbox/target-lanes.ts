import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import {
	createGate,
	createLanes,
	type LaneJob,
	type Lanes,
	type RateLimit,
	type SlowJobs,
} from "../lanes/index.ts";
import type { Claim } from "./ports.ts";
import type { TargetGroup } from "./target-group.ts";

/** The claims of one group that this process holds, in lanes by target. */
export interface TargetLanes {
	/** How many more claims the group may hold. */
	readonly places: number;
	readonly inFlight: number;
	push(claim: Claim): void;
	/** A claim that ran is settled or given back: its place is free. */
	letGo(claim: Claim): void;
	/** How many more claims each target may get that is busy or closed. */
	capacities(): Map<string, number>;
	tokens(): string[];
	/** Takes out the claims that have not started, of one target or of all; returns their tokens. */
	clear(target?: string): string[];
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
	rateLimit: RateLimit | undefined;
	concurrency: number;
	claims: number;
	/** Claims whose attempts have run for long. */
	slow: number;
	/** What takes no place of others: what is slow, and all its claims while it can run nothing else. */
	excused: number;
}

/** Twice what can run: the next delivery of a target is at hand while the settlement of the last is written. */
export const defaultClaimsPerSlot = 2;

/** How many slow attempts a group may have beside those that count, for each of its slots. */
const slowPerSlot = 16;

/** Thousands of limited targets must not make a claim for each of their starts. */
const shortestPaceMs = 10;

/** What target lanes ask of the relay. */
export interface TargetLanesHost {
	runClaim(claim: Claim): Promise<undefined>;
	/** A claim that may not start before so long is given back. */
	putOff(claim: Claim, delayMs: number): void;
	/** A target can use more claims. */
	onHungry(): void;
	/** What runs is given up. */
	onAbort(): void;
}

export function createTargetLanes(
	group: TargetGroup,
	clock: Clock,
	{ runClaim, putOff, onHungry, onAbort }: TargetLanesHost,
): TargetLanes {
	const { claimsPerSlot = defaultClaimsPerSlot, slowAfterMs } = group;
	// All targets of a group share its ceiling: a lane gives its slot up in turn when others wait.
	const gate = group.gate ?? createGate(group.concurrency);
	const targets = new Map<string, TargetLane>();
	const held = new Set<string>();
	const slowLimit = group.concurrency * slowPerSlot;
	let slow = 0;
	let excused = 0;
	let isAborted = false;
	let isStopped = false;
	let nextStartInMs = Number.POSITIVE_INFINITY;
	let paceTimer: unknown;
	let emptied: Deferred<void> | undefined;

	function laneOf(target: string): TargetLane {
		const known = targets.get(target);
		if (known !== undefined) return known;
		const concurrency = Math.max(1, group.concurrencyOf(target));
		const rateLimit = group.rateLimitOf?.(target);
		const lane: TargetLane = {
			...{
				concurrency,
				rateLimit,
				claims: 0,
				slow: 0,
				excused: 0,
			},
			lanes: createLanes<ClaimJob>({
				...{ concurrency, gate, rateLimit, clock },
				slow: slowAfterMs === undefined ? undefined : countSlow(slowAfterMs, () => lane),
				run: ({ claim }) => runClaim(claim),
			}),
		};
		targets.set(target, lane);
		return lane;
	}

	function countSlow(afterMs: number, laneOf: () => TargetLane): SlowJobs {
		return {
			afterMs,
			begin() {
				if (slow >= slowLimit) return false;
				slow++;
				laneOf().slow++;
				excuse(laneOf());
				return true;
			},
			end() {
				slow--;
				laneOf().slow--;
				excuse(laneOf());
			},
		};
	}

	function excuse(lane: TargetLane): void {
		const before = lane.excused;
		lane.excused = lane.slow > 0 && lane.slow >= lane.concurrency ? lane.claims : lane.slow;
		excused += lane.excused - before;
		// Its places may be taken by others.
		if (lane.excused > before) onHungry();
	}

	function letGo({ token, target }: Claim): void {
		held.delete(token);
		if (held.size === 0) {
			emptied?.resolve();
			emptied = undefined;
		}
		const lane = targets.get(target);
		if (lane === undefined) return;
		lane.claims--;
		if (lane.excused > 0) excuse(lane);
		forgetUnused(target, lane);
		// A claim for every place would cost more than the places: half of those at hand may be used up first.
		if (lane.claims <= lane.concurrency * ((1 + claimsPerSlot) / 2)) onHungry();
	}

	/** Its pace must outlive its claims. */
	function forgetUnused(target: string, { claims, rateLimit, lanes }: TargetLane): void {
		if (claims > 0 || (rateLimit !== undefined && lanes.allowance.count < rateLimit.count)) return;
		targets.delete(target);
	}

	/** Takes over what has changed. */
	function adapt(target: string, lane: TargetLane, concurrency: number): void {
		if (concurrency > 0 && concurrency !== lane.concurrency) {
			lane.concurrency = concurrency;
			lane.lanes.setConcurrency(concurrency);
			excuse(lane);
		}
		const rateLimit = group.rateLimitOf?.(target);
		if (rateLimit?.count !== lane.rateLimit?.count || rateLimit?.perMs !== lane.rateLimit?.perMs) {
			lane.rateLimit = rateLimit;
			lane.lanes.setRateLimit(rateLimit);
		}
	}

	/** Whatever runs may take much longer than until a rate limit lets the next one start. */
	function watchPace(): void {
		clock.clearTimeout(paceTimer);
		if (isStopped || nextStartInMs === Number.POSITIVE_INFINITY) return;
		paceTimer = clock.setTimeout(onHungry, Math.max(nextStartInMs, shortestPaceMs));
	}

	/** How many more claims a target can use; what its rate limit does not let start would only take places. */
	function capacityOf(target: string, lane: TargetLane): number {
		const concurrency = group.concurrencyOf(target);
		adapt(target, lane, concurrency);
		const free = Math.max(0, concurrency * claimsPerSlot - lane.claims);
		if (lane.rateLimit === undefined || free === 0) return free;
		const { count, inMs } = lane.lanes.allowance;
		const allowed = Math.max(0, count - lane.lanes.size);
		if (allowed === 0) nextStartInMs = Math.min(nextStartInMs, inMs);
		return Math.min(free, allowed);
	}

	return {
		get places() {
			return group.concurrency * claimsPerSlot - (held.size - excused);
		},
		get inFlight() {
			return held.size;
		},
		get isAborted() {
			return isAborted;
		},
		push(claim) {
			const lane = laneOf(claim.target);
			const { count, inMs } = lane.lanes.allowance;
			// The first claim of a target asks for more than its rate limit may let start.
			if (count <= lane.lanes.size) return putOff(claim, Math.max(inMs, 1));
			lane.claims++;
			if (lane.excused > 0) excuse(lane);
			held.add(claim.token);
			lane.lanes.push({ claim, lane: undefined });
		},
		letGo,
		capacities() {
			const capacity = new Map<string, number>();
			for (const target of group.targets ?? []) {
				capacity.set(target, group.concurrencyOf(target) * claimsPerSlot);
			}
			for (const target of group.closedTargets?.() ?? []) capacity.set(target, 0);
			nextStartInMs = Number.POSITIVE_INFINITY;
			for (const [target, lane] of targets) {
				capacity.set(target, capacityOf(target, lane));
				forgetUnused(target, lane);
			}
			watchPace();
			return capacity;
		},
		tokens: () => [...held],
		clear(target) {
			const lanes = target === undefined ? [...targets.values()] : [targets.get(target)];
			const claims = lanes.flatMap((lane) => lane?.lanes.clear().map(({ claim }) => claim) ?? []);
			for (const claim of claims) letGo(claim);
			return claims.map(({ token }) => token);
		},
		async stop(timeoutMs) {
			isStopped = true;
			clock.clearTimeout(paceTimer);
			if (held.size === 0) return;
			emptied ??= createDeferred();
			const ended = emptied.promise;
			let timer: unknown;
			const timeout = new Promise<"timeout">((resolve) => {
				timer = clock.setTimeout(() => resolve("timeout"), timeoutMs);
			});
			if ((await Promise.race([ended, timeout])) === "timeout") {
				const isFirst = !isAborted;
				isAborted = true;
				if (isFirst) {
					group.abort();
					onAbort();
				}
				await ended;
			}
			clock.clearTimeout(timer);
		},
	};
}
