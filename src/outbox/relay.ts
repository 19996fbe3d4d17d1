import { isCallhookError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { createLeases } from "./leases.ts";
import type { Claim, GroupRequest, GroupRequests, OutboxStore } from "./ports.ts";
import { createQuarantine } from "./quarantine.ts";
import { createSettler, type Ended, giveUp } from "./settler.ts";
import type { DeliveryInfo, OutboxSignals } from "./signals.ts";
import { namesOf, type TargetGroup } from "./target-group.ts";
import { createTargetLanes, defaultClaimsPerSlot, type TargetLanes } from "./target-lanes.ts";
import { storeGraceMs, waitForStore } from "./wait-for-store.ts";

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
	add(group: TargetGroup): RelayedGroup;
	/** Looks for due deliveries soon. */
	wake(): void;
}

/** A group that a relay runs, until it is removed. */
export interface RelayedGroup {
	/**
	 * Gives back what has not started, waits for what runs, at most so long; then aborts that and gives it back too.
	 * Called again, the shortest time counts.
	 */
	remove(timeoutMs: number): Promise<void>;
	/** Starts no more deliveries and gives back those that have not started. */
	pause(): void;
	resume(): void;
	/** Gives back the deliveries of one target, or of all, that have not started. */
	recall(target?: string): void;
	/** Claims that are not settled. */
	inFlight(): number;
	/** Resolves once the store has nothing unfinished for the group. */
	idle(): Promise<void>;
}

interface Entry {
	readonly group: TargetGroup;
	readonly lanes: TargetLanes;
	/** It has ended, or nobody waits for that any more. */
	readonly gone: Deferred<void>;
	isPaused: boolean;
	idle: Deferred<void> | undefined;
}

const retryStoreAfterMs = 1_000;
const longestVainRestMs = 1_000;
// What takes longer to kill its process is rare, and handlers may run for hours.
const longestAloneMs = 5_000;
const longestTimerMs = 2_147_483_647;
// What a target with a concurrency of one can use. Others get the rest of their share in the next claim; more would
// let targets that hang take the places of all others.
const limitPerTarget = defaultClaimsPerSlot;

