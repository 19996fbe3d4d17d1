import fc from "fast-check";
import { expect, test } from "vitest";
import type { Clock } from "../../src/internal/clock.ts";
import type {
	ClaimRequest,
	DeliveryFilter,
	NewDelivery,
	OutboxStore,
	SettleTo,
} from "../../src/outbox/ports.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { StoreModel } from "../support/store-model.ts";
import { eventFor } from "../support/target-group.ts";

type Command = fc.AsyncCommand<StoreModel, OutboxStore>;

function command(text: string, run: Command["run"]): Command {
	return { check: () => true, run, toString: () => text };
}

const groups = ["g", "h"];
const group = fc.constantFrom(...groups);
const target = fc.constantFrom("a", "b");
const waitMs = fc.constantFrom(0, 1, 700, 3_000);
const leaseMs = fc.constantFrom(1_000, 5_000);
const show = (value: unknown) => JSON.stringify(value, (_, each) => (each instanceof Map ? [...each] : each));

const delivery: fc.Arbitrary<NewDelivery> = fc.record({
	...{ group, target, delayMs: waitMs },
	orderKey: fc.constantFrom(undefined, "k", "l"),
});
const deliveries = fc.array(delivery, { minLength: 1, maxLength: 3 });

const settleTo: fc.Arbitrary<SettleTo> = fc.oneof(
	fc.record({ state: fc.constantFrom("delivered" as const, "dead" as const, "cancelled" as const) }),
	fc.record({ state: fc.constant("waiting" as const), retryInMs: waitMs }),
	fc.record({ state: fc.constant("routed" as const), deliveries }),
);

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

let events = 0;

const append = fc.array(deliveries, { minLength: 1, maxLength: 3 }).map((batch) =>
	command(`append(${show(batch)})`, async (model, store) => {
		const known = model.rows[0]?.eventId;
		const fresh = batch.map((each) => eventFor(`evt_${++events}`, ...each));
		const again = known === undefined ? [] : [eventFor(known, { group: "g", target: "never" })];
		const results = await store.append([...fresh, ...again]);
		expect(results).toEqual([...fresh.map(() => "stored"), ...again.map(() => "duplicate")]);
		for (const { event, deliveries } of fresh) for (const each of deliveries) model.add(event.id, each);
	}),
);

const claimRequest: fc.Arbitrary<ClaimRequest> = fc.record({
	groups: fc.subarray(groups, { minLength: 1 }),
	limit: fc.integer({ min: 1, max: 6 }),
	limitPerTarget: fc.integer({ min: 1, max: 4 }),
	capacity: fc
		.constantFrom<[string, number][]>([], [["a", 0]], [["b", 1]])
		.map((entries) => new Map(entries)),
	leaseMs,
});

const claim = claimRequest.map((request) =>
	command(`claim(${show(request)})`, async (model, store) => {
		const count = model.countClaimable(request);
		const claims = await store.claim(request);
		expect(claims).toHaveLength(count);
		// Judged by what was claimable before the claim: two of one order key may not come at once.
		const rows = claims.map(({ deliveryId }) => model.rows.find(({ id }) => id === deliveryId));
		expect(rows.every((row) => row !== undefined && model.isClaimable(row))).toBe(true);
		expect(new Set(rows).size).toBe(count);
		for (const [index, { token, attempt, event, ...claimed }] of claims.entries()) {
			const row = rows[index]!;
			expect(model.tokens).not.toContain(token);
			expect([event.id, claimed.group, claimed.target]).toEqual([row.eventId, row.group, row.target]);
			expect(attempt).toBe(row.attempts + 1);
			const ofTarget = rows.filter((other) => other?.group === row.group && other.target === row.target);
			expect(ofTarget.length).toBeLessThanOrEqual(model.capacityOf(request, row.target));
			model.claim(row, token, request.leaseMs);
		}
	}),
);

