import assert from "node:assert/strict";
import type { Claim, DeliveryState, OutboxStore } from "../../outbox/ports.ts";
import {
	add,
	addOneInEachState,
	attempt,
	claim,
	claimOne,
	delivery,
	event,
	expectClaims,
	expectNoClaim,
	expectSettled,
	longMs,
	newEvent,
	pastShortMs,
	plain,
	query,
	queryOne,
	settle,
	shortMs,
	waiting,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

interface ReopenHarness extends StoreHarness {
	/** Closes the store that is open and opens its data again. */
	next(): Promise<OutboxStore>;
}

/** A case for stores whose data stays; nothing to check where a harness cannot open it again. */
function reopenCheck(name: string, check: (harness: ReopenHarness) => Promise<void>): StoreCheck {
	return {
		name: `reopening - ${name}`,
		async check(harness) {
			if (harness.reopen === undefined) return;
			let store = harness.store;
			const next = async () => {
				await store.close();
				store = (await harness.reopen?.()) as OutboxStore;
				return store;
			};
			try {
				await check({ ...harness, next });
			} finally {
				await store.close();
			}
		},
	};
}

/** What a store shows of its deliveries, but those in flight: their leases may end with the store that gave them. */
async function settledRows(store: OutboxStore): Promise<unknown[]> {
	const rows = (await query(store)).filter(({ eventId }) => !eventId.startsWith("in_flight"));
	return rows.map((row) => ({ ...plain(row), attempts: row.attempts.map(plain) }));
}

export const reopenChecks: readonly StoreCheck[] = [
	reopenCheck(
		"keeps deliveries in their states, with attempts and times",
		async ({ store, advance, next }) => {
			await addOneInEachState(store);
			await advance(10);
			await add(store, ["evt_1"], delivery({ group: "h", target: "b", delayMs: longMs }));
			const before = await settledRows(store);
			assert.equal(before.length, 6);
			const again = await next();
			assert.deepEqual(await settledRows(again), before);
			const { state } = await queryOne(again, { eventId: "in_flight" });
			assert.ok((["in_flight", "waiting"] satisfies DeliveryState[] as string[]).includes(state), state);
			assert.equal((await again.stats()).targets.length, 2);
		},
	),
	reopenCheck("of a store that is closed twice at once, once either says so", async ({ store, next }) => {
		const added = add(store, ["evt_1"]);
		const first = store.close();
		assert.equal((await claimOne(await next())).event.id, "evt_1");
		await Promise.all([added, first]);
	}),
	reopenCheck("keeps events to the byte", async ({ store, next }) => {
		const odd = event("evt_1", { dataJson: ' {"b":1.0, "a":"é \\u0000"} ', version: 2, key: "o'1\n" });
		await store.append([{ event: odd, deliveries: [] }, newEvent("evt_2", delivery())]);
		const again = await next();
		const events = (await again.getEvents(["evt_1", "evt_2"])).map(plain);
		assert.deepEqual(
			events.sort((a, b) => ((a.id ?? "") < (b.id ?? "") ? -1 : 1)),
			[odd, event("evt_2")],
		);
		assert.deepEqual(plain((await claimOne(again)).event), event("evt_2"));
	}),
	reopenCheck("knows ids and idempotency keys, also of what was delivered", async ({ store, next }) => {
		const keyed = (id: string, idempotencyKey: string) => ({ ...newEvent(id, delivery()), idempotencyKey });
		await store.append([keyed("evt_1", "k")]);
		await expectSettled(store, await claimOne(store), "delivered");
		await store.append([keyed("evt_2", "l"), { ...newEvent("evt_3"), idempotencyKey: "m" }]);
		const again = await next();
		assert.deepEqual(
			await again.append([
				...[newEvent("evt_1"), newEvent("evt_2"), newEvent("evt_3")],
				...["k", "l", "m", "new"].map((key) => keyed(`new_${key}`, key)),
			]),
			[...Array.from({ length: 6 }, () => "duplicate"), "stored"],
		);
	}),
	reopenCheck("keeps endpoints in their order", async ({ store, next }) => {
		for (const id of ["ep_2", "ep_1", "ep_3"]) await store.endpoints.put({ id, document: `"${id} é"` });
		await store.endpoints.delete("ep_3");
		const { items } = await store.endpoints.list({});
		const { endpoints } = await next();
		assert.deepEqual((await endpoints.list({})).items, items);
		assert.equal((await endpoints.get("ep_2"))?.document, '"ep_2 é"');
		assert.equal(await endpoints.get("ep_3"), undefined);
		await endpoints.put({ id: "ep_0", document: "{}" });
		assert.deepEqual((await endpoints.list({})).items.slice(0, -1), items);
	}),
	reopenCheck("goes on counting attempts, from the last replay on", async ({ store, next }) => {
		await add(store, ["evt_1", "evt_2"]);
		for (const number of [1, 2]) {
			for (const each of await claim(store)) await expectSettled(store, each, waiting(0), attempt(number));
		}
		await store.cancel({ eventId: "evt_2" });
		await store.replay({ eventId: "evt_2" });
		let again = await next();
		const claims = await claim(again);
		const numbers = claims.map(({ event: { id }, attempt: number }) => `${id} ${number}`);
		assert.deepEqual(numbers.sort(), ["evt_1 3", "evt_2 1"]);
		for (const each of claims) await expectSettled(again, each, waiting(0));
		again = await next();
		const later = (await claim(again)).map(({ event: { id }, attempt: number }) => `${id} ${number}`);
		assert.deepEqual(later.sort(), ["evt_1 4", "evt_2 2"]);
	}),
	reopenCheck("keeps delays and retries", async ({ store, advance, next }) => {
		await add(store, ["evt_1"]);
		await expectSettled(store, await claimOne(store), waiting(shortMs));
		await add(store, ["evt_2"], delivery({ delayMs: shortMs, target: "b" }));
		const again = await next();
		await advance(withinShortMs);
		await expectNoClaim(again, "nothing is due yet");
		await advance(pastShortMs);
		const numbers = (await claim(again)).map(({ event: { id }, attempt: number }) => `${id} ${number}`);
		assert.deepEqual(numbers.sort(), ["evt_1 2", "evt_2 1"]);
	}),
	reopenCheck("keeps the order of an order key", async ({ store, next }) => {
		const keyed = delivery({ orderKey: "k" });
		await add(store, ["evt_1", "evt_2", "evt_3"], keyed);
		await expectSettled(store, await claimOne(store), "dead");
		await store.replay({ eventId: "evt_1" });
		await expectSettled(store, await claimOne(store), waiting(0));
		let again = await next();
		await add(again, ["evt_4"], keyed);
		for (const id of ["evt_2", "evt_3", "evt_1", "evt_4"]) {
			const [claimed] = await expectClaims(again, [id]);
			await expectSettled(again, claimed as Claim, "delivered");
			if (id === "evt_3") again = await next();
		}
	}),
	reopenCheck("claims can be made again, at the latest when their leases end", async (harness) => {
		const { store, advance, next } = harness;
		await add(store, ["evt_1", "evt_2", "evt_3"]);
		const old = await claim(store, { leaseMs: shortMs });
		const again = await next();
		await advance(pastShortMs);
		const claims = await claim(again);
		assert.deepEqual(claims.map(({ event: { id } }) => id).sort(), ["evt_1", "evt_2", "evt_3"]);
		for (const { attempt: number } of claims) assert.equal(number, 2, "the attempt before counts");
		const tokens = old.map(({ token }) => token);
		for (const { token } of claims) assert.ok(!tokens.includes(token), "a new claim has a new token");
		assert.deepEqual(await again.extend(tokens, longMs), []);
		await again.release(tokens);
		for (const each of old) assert.equal(await settle(again, each, "dead", attempt(1)), "lost");
		for (const each of claims) await expectSettled(again, each, "delivered", attempt(2));
	}),
	reopenCheck("gives new deliveries ids of their own, behind the old ones", async ({ store, next }) => {
		const known = new Set<string>();
		let open = store;
		for (const round of ["1", "2", "3"]) {
			const last = [...known].sort().at(-1) ?? "";
			await add(open, [`a${round}`, `b${round}`], delivery(), delivery({ target: "b" }));
			const added = (await query(open)).filter(({ id }) => !known.has(id));
			assert.equal(added.length, 4, "each delivery should have an id that no other had");
			for (const { id } of added) {
				assert.ok(id > last, `the id of a new delivery, ${id}, should sort behind ${last}`);
				known.add(id);
			}
			open = await next();
		}
		const rounds = (await query(open)).map(({ eventId }) => eventId.at(-1));
		assert.deepEqual(rounds, [..."333322221111"], "query() should give the newest first, whoever added them");
	}),
	reopenCheck("gives no token again, and ids of pruned deliveries neither", async ({ store, next }) => {
		await add(store, ["evt_1"]);
		const first = await claimOne(store);
		await expectSettled(store, first, "delivered");
		await store.prune({ limit: 100 });
		const again = await next();
		await add(again, ["evt_1"]);
		const second = await claimOne(again);
		assert.notEqual(second.token, first.token);
		assert.ok(second.deliveryId > first.deliveryId, "the id of a new delivery should sort behind");
		assert.equal(await settle(again, first, "dead"), "lost");
	}),
];