export function createRelay({ store, clock, leaseMs, report, send }: RelayOptions): Relay {
	const entries = new Set<Entry>();
	/** The lanes of removed groups whose last claims still run. */
	const ending = new Set<TargetLanes>();
	const quarantine = createQuarantine(clock, Math.min(leaseMs, longestAloneMs), { start, onEnd: wake });
	const leases = createLeases({ store, clock, leaseMs, report, tokens: heldTokens });
	const settler = createSettler({ store, clock, report, onSettled });
	let pumping: Promise<void> | undefined;
	let isWoken = false;
	/** How often in a row something was due and nothing could be claimed. */
	let vainClaims = 0;
	/** The store has failed: it is left alone for a while, whatever wakes the relay. */
	let isResting = false;
	let stopListening: (() => void) | undefined;
	let dueTimer: unknown;

	function wake(): void {
		isWoken = true;
		if (pumping !== undefined || isResting || entries.size === 0) return;
		pumping = pump();
	}

	/** One at a time: claims until nothing is due or no place is free, then sleeps until the next due time. */
	async function pump(): Promise<void> {
		try {
			while (isWoken && entries.size > 0) {
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
				for (const entry of entries) endIdle(entry, error);
			} else {
				isResting = entries.size > 0;
				sleep(retryStoreAfterMs);
			}
		}
		pumping = undefined;
	}

	async function claimOnce(): Promise<void> {
		for (const { group } of entries) if (group.prepare !== undefined) await group.prepare();
		lookAtQuarantine();
		// A group that is full is not asked for: its deliveries must not take the places of the others.
		const open = [...entries].filter(
			(entry) => !entry.isPaused && entry.lanes.places > 0 && !(entry.group.isIsolated && quarantine.isOn),
		);
		if (open.length > 0 && (await claimFor(open))) return;
		for (const entry of entries) await lookForIdle(entry);
	}

	/** Answers whether there may be more at once. */
	async function claimFor(open: readonly Entry[]): Promise<boolean> {
		const requests = requestsOf(open);
		const claims = await store.claim(requests, leaseMs);
		const places = new Map(open.map((entry) => [entry, entry.lanes.places]));
		const refused = new Set(claims.filter((claim) => !mayStart(claim, places)));
		const isolated = claims.filter((claim) => !refused.has(claim) && entryOf(claim)?.group.isIsolated);
		for (const claim of quarantine.admit(isolated)) refused.add(claim);
		for (const claim of claims) if (!refused.has(claim) && claim !== quarantine.waiting) start(claim);
		if (claims.length > 0) leases.renew();
		await giveBack([...refused].map(({ token }) => token));
		lookAtQuarantine();
		const limit = [...requests.values()].reduce((sum, request) => sum + request.limit, 0);
		if (claims.length > 0) vainClaims = 0;
		if (claims.length < limit) {
			const dueInMs = await store.nextDueInMs(requestsOf(open));
			if (dueInMs === undefined) return false;
			if (dueInMs > 0 || claims.length === 0) {
				// What is due and cannot be claimed is being claimed by another process, or locked.
				sleep(dueInMs > 0 ? dueInMs : Math.min(2 ** vainClaims++, longestVainRestMs));
				return false;
			}
		}
		isWoken = true;
		return true;
	}

	/** What may be claimed of several groups, under all of their names. */
	function requestsOf(open: readonly Entry[]): GroupRequests {
		return new Map(
			open.flatMap((entry) => {
				const { group, lanes } = entry;
				const limit = group.isIsolated && quarantine.isCareful ? 1 : lanes.places;
				const request: GroupRequest = { limit, limitPerTarget, capacity: lanes.capacities() };
				return namesOf(group).map((name) => [name, request] as const);
			}),
		);
	}

	function lookAtQuarantine(): void {
		if (!quarantine.isOn) return;
		const isolated = [...entries].filter(({ group }) => group.isIsolated);
		quarantine.look(isolated.reduce((sum, { lanes }) => sum + lanes.inFlight, 0));
	}

	/** Tells those who wait for a group that has nothing left. */
	async function lookForIdle(entry: Entry): Promise<void> {
		if (entry.idle === undefined || isWoken || entry.lanes.inFlight > 0) return;
		// What waits for a target that is closed for now is not done.
		const request: GroupRequest = { limit: 1, limitPerTarget: 1, capacity: new Map() };
		const requests = new Map(namesOf(entry.group).map((name) => [name, request]));
		if ((await store.nextDueInMs(requests)) === undefined && !isWoken) endIdle(entry, undefined);
	}

	function endIdle(entry: Entry, error: unknown): void {
		if (error === undefined) entry.idle?.resolve();
		else entry.idle?.reject(error);
		entry.idle = undefined;
	}

	function sleep(ms: number): void {
		clock.clearTimeout(dueTimer);
		if (entries.size === 0) return;
		dueTimer = clock.setTimeout(wakeRested, Math.max(ms, 1));
	}

	function wakeRested(): void {
		isResting = false;
		wake();
	}

	function entryOf({ group }: Claim): Entry | undefined {
		return [...entries].find((entry) => namesOf(entry.group).includes(group));
	}

	/** The group may have been removed or paused while the store was asked, or have got too many, under several names. */
	function mayStart(claim: Claim, places: Map<Entry, number>): boolean {
		const entry = entryOf(claim);
		const left = (entry && places.get(entry)) ?? 0;
		if (entry === undefined || entry.isPaused || left === 0) return false;
		places.set(entry, left - 1);
		return true;
	}

	function start(claim: Claim): void {
		entryOf(claim)?.lanes.push(claim);
	}

	/** Of one group. */
	function dropFromQuarantine(entry: Entry): string[] {
		const { waiting } = quarantine;
		if (waiting === undefined || entryOf(waiting) !== entry) return [];
		quarantine.drop();
		return [waiting.token];
	}

	/** Ends with the attempt: the next one need not wait until this one is written down. */
	async function runClaim(group: TargetGroup, lanes: TargetLanes, claim: Claim): Promise<undefined> {
		try {
			if (claim.damage !== undefined) report(claim.damage, "claim");
			const end = claim.damage === undefined ? await group.run(claim) : giveUp(claim, claim.damage, clock);
			if (end !== undefined && "to" in end && (!lanes.isAborted || end.to.state === "delivered")) {
				settler.add({ claim, lanes, to: end.to, attempt: end.attempt });
				return;
			}
			await giveBack([claim.token], end !== undefined && "giveBackMs" in end ? end.giveBackMs : 0);
		} catch (error) {
			// The claim is left to its lease: it runs again, with its attempt counted.
			report(error, "deliver");
		}
		lanes.letGo(claim);
	}

	function onSettled({ claim, lanes, to, attempt }: Ended, isLost: boolean): void {
		lanes.letGo(claim);
		if (isLost) return send("delivery:lost", () => describeDelivery(claim));
		if (attempt !== undefined) {
			if (to.state === "delivered") {
				return send("delivery:delivered", () => ({ ...describeDelivery(claim), attempt }));
			}
			const retryInMs = to.state === "waiting" ? to.retryInMs : undefined;
			send("attempt:failed", () => ({ ...describeDelivery(claim), attempt, retryInMs }));
			if (to.state === "dead") send("delivery:dead", () => ({ ...describeDelivery(claim), attempt }));
		}
		if (to.state === "cancelled") send("delivery:cancelled", () => describeDelivery(claim));
	}

	function heldTokens(): string[] {
		const held = [...[...entries].map(({ lanes }) => lanes), ...ending];
		const tokens = held.flatMap((lanes) => lanes.tokens());
		return quarantine.waiting === undefined ? tokens : [...tokens, quarantine.waiting.token];
	}

	async function giveBack(tokens: readonly string[], delayMs = 0): Promise<void> {
		if (tokens.length === 0) return;
		try {
			await store.release(tokens, delayMs);
		} catch (error) {
			report(error, "release");
		}
	}

	async function remove(entry: Entry, timeoutMs: number): Promise<void> {
		const { lanes, gone } = entry;
		if (entries.has(entry)) takeOut(entry, timeoutMs);
		// It is ending already: somebody has less time than who asked first.
		else if (ending.has(lanes)) void lanes.stop(timeoutMs);
		else return;
		await waitForStore(gone.promise, Math.min(timeoutMs + storeGraceMs, longestTimerMs), { clock, report });
		gone.resolve();
		ending.delete(lanes);
		if (entries.size === 0 && ending.size === 0) leases.stop();
	}

	function takeOut(entry: Entry, timeoutMs: number): void {
		const { lanes, gone } = entry;
		const dropped = dropFromQuarantine(entry);
		entries.delete(entry);
		ending.add(lanes);
		endIdle(entry, undefined);
		if (entries.size > 0) {
			wake();
		} else {
			stopListening?.();
			stopListening = undefined;
			clock.clearTimeout(dueTimer);
			dueTimer = undefined;
			isResting = false;
		}
		// A claim under way may still bring deliveries to give back.
		const given = giveBack([...dropped, ...lanes.clear()]);
		void Promise.all([given, lanes.stop(timeoutMs), pumping]).then(() => gone.resolve());
	}

	return {
		wake,
		add(group) {
			const lanes = createTargetLanes(group, clock, {
				runClaim: (claim) => runClaim(group, lanes, claim),
				putOff: ({ token }, delayMs) => void giveBack([token], delayMs),
				onHungry: wake,
				onAbort: settler.look,
			});
			const entry: Entry = { group, lanes, gone: createDeferred(), isPaused: false, idle: undefined };
			entries.add(entry);
			stopListening ??= store.onWake(wake);
			wake();
			return {
				remove: (timeoutMs) => remove(entry, timeoutMs),
				pause() {
					entry.isPaused = true;
					void giveBack([...dropFromQuarantine(entry), ...lanes.clear()]);
				},
				resume() {
					entry.isPaused = false;
					wake();
				},
				recall: (target) => void giveBack(lanes.clear(target)),
				inFlight: () => lanes.inFlight,
				idle() {
					if (!entries.has(entry)) return Promise.resolve();
					entry.idle ??= createDeferred();
					wake();
					return entry.idle.promise;
				},
			};
		},
	};
}

function describeDelivery({ deliveryId, event, group, target, attempt }: Claim): DeliveryInfo {
	return { deliveryId, eventId: event.id, type: event.type, group, target, attempts: attempt };
}
