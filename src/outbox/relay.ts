import { isCallhookError } from "../errors.ts";
import { createBatcher } from "../internal/batcher.ts";
import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { nextTurn } from "../internal/next-turn.ts";
import type {
	AttemptRecord,
	Claim,
	DeliveryInfo,
	OutboxSignals,
	OutboxStore,
	Settlement,
	SettleTo,
} from "./ports.ts";
import type { TargetGroup } from "./target-group.ts";
import { claimsPerSlot, createTargetLanes, type TargetLanes } from "./target-lanes.ts";

export interface RelayOptions {
	readonly store: OutboxStore;
	readonly clock: Clock;
	/** How long a claim is held; renewed at a third of it while the delivery runs. */
	readonly leaseMs: number;
	report(error: unknown, activity: string): void;
	send<Name extends keyof OutboxSignals>(name: Name, info: () => OutboxSignals[Name]): void;
}

/** Claims due deliveries, runs them in the lanes of their targets and settles them. */
export interface Relay {
	add(group: TargetGroup): void;
	/** Gives back what has not started, waits for what runs, at most so long; then aborts that and gives it back too. */
	remove(name: string, timeoutMs: number): Promise<void>;
	/** Looks for due deliveries soon. */
	wake(): void;
	/** Resolves once the store has nothing unfinished for the groups of this relay. */
	idle(): Promise<void>;
}

/** An attempt that has ended, on its way into the store. */
interface Ended {
	readonly claim: Claim;
	readonly lanes: TargetLanes;
	readonly to: SettleTo;
	readonly attempt: AttemptRecord | undefined;
}

const retryStoreAfterMs = 1_000;
// What a target with a concurrency of one can use. Others get the rest of their share in the next claim; more would
// let targets that hang take the places of all others.
const limitPerTarget = claimsPerSlot;

