import { createBatcher } from "../internal/batcher.ts";
import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import type { Claim, DeliveryInfo, OutboxSignals, OutboxStore, Settlement } from "./ports.ts";
import type { TargetGroup } from "./target-group.ts";
import { createTargetLanes, type TargetLanes } from "./target-lanes.ts";

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
	readonly inFlight: number;
}

const retryStoreAfterMs = 1_000;

export function createRelay({ store, clock, leaseMs, report, send }: RelayOptions): Relay {
	const groups = new Map<string, { readonly group: TargetGroup; readonly lanes: TargetLanes }>();
	const settlements = createBatcher<Settlement, "ok" | "lost">(500, (batch) => store.settle(batch));
	let isPumping = false;
	let isWoken = false;
	let stopListening: (() => void) | undefined;
	let dueTimer: unknown;
	let leaseTimer: unknown;
	let idle: Deferred<void> | undefined;

	function wake(): void {
		isWoken = true;
		if (isPumping || groups.size === 0) return;
		isPumping = true;
		void pump();
	}

	/** One at a time: claims until nothing is due or no place is free, then sleeps until the next due time. */
	async function pump(): Promise<void> {
		await Promise.resolve();
		clock.clearTimeout(dueTimer);
		dueTimer = undefined;
		try {
			while (isWoken && groups.size > 0) {
				isWoken = false;
				await claimOnce();
			}
		} catch (error) {
			report(error, "claim");
			sleep(retryStoreAfterMs);
		}
		isPumping = false;
		if (isWoken && dueTimer === undefined) wake();
	}

	async function claimOnce(): Promise<void> {
		const limit = sumLanes((lanes) => lanes.limit - lanes.inFlight);
		const request = { groups: [...groups.keys()], capacity: capacities() };
		if (limit <= 0) return;
		const claims = await store.claim({ ...request, limit, limitPerTarget: 8, leaseMs });
		for (const claim of claims) start(claim);
		if (claims.length === limit) {
			isWoken = true;
			return;
		}
		const dueInMs = await store.nextDueInMs({ groups: request.groups, capacity: capacities() });
		if (dueInMs === undefined) resolveIdle();
		else if (dueInMs === 0 && claims.length > 0) isWoken = true;
		else sleep(dueInMs);
	}

	function sleep(ms: number): void {
		clock.clearTimeout(dueTimer);
		// A due time that passes while nothing is claimable belongs to another process: do not ask in a tight loop.
		dueTimer = clock.setTimeout(wake, Math.max(ms, 1));
	}

	function capacities(): Map<string, number> {
		const capacity = new Map<string, number>();
		for (const { lanes } of groups.values()) lanes.addCapacities(capacity);
		return capacity;
	}

	function sumLanes(count: (lanes: TargetLanes) => number): number {
		let sum = 0;
		for (const { lanes } of groups.values()) sum += count(lanes);
		return sum;
	}

	function start(claim: Claim): void {
		const entry = groups.get(claim.group);
		// The group was removed while the store was asked.
		if (entry === undefined) return giveBack([claim.token]);
		leaseTimer ??= clock.setTimeout(() => void extendLeases(), leaseMs / 3);
		entry.lanes.push(claim);
	}

	async function runClaim(group: TargetGroup, lanes: TargetLanes, claim: Claim): Promise<void> {
		try {
			const result = await group.run(claim);
			if (lanes.isAborted && result.to.state !== "delivered") return giveBack([claim.token]);
			await settle(claim, result);
		} catch (error) {
			// The claim is left to its lease: it runs again, with its attempt counted.
			report(error, "deliver");
		}
	}

	async function settle(claim: Claim, { to, attempt }: Omit<Settlement, "token">): Promise<void> {
		const result = await settlements.add({ token: claim.token, to, attempt });
		const info = describeDelivery(claim);
		if (result === "lost") return send("delivery:lost", () => info);
		if (attempt === undefined) return;
		if (to.state === "delivered") return send("delivery:delivered", () => ({ ...info, attempt }));
		const retryInMs = to.state === "waiting" ? to.retryInMs : undefined;
		send("attempt:failed", () => ({ ...info, attempt, retryInMs }));
		if (to.state === "dead") send("delivery:dead", () => ({ ...info, attempt }));
	}

	async function extendLeases(): Promise<void> {
		leaseTimer = undefined;
		const tokens = [...groups.values()].flatMap(({ lanes }) => lanes.tokens());
		if (tokens.length === 0) return;
		leaseTimer = clock.setTimeout(() => void extendLeases(), leaseMs / 3);
		try {
			await store.extend(tokens, leaseMs);
		} catch (error) {
			report(error, "extend");
		}
	}

	function giveBack(tokens: readonly string[]): void {
		if (tokens.length > 0) store.release(tokens).catch((error: unknown) => report(error, "release"));
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
			if (lanes === undefined) return;
			groups.delete(name);
			if (groups.size === 0) {
				stopListening?.();
				stopListening = undefined;
				clock.clearTimeout(dueTimer);
				dueTimer = undefined;
				resolveIdle();
			}
			giveBack(lanes.clear());
			await lanes.stop(timeoutMs);
			if (groups.size === 0) {
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
		get inFlight() {
			return sumLanes((lanes) => lanes.inFlight);
		},
	};
}

function describeDelivery({ deliveryId, event, group, target, attempt }: Claim): DeliveryInfo {
	return { deliveryId, eventId: event.id, type: event.type, group, target, attempts: attempt };
}
