import fc from "fast-check";
import { expect } from "vitest";
import type {
	DeliveryFilter,
	GroupRequest,
	NewDelivery,
	OutboxStore,
	PruneRequest,
	Settlement,
	SettleTo,
	StoredDelivery,
} from "../../src/outbox/ports.ts";
import type { StoreHarness } from "../../src/testing/index.ts";
import { requestsFor } from "./claim-requests.ts";
import type { ModelRow, StoreModel } from "./store-model.ts";
import { eventFor } from "./target-group.ts";

export interface ModelHarness extends StoreHarness {
	/** What the store's clock says, in milliseconds since the Unix epoch. */
	now(): number;
}

/** The store under test; another one once it was opened again. */
export interface RealStore {
	readonly harness: ModelHarness;
	store: OutboxStore;
}

type Command = fc.AsyncCommand<StoreModel, RealStore>;

function command(text: string, run: Command["run"]): Command {
	return { check: () => true, run, toString: () => text };
}

const groups = ["g", "h"];
const group = fc.constantFrom(...groups);
const target = fc.constantFrom("a", "b");
const show = (value: unknown) => JSON.stringify(value, (_, each) => (each instanceof Map ? [...each] : each));

/** Stands for one of the tokens given out so far, the newest first: old ones are tried too. */
const tokenIndex = fc.nat({ max: 12 });

function tokenAt({ tokens }: StoreModel, index: number): string {
	return tokens.at(-1 - index) ?? "unknown";
}

/** Picks by fields, or one row by its place. */
const filter = fc.oneof(
	fc.record({ group, target }, { requiredKeys: [] }),
	fc.record({ rowIndex: fc.nat({ max: 20 }) }),
);

function filterFor({ rows }: StoreModel, given: DeliveryFilter & { rowIndex?: number }): DeliveryFilter {
	if (given.rowIndex === undefined) return given;
	return { ids: [rows[given.rowIndex % rows.length]?.id ?? "unknown"] };
}

const keyOf = (eventId: string) => `key of ${eventId}`;
let events = 0;

