import assert from "node:assert/strict";
import type {
	AttemptRecord,
	Claim,
	DeliveryFilter,
	DeliveryState,
	GroupRequest,
	GroupRequests,
	NewDelivery,
	NewEvent,
	OutboxStore,
	SettleTo,
	StoredDelivery,
	StoredEvent,
} from "../../outbox/ports.ts";

/** A lease that does not end while a case runs, not even where a real clock decides. */
export const longMs = 60_000;
/** A lease or a delay that the case lets pass with {@link pastShortMs}. */
export const shortMs = 1_000;
export const pastShortMs = 1_100;
/** Less than a short time, with room for the time the case itself takes. */
export const withinShortMs = 500;

/** One delivery, to the target `a` of the group `g` unless it says otherwise. */
export function delivery(fields: Partial<NewDelivery> = {}): NewDelivery {
	return { group: "g", target: "a", ...fields };
}

export function event(id: string, fields: Partial<StoredEvent> = {}): StoredEvent {
	return {
		...{ id, type: "order.paid", time: "2026-01-02T03:04:05.678Z", source: "/shop" },
		...{ dataJson: `{"id":"${id}"}`, metadataJson: "{}" },
		...fields,
	};
}

export function newEvent(id: string, ...deliveries: readonly NewDelivery[]): NewEvent {
	return { event: event(id), deliveries };
}

/** Appends events in one batch, each with the same deliveries. */
export async function add(
	store: OutboxStore,
	ids: readonly string[],
	...deliveries: readonly NewDelivery[]
): Promise<void> {
	const given = deliveries.length === 0 ? [delivery()] : deliveries;
	const results = await store.append(ids.map((id) => newEvent(id, ...given)));
	assert.deepEqual(
		results,
		ids.map(() => "stored"),
		"append() should have stored new events",
	);
}

/** What to claim: everything of the group `g`, unless it says otherwise. */
export interface ClaimRequest extends Partial<GroupRequest> {
	readonly groups?: readonly string[];
	readonly leaseMs?: number;
}

/** The same request for each group. */
export function requestsFor({ groups = ["g"], ...request }: ClaimRequest = {}): GroupRequests {
	const all = { limit: 10_000, limitPerTarget: 10_000, capacity: new Map<string, number>() };
	return new Map(groups.map((group) => [group, { ...all, ...request }]));
}

/** Claims what is due in the group `g`, for long, as much as there is. */
export function claim(
	store: OutboxStore,
	{ leaseMs = longMs, ...request }: ClaimRequest = {},
): Promise<readonly Claim[]> {
	return store.claim(requestsFor(request), leaseMs);
}

export async function claimOne(store: OutboxStore, request: ClaimRequest = {}): Promise<Claim> {
	const claims = await claim(store, request);
	assert.equal(claims.length, 1, "exactly one delivery should have been claimable");
	return claims[0] as Claim;
}

export async function expectNoClaim(store: OutboxStore, why: string): Promise<void> {
	assert.deepEqual(eventIds(await claim(store)), [], `nothing should have been claimable: ${why}`);
}

export function eventIds(claims: readonly Claim[]): string[] {
	return claims.map((each) => each.event.id);
}

/** Claims, and compares the events that came with those that should have, in their order. */
export async function expectClaims(
	store: OutboxStore,
	expected: readonly string[],
	request: ClaimRequest = {},
): Promise<readonly Claim[]> {
	const claims = await claim(store, request);
	assert.deepEqual(eventIds(claims), expected, "claim() should give these events in this order");
	return claims;
}

export async function settle(
	store: OutboxStore,
	{ token }: Claim,
	to: SettleTo | "delivered" | "dead" | "cancelled",
	attempt?: AttemptRecord,
): Promise<"ok" | "lost"> {
	const results = await store.settle([{ token, to: typeof to === "string" ? { state: to } : to, attempt }]);
	assert.equal(results.length, 1, "settle() should answer once for each settlement");
	return results[0] as "ok" | "lost";
}

export async function expectSettled(...args: Parameters<typeof settle>): Promise<void> {
	assert.equal(await settle(...args), "ok", "the token is valid, so settle() should have answered ok");
}

export function waiting(retryInMs: number): SettleTo {
	return { state: "waiting", retryInMs };
}

export function attempt(number: number, fields: Partial<AttemptRecord> = {}): AttemptRecord {
	return { number, startedAt: "2026-01-02T03:04:06.000Z", durationMs: 12, outcome: "failed", ...fields };
}

/** All deliveries that a filter picks, newest first. */
export async function query(
	store: OutboxStore,
	filter: DeliveryFilter = {},
): Promise<readonly StoredDelivery[]> {
	return (await store.query(filter, { limit: 1_000 })).items;
}

export async function queryOne(store: OutboxStore, filter: DeliveryFilter): Promise<StoredDelivery> {
	const items = await query(store, filter);
	assert.equal(items.length, 1, `query(${JSON.stringify(filter)}) should give exactly one delivery`);
	return items[0] as StoredDelivery;
}

/** How many deliveries of a target of the group `g` are in each state. */
export async function statesOf(
	store: OutboxStore,
	target = "a",
): Promise<Readonly<Record<DeliveryState, number>> | undefined> {
	const { targets } = await store.stats();
	return targets.find((each) => each.group === "g" && each.target === target)?.states;
}

export async function queriedIds(store: OutboxStore, filter: DeliveryFilter = {}): Promise<string[]> {
	return (await query(store, filter)).map(({ eventId }) => eventId);
}

/** One delivery in each state: the events are named like the states. */
export async function addOneInEachState(store: OutboxStore): Promise<void> {
	const finals = ["delivered", "dead", "cancelled"] as const;
	await add(store, [...finals, "waiting"]);
	for (const claimed of await claim(store)) {
		const final = finals.find((state) => state === claimed.event.id);
		await expectSettled(store, claimed, final ?? waiting(longMs), attempt(1));
	}
	await add(store, ["in_flight"]);
	await claimOne(store);
	await add(store, ["pending"]);
}

/** The value without the fields that are `undefined`: a store may leave them out. */
export function plain<Value extends object>(value: Value): Partial<Value> {
	return Object.fromEntries(
		Object.entries(value).filter(([, field]) => field !== undefined),
	) as Partial<Value>;
}