const settle = fc.array(fc.tuple(tokenIndex, settleTo), { minLength: 1, maxLength: 3 }).map((batch) =>
	command(`settle(${show(batch)})`, async (model, store) => {
		const settlements = batch.map(([index, to]) => ({ token: tokenAt(model, index), to }));
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
	command(`extend(${indexes}, ${ms})`, async (model, store) => {
		const tokens = [...new Set(indexes.map((index) => tokenAt(model, index)))];
		const held = tokens.filter((token) => model.holderOf(token) !== undefined);
		expect(await store.extend(tokens, ms)).toEqual(held);
		for (const token of held) model.holderOf(token)!.dueAtMs = model.nowMs + ms;
	}),
);

const release = fc.array(tokenIndex, { maxLength: 3 }).map((indexes) =>
	command(`release(${indexes})`, async (model, store) => {
		const tokens = indexes.map((index) => tokenAt(model, index));
		await store.release(tokens);
		for (const token of tokens) model.release(token);
	}),
);

const advance = fc.constantFrom(1, 699, 1_000, 4_000, 20_000).map((ms) =>
	command(`advance(${ms})`, async (model) => {
		model.nowMs += ms;
	}),
);

const replay = filter.map((given) =>
	command(`replay(${show(given)})`, async (model, store) => {
		const picked = filterFor(model, given);
		const rows = model.pick(picked).filter((row) => model.isFinal(row));
		expect(await store.replay(picked)).toBe(rows.length);
		for (const row of rows) model.replay(row);
	}),
);

const cancel = filter.map((given) =>
	command(`cancel(${show(given)})`, async (model, store) => {
		const picked = filterFor(model, given);
		const rows = model.pick(picked).filter((row) => !model.isFinal(row));
		expect(await store.cancel(picked)).toBe(rows.length);
		for (const row of rows) model.finish(row, "cancelled");
	}),
);

const prune = fc
	.tuple(fc.constantFrom(0, 1_000, 10_000), fc.integer({ min: 1, max: 5 }))
	.map(([olderThanMs, limit]) =>
		command(`prune(${olderThanMs}, ${limit})`, async (model, store) => {
			const old = model.rows.filter((row) => model.isFinal(row) && row.endedAtMs < model.nowMs - olderThanMs);
			expect(await store.prune({ olderThanMs, limit })).toBe(Math.min(limit, old.length));
			const { items } = await store.query({}, { limit: 1_000 });
			const left = new Set(items.map(({ id }) => id));
			const gone = model.rows.filter(({ id }) => !left.has(id));
			expect(gone).toHaveLength(Math.min(limit, old.length));
			expect(old).toEqual(expect.arrayContaining(gone));
			model.rows = model.rows.filter((row) => !gone.includes(row));
		}),
	);

/** Compares everything a store shows with the model. */
async function compare(model: StoreModel, store: OutboxStore): Promise<void> {
	const { items } = await store.query({}, { limit: 1_000 });
	expect(items).toHaveLength(model.rows.length);
	for (const { id, eventId, group: inGroup, target: to, state, nextAttemptAt } of items) {
		const row = model.rows.find(
			(each) => each.eventId === eventId && each.group === inGroup && each.target === to,
		);
		if (row === undefined) throw new Error(`the store has a delivery that the model has not: ${id}`);
		row.id ||= id;
		expect(id).toBe(row.id);
		// A store may notice the end of a lease at once or at the next claim.
		const isExpired = row.state === "in_flight" && row.dueAtMs <= model.nowMs;
		expect(isExpired ? ["in_flight", "waiting"] : [row.state]).toContain(state);
		const due = model.isFinal(row) ? undefined : new Date(row.dueAtMs).toISOString();
		expect(nextAttemptAt).toBe(due);
	}
	for (const some of [["g"], ["h"], groups]) {
		expect(await store.nextDueInMs({ groups: some, capacity: new Map() })).toBe(model.nextDueInMs(some));
	}
}

/** Compares after each command. */
function checked(unchecked: Command): Command {
	return command(unchecked.toString(), async (model, store) => {
		await unchecked.run(model, store);
		await compare(model, store);
	});
}

test("memoryStore() - does what the plainest of stores would, whatever is asked of it in whatever order", async () => {
	// Claims and settlements come more often than the rest: without them little happens.
	const all = [
		append,
		append,
		claim,
		claim,
		claim,
		settle,
		settle,
		extend,
		release,
		advance,
		advance,
		replay,
		cancel,
	];
	const commands = fc.commands(
		[...all, prune].map((each) => each.map(checked)),
		{ maxCommands: 60, size: "max" },
	);
	await fc.assert(
		fc.asyncProperty(commands, async (given) => {
			await fc.asyncModelRun(() => {
				const model = new StoreModel(Date.UTC(2026, 0, 1));
				const clock: Clock = {
					now: () => model.nowMs,
					setTimeout: () => undefined,
					clearTimeout: () => undefined,
				};
				return { model, real: memoryStore({ clock, maxFinished: 1_000_000 }) };
			}, given);
		}),
		{ numRuns: 200 },
	);
	// It takes 3 s; a failure is made small first, and its seed printed.
}, 120_000);