/** All that may be asked of a store. Every time is a multiple of `unitMs`, so that many fall on the same moment. */
function makeCommands(unitMs: number) {
	const times = (...units: readonly number[]) => fc.constantFrom(...units.map((count) => count * unitMs));
	const waitMs = times(0, 1, 7, 30);
	const leaseMs = times(10, 50);

	const delivery: fc.Arbitrary<NewDelivery> = fc.record({
		...{ group, target, delayMs: waitMs },
		orderKey: fc.constantFrom(undefined, "k", "l"),
	});

	const settleTo: fc.Arbitrary<SettleTo> = fc.oneof(
		fc.record({ state: fc.constantFrom("delivered" as const, "dead" as const, "cancelled" as const) }),
		fc.record({ state: fc.constant("waiting" as const), retryInMs: waitMs }),
		fc.record({ state: fc.constant("routed" as const), deliveries: fc.array(delivery, { maxLength: 3 }) }),
	);

	const append = fc.array(fc.array(delivery, { maxLength: 3 }), { minLength: 1, maxLength: 3 }).map((batch) =>
		command(`append(${show(batch)})`, async (model, { store }) => {
			const keyed = (id: string, ...to: readonly NewDelivery[]) => ({
				...eventFor(id, ...to),
				idempotencyKey: keyOf(id),
			});
			const [known] = model.events.keys();
			const [forgotten] = model.forgotten;
			const ids = batch.map((_, index) =>
				index === 0 && forgotten !== undefined ? forgotten : `evt_${++events}`,
			);
			const fresh = batch.map((each, index) => keyed(ids[index]!, ...each));
			const never = { group: "g", target: "never" };
			const again =
				known === undefined
					? []
					: [eventFor(known, never), { ...eventFor("never", never), idempotencyKey: keyOf(known) }];
			const results = await store.append([...fresh, ...again]);
			expect(results).toEqual([...fresh.map(() => "stored"), ...again.map(() => "duplicate")]);
			for (const { event, deliveries } of fresh) model.addEvent(event.id, deliveries);
		}),
	);

	const request: fc.Arbitrary<GroupRequest> = fc.record({
		limit: fc.integer({ min: 1, max: 6 }),
		limitPerTarget: fc.integer({ min: 1, max: 4 }),
		capacity: fc
			.constantFrom<[string, number][]>([], [["a", 0]], [["b", 1]])
			.map((entries) => new Map(entries)),
	});
	const requests = fc
		.tuple(fc.subarray(groups, { minLength: 1 }), request, request)
		.map(([names, ...each]) => new Map(names.map((name, index) => [name, each[index]!])));

	const claim = fc.tuple(requests, leaseMs).map(([given, ms]) =>
		command(`claim(${show(given)}, ${ms})`, async (model, { store }) => {
			const counts = new Map([...given].map(([name, each]) => [name, model.countClaimable(name, each)]));
			const claims = await store.claim(given, ms);
			for (const [name, count] of counts) {
				expect(claims.filter((each) => each.group === name)).toHaveLength(count);
			}
			// Judged by what was claimable before the claim: two of one order key may not come at once.
			const rows = claims.map(({ deliveryId }) => model.rows.find(({ id }) => id === deliveryId));
			expect(rows.every((row) => row !== undefined && model.isClaimable(row))).toBe(true);
			expect(new Set(rows).size).toBe(claims.length);
			for (const [index, { token, attempt, crashes, event, ...claimed }] of claims.entries()) {
				const row = rows[index]!;
				expect(model.given).not.toContain(token);
				expect([event.id, claimed.group, claimed.target]).toEqual([row.eventId, row.group, row.target]);
				expect(attempt).toBe(row.attempts + 1);
				expect(crashes).toBe(row.crashes + (row.state === "in_flight" ? 1 : 0));
				const ofTarget = rows.filter((other) => other?.group === row.group && other.target === row.target);
				const most = model.capacityOf(given.get(row.group)!, row.target);
				expect(ofTarget.length).toBeLessThanOrEqual(most);
				model.claim(row, token, ms);
			}
		}),
	);

	const settle = fc.array(fc.tuple(tokenIndex, settleTo), { minLength: 1, maxLength: 3 }).map((batch) =>
		command(`settle(${show(batch)})`, async (model, { store }) => {
			const routed = new Set<string>();
			const settlements = batch.flatMap(([index, to]): Settlement[] => {
				const token = tokenAt(model, index);
				const { eventId } = model.holderOf(token) ?? {};
				// Of two of one event that are routed in one call, the port leaves open whether one may take the other's target.
				if (to.state === "routed" && eventId !== undefined) {
					if (routed.has(eventId)) return [];
					routed.add(eventId);
				}
				const number = model.holderOf(token)?.attempts ?? 0;
				if (to.state === "routed") return [{ token, to }];
				const outcome = to.state === "delivered" ? ("delivered" as const) : ("failed" as const);
				const startedAt = "2026-01-01T00:00:00.000Z";
				return [{ ...{ token, to }, attempt: { number, startedAt, durationMs: 1, outcome } }];
			});
			const results = await store.settle(settlements);
			for (const [index, { token, to }] of settlements.entries()) {
				expect(results[index]).toBe(model.settle(token, to));
				if (results[index] === "lost") continue;
				expect(model.used).not.toContain(token);
				model.used.add(token);
			}
		}),
	);

	const extend = fc.tuple(fc.array(tokenIndex, { maxLength: 3 }), leaseMs).map(([indexes, ms]) =>
		command(`extend(${indexes}, ${ms})`, async (model, { store }) => {
			const tokens = [...new Set(indexes.map((index) => tokenAt(model, index)))];
			const held = tokens.filter((token) => model.holderOf(token) !== undefined);
			expect([...(await store.extend(tokens, ms))].sort()).toEqual([...held].sort());
			for (const token of held) model.holderOf(token)!.dueAtMs = model.nowMs + ms;
		}),
	);

	const release = fc.tuple(fc.array(tokenIndex, { maxLength: 3 }), times(0, 0, 5)).map(([indexes, delayMs]) =>
		command(`release(${indexes}, ${delayMs})`, async (model, { store }) => {
			const tokens = indexes.map((index) => tokenAt(model, index));
			await store.release(tokens, delayMs);
			for (const token of tokens) model.release(token, delayMs);
		}),
	);

	const advance = times(1, 6, 10, 40, 200).map((ms) =>
		command(`advance(${ms})`, async (model, { harness }) => {
			await harness.advance(ms);
			model.nowMs += ms;
		}),
	);

	const replay = filter.map((given) =>
		command(`replay(${show(given)})`, async (model, { store }) => {
			const picked = filterFor(model, given);
			const rows = model.pick(picked).filter((row) => model.isFinal(row));
			expect(await store.replay(picked)).toBe(rows.length);
			// The oldest first, as the store does, so that they stand in the same order behind the others.
			for (const row of rows) model.replay(row);
		}),
	);

	const cancel = filter.map((given) =>
		command(`cancel(${show(given)})`, async (model, { store }) => {
			const picked = filterFor(model, given);
			const rows = model.pick(picked).filter((row) => !model.isFinal(row));
			expect(await store.cancel(picked)).toBe(rows.length);
			for (const row of rows) model.finish(row, "cancelled");
		}),
	);

	// Age or count: what `keep` counts where an age is given too, the port leaves open.
	const bound = fc.oneof(
		fc.record({ olderThanMs: times(0, 1, 10, 100) }),
		fc.record({ keep: fc.integer({ min: 0, max: 4 }) }),
	);
	const pruneLimit = fc.integer({ min: 1, max: 5 });
	const prune = fc
		.tuple(fc.option(filter, { nil: undefined }), bound, pruneLimit)
		.map(([given, bounds, limit]) =>
			command(`prune(${show([given, bounds, limit])})`, async (model, { store }) => {
				const picked = given === undefined ? undefined : filterFor(model, given);
				await pruneBoth(model, store, { ...bounds, limit, filter: picked });
			}),
		);
	const pruneEvents = fc.tuple(bound, pruneLimit).map(([bounds, limit]) =>
		command(`pruneEvents(${show([bounds, limit])})`, async (model, { store }) => {
			await pruneEventsOfBoth(model, store, { ...bounds, limit });
		}),
	);

	// Not after each command: a store may use the question to put in order what later commands would trip over.
	const nextDue = fc.subarray(groups, { minLength: 1 }).map((names) =>
		command(`nextDue(${names})`, async (model, { store }) => {
			const given = requestsFor({ groups: names });
			expectNear(await store.nextDueInMs(given), model.nextDueInMs(given), unitMs);
		}),
	);

	const crash = fc.constant(
		command("crash()", async (model, real) => {
			await real.store.close();
			real.store = (await real.harness.reopen?.()) as OutboxStore;
			// A store may take over what was in flight when it opens, or with its first claim.
			await real.store.claim(new Map(), unitMs);
			model.strand();
			const shown = new Map((await queryAll(real.store)).map((each) => [each.id, each]));
			for (const row of model.rows) {
				const state = shown.get(row.id)?.state;
				if (row.strandedToken === undefined || row.dueAtMs <= model.nowMs) continue;
				if (state !== "waiting" && state !== "pending") continue;
				row.state = state;
				row.crashes++;
				row.dueAtMs = model.nowMs;
			}
		}),
	);
	return {
		often: [append, claim, settle, advance],
		seldom: [claim, extend, release, replay, replay, cancel, prune, prune, pruneEvents, nextDue],
		crash,
	};
}