export function createRelay({ store, clock, leaseMs, report, send }: RelayOptions): Relay {
	const groups = new Map<string, { readonly group: TargetGroup; readonly lanes: TargetLanes }>();
	/** The lanes of removed groups whose last claims still run. */
	const ending = new Map<TargetLanes, string>();
	const settlements = createBatcher<Ended>(500, settle);
	let pumping: Promise<void> | undefined;
	let isWoken = false;
	/** The store has failed: it is left alone for a while, whatever wakes the relay. */
	let isResting = false;
	let stopListening: (() => void) | undefined;
	let dueTimer: unknown;
	let leaseTimer: unknown;
	let idle: Deferred<void> | undefined;

	function wake(): void {
		isWoken = true;
		if (pumping !== undefined || isResting || groups.size === 0) return;
		pumping = pump();
	}

	/** One at a time: claims until nothing is due or no place is free, then sleeps until the next due time. */
	async function pump(): Promise<void> {
		try {
			while (isWoken && groups.size > 0) {
				// Responses often arrive together: one claim for all the places they free.
				await nextTurn();
				isWoken = false;
				clock.clearTimeout(dueTimer);
				dueTimer = undefined;
				await claimOnce();
			}
		} catch (error) {
			report(error, "claim");
			if (isCallhookError(error, "ERR_CALLHOOK_CLOSED")) {
				// Final: nobody opens a store again.
				idle?.reject(error);
				idle = undefined;
			} else {
				isResting = groups.size > 0;
				sleep(retryStoreAfterMs);
			}
		}
		pumping = undefined;
	}

	async function claimOnce(): Promise<void> {
		for (const { group } of groups.values()) if (group.prepare !== undefined) await group.prepare();
		// A group that is full is not asked for: its deliveries must not take the places of the others.
		const open = [...groups.values()].filter(({ lanes }) => lanes.inFlight < lanes.limit);
		if (open.length === 0) return;
		const names = open.map(({ group }) => group.name);
		const limit = open.reduce((sum, { lanes }) => sum + lanes.limit - lanes.inFlight, 0);
		const request = { groups: names, limit, limitPerTarget, capacity: capacities(), leaseMs };
		const claims = await store.claim(request);
		for (const claim of claims) start(claim);
		await giveBack(claims.filter(({ group }) => !groups.has(group)).map(({ token }) => token));
		if (claims.length === limit) {
			isWoken = true;
			return;
		}
		const dueInMs = await store.nextDueInMs({ groups: names, capacity: capacities() });
		if (dueInMs === 0 && claims.length > 0) isWoken = true;
		else if (dueInMs !== undefined) sleep(dueInMs);
		else if (!isWoken && countInFlight() === 0) resolveIdle();
	}

	function sleep(ms: number): void {
		clock.clearTimeout(dueTimer);
		if (groups.size === 0) return;
		// A due time that passes while nothing is claimable belongs to another process: do not ask in a tight loop.
		dueTimer = clock.setTimeout(wakeRested, Math.max(ms, 1));
	}

	function wakeRested(): void {
		isResting = false;
		wake();
	}

	function capacities(): Map<string, number> {
		const capacity = new Map<string, number>();
		for (const { lanes } of groups.values()) lanes.addCapacities(capacity);
		return capacity;
	}

	function countInFlight(): number {
		let sum = 0;
		for (const { lanes } of groups.values()) sum += lanes.inFlight;
		return sum;
	}

	function start(claim: Claim): void {
		const lanes = groups.get(claim.group)?.lanes;
		// The group was removed while the store was asked.
		if (lanes === undefined) return;
		leaseTimer ??= clock.setTimeout(() => void extendLeases(), leaseMs / 3);
		lanes.push(claim);
	}

	/** Ends with the attempt: the next one need not wait until this one is written down. */
	async function runClaim(group: TargetGroup, lanes: TargetLanes, claim: Claim): Promise<undefined> {
		try {
			const { to, attempt } = await group.run(claim);
			if (!lanes.isAborted || to.state === "delivered") {
				void settlements.add({ claim, lanes, to, attempt });
				return;
			}
			await giveBack([claim.token]);
		} catch (error) {
			// The claim is left to its lease: it runs again, with its attempt counted.
			report(error, "deliver");
		}
		lanes.letGo(claim);
	}

	async function settle(batch: readonly Ended[]): Promise<void> {
		try {
			const results = await store.settle(
				batch.map(({ claim: { token }, to, attempt }): Settlement => ({ token, to, attempt })),
			);
			for (const [index, ended] of batch.entries()) announce(ended, results[index] === "lost");
		} catch (error) {
			// They are left to their leases as well.
			report(error, "settle");
		}
		for (const { lanes, claim } of batch) lanes.letGo(claim);
	}

	function announce({ claim, to, attempt }: Ended, isLost: boolean): void {
		if (isLost) return send("delivery:lost", () => describeDelivery(claim));
		if (attempt === undefined) return;
		if (to.state === "delivered") {
			return send("delivery:delivered", () => ({ ...describeDelivery(claim), attempt }));
		}
		const retryInMs = to.state === "waiting" ? to.retryInMs : undefined;
		send("attempt:failed", () => ({ ...describeDelivery(claim), attempt, retryInMs }));
		if (to.state === "dead") send("delivery:dead", () => ({ ...describeDelivery(claim), attempt }));
	}

	async function extendLeases(): Promise<void> {
		leaseTimer = undefined;
		const held = [...[...groups.values()].map(({ lanes }) => lanes), ...ending.keys()];
		const tokens = held.flatMap((lanes) => lanes.tokens());
		if (tokens.length === 0) return;
		leaseTimer = clock.setTimeout(() => void extendLeases(), leaseMs / 3);
		try {
			await store.extend(tokens, leaseMs);
		} catch (error) {
			report(error, "extend");
		}
	}

	async function giveBack(tokens: readonly string[]): Promise<void> {
		if (tokens.length === 0) return;
		try {
			await store.release(tokens);
		} catch (error) {
			report(error, "release");
		}
	}

	function resolveIdle(): void {
		idle?.resolve();
		idle = undefined;
	}

	return {
		add(group) {
			const lanes = createTargetLanes(group, clock, (claim) => runClaim(group, lanes, claim), wake);
			groups.set(group.name, { group, lanes });
			stopListening ??= store.onWake(wake);
			wake();
		},
		async remove(name, timeoutMs) {
			const lanes = groups.get(name)?.lanes;
			// It is ending already: somebody has less time than who asked first.
			if (lanes === undefined) {
				const same = [...ending].filter(([, endingName]) => endingName === name);
				await Promise.all(same.map(([endingLanes]) => endingLanes.stop(timeoutMs)));
				return;
			}
			groups.delete(name);
			ending.set(lanes, name);
			if (groups.size > 0) {
				wake();
			} else {
				stopListening?.();
				stopListening = undefined;
				clock.clearTimeout(dueTimer);
				dueTimer = undefined;
				isResting = false;
				resolveIdle();
			}
			// A claim under way may still bring deliveries to give back.
			await Promise.all([giveBack(lanes.clear()), lanes.stop(timeoutMs), pumping]);
			ending.delete(lanes);
			if (groups.size === 0 && ending.size === 0) {
				clock.clearTimeout(leaseTimer);
				leaseTimer = undefined;
			}
		},
		wake,
		idle() {
			if (groups.size === 0) return Promise.resolve();
			idle ??= createDeferred();
			wake();
			return idle.promise;
		},
	};
}

function describeDelivery({ deliveryId, event, group, target, attempt }: Claim): DeliveryInfo {
	return { deliveryId, eventId: event.id, type: event.type, group, target, attempts: attempt };
}