async function queryAll(store: OutboxStore): Promise<readonly StoredDelivery[]> {
	return (await store.query({}, { limit: 1_000 })).items;
}

/** Prunes, and has the model forget the same rows, after a look whether they may go. */
async function pruneBoth(model: StoreModel, store: OutboxStore, request: PruneRequest): Promise<void> {
	const { keep = 0, limit } = request;
	const old = model.prunable(request);
	const due = old.slice(0, Math.max(0, Math.min(limit, old.length - keep)));
	expect(await store.prune(request)).toBe(due.length);
	const left = new Set((await queryAll(store)).map(({ id }) => id));
	const gone = model.rows.filter(({ id }) => !left.has(id));
	expect(old).toEqual(expect.arrayContaining(gone));
	// Which of those that ended at the same moment go, is open.
	const endsOf = (rows: readonly ModelRow[]) => rows.map(({ endedAtMs }) => endedAtMs).sort((a, b) => a - b);
	expect(endsOf(gone)).toEqual(endsOf(due));
	model.forget(gone);
}

/** The same for events without deliveries. Since when they have none, the model does not know: only that they were there. */
async function pruneEventsOfBoth(
	model: StoreModel,
	store: OutboxStore,
	request: Omit<PruneRequest, "filter">,
): Promise<void> {
	const { olderThanMs = 0, keep = 0, limit } = request;
	const ids = [...model.events.keys()];
	const bare = ids.filter((id) => model.isBare(id));
	const pruned = await store.pruneEvents(request);
	const known = new Set((await store.getEvents(ids)).map(({ id }) => id));
	const gone = ids.filter((id) => !known.has(id));
	expect(gone).toHaveLength(pruned);
	expect(bare).toEqual(expect.arrayContaining(gone));
	for (const id of gone) expect(model.events.get(id)).toBeLessThanOrEqual(model.nowMs - olderThanMs);
	if (olderThanMs === 0) expect(pruned).toBe(Math.max(0, Math.min(limit, bare.length - keep)));
	for (const id of gone) model.forgetEvent(id);
}

/** Exactly, or nearly so where a real clock runs on. */
function expectNear(actualMs: number | undefined, ms: number | undefined, unitMs: number): void {
	expect(actualMs === undefined).toBe(ms === undefined);
	if (actualMs === undefined || ms === undefined) return;
	if (Math.abs(actualMs - ms) >= Math.max(1, unitMs / 2)) expect(actualMs).toBe(ms);
}

/** Compares everything a store shows with the model. */
async function compare(model: StoreModel, { harness, store }: RealStore, unitMs: number): Promise<void> {
	/** A moment of the model, as the store shows it. */
	function expectTime(shown: string | undefined, ms: number | undefined): void {
		expect(shown === undefined).toBe(ms === undefined);
		if (shown === undefined || ms === undefined) return;
		expectNear(Date.parse(shown) - harness.now(), ms - model.nowMs, unitMs);
	}
	const items = await queryAll(store);
	expect(items).toHaveLength(model.rows.length);
	const counts: Record<string, number> = {};
	for (const { id, eventId, group: inGroup, target: to, state, attempts, ...item } of items) {
		const row = model.rows.find(
			(each) => each.eventId === eventId && each.group === inGroup && each.target === to,
		);
		if (row === undefined) throw new Error(`the store has a delivery that the model has not: ${id}`);
		row.id ||= id;
		expect(id).toBe(row.id);
		// A store may notice the end of a lease at once or at the next claim.
		const isExpired = row.state === "in_flight" && row.dueAtMs <= model.nowMs;
		expect(isExpired ? ["in_flight", "waiting"] : [row.state]).toContain(state);
		expect(attempts.map(({ number }) => number)).toEqual(row.log);
		expectTime(item.addedAt, row.addedAtMs);
		expectTime(item.nextAttemptAt, model.isFinal(row) ? undefined : row.dueAtMs);
		expectTime(item.endedAt, model.isFinal(row) ? row.endedAtMs : undefined);
		const name = `${inGroup} ${to} ${state}`;
		counts[name] = (counts[name] ?? 0) + 1;
	}
	for (const { group: inGroup, target: to, states } of (await store.stats()).targets) {
		for (const [state, count] of Object.entries(states)) {
			expect(count).toBe(counts[`${inGroup} ${to} ${state}`] ?? 0);
			delete counts[`${inGroup} ${to} ${state}`];
		}
	}
	expect(counts).toEqual({});
	const known = await store.getEvents([...model.events.keys(), ...model.forgotten]);
	expect(known.map(({ id }) => id).sort()).toEqual([...model.events.keys()].sort());
}

/** Sequences of commands, after each of which the store is compared with the model. */
export function storeCommands({
	unitMs,
	canReopen,
}: {
	readonly unitMs: number;
	readonly canReopen: boolean;
}): fc.Arbitrary<Iterable<Command>> {
	const { often, seldom, crash } = makeCommands(unitMs);
	const checked = (unchecked: Command) =>
		command(unchecked.toString(), async (model, real) => {
			await unchecked.run(model, real);
			await compare(model, real, unitMs);
		});
	// Claims and settlements come more often than the rest: without them little happens.
	return fc.commands(
		[...often, ...often, ...seldom, ...(canReopen ? [crash] : [])].map((each) => each.map(checked)),
		{ maxCommands: 60, size: "max" },
	);
}
