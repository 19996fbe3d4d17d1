import assert from "node:assert/strict";
import type { Claim, OutboxStore } from "../../outbox/ports.ts";
import {
	add,
	claim,
	claimOne,
	delivery,
	eventIds,
	expectNoClaim,
	expectSettled,
	newEvent,
	pastShortMs,
	query,
	queryOne,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";
import { checkSharedReceipts } from "./receipts.ts";

/** How long a store may take to notice what another did. It is real time, and only a broken store takes so long. */
const patienceMs = 10_000;

interface SharingHarness extends StoreHarness {
	/** A second store on the same data. */
	readonly other: OutboxStore;
}

/** A case for stores of which several may be open on the same data; nothing to check for others. */
function sharingCheck(
	sharing: "append" | "full",
	name: string,
	check: (harness: SharingHarness) => Promise<void>,
): StoreCheck {
	return {
		name: `sharing (${sharing}) - ${name}`,
		async check(harness) {
			if (harness.openAnother === undefined || harness.store.capabilities.sharing !== sharing) return;
			const other = await harness.openAnother();
			try {
				assert.equal(other.capabilities.sharing, sharing);
				await check({ ...harness, other });
			} finally {
				await other.close();
			}
		},
	};
}

/** Runs an action on one store and waits until it woke a listener of the other. */
async function expectWakeOf(
	listening: OutboxStore,
	{ advance }: StoreHarness,
	what: string,
	action: () => Promise<unknown>,
): Promise<void> {
	let stop: () => void = () => undefined;
	let timer: ReturnType<typeof setTimeout> | undefined;
	let advanced: Promise<void> | undefined;
	const woken = new Promise<void>((resolve) => {
		stop = listening.onWake(resolve);
	});
	const isTooLate = new Promise<void>((_, reject) => {
		const error = new assert.AssertionError({ message: `${what} of one store should wake the other` });
		timer = setTimeout(() => reject(error), patienceMs);
	});
	try {
		await action();
		// Where it polls, on its own clock.
		advanced = advance(pastShortMs);
		await Promise.race([woken, advanced]);
		await Promise.race([woken, isTooLate]);
	} finally {
		stop();
		clearTimeout(timer);
		// A harness need not be able to advance twice at once.
		await advanced;
	}
}

/** Claims as soon as the store may: that another was closed it may notice a little later. */
async function claimSoon(store: OutboxStore, { advance }: StoreHarness): Promise<readonly Claim[]> {
	const untilMs = Date.now() + patienceMs;
	for (;;) {
		const claims = await claim(store);
		if (claims.length > 0 || Date.now() > untilMs) return claims;
		await advance(withinShortMs);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
}

export const sharingChecks: readonly StoreCheck[] = [
	sharingCheck("full", "two stores never claim the same delivery", async ({ store, other }) => {
		const ids = Array.from({ length: 200 }, (_, index) => `evt_${index}`);
		await add(store, ids.slice(0, 100), delivery(), delivery({ target: "b" }));
		await add(other, ids.slice(100), delivery(), delivery({ target: "b", orderKey: "k" }));
		// 200 of a, 100 of b, and of the order key the one that it lets through.
		const seen: Claim[] = [];
		const claimAll = async (from: OutboxStore) => {
			while (seen.length <= 301) {
				const claims = await claim(from, { limit: 7 });
				if (claims.length === 0) break;
				seen.push(...claims);
			}
		};
		await Promise.all([store, other, store, other, store, other, store, other].map(claimAll));
		// A claimer that saw only rows another was claiming may have stopped early.
		await claimAll(other);
		assert.equal(seen.length, 301);
		assert.equal(new Set(seen.map(({ deliveryId }) => deliveryId)).size, 301);
		assert.equal(new Set(seen.map(({ token }) => token)).size, 301);
	}),
	sharingCheck("full", "what one appends, the other knows and claims", async ({ store, other }) => {
		await store.append([{ ...newEvent("evt_1", delivery()), idempotencyKey: "k" }]);
		assert.deepEqual(await other.append([newEvent("evt_1"), { ...newEvent("evt_2"), idempotencyKey: "k" }]), [
			"duplicate",
			"duplicate",
		]);
		const claimed = await claimOne(other);
		await expectNoClaim(store, "the other store holds it");
		await expectSettled(other, claimed, "delivered");
		assert.equal((await queryOne(store, { eventId: "evt_1" })).state, "delivered");
	}),
	sharingCheck("full", "equal events of parallel calls to both are stored once", async ({ store, other }) => {
		const results = await Promise.all(
			[store, other, store, other, store, other].map((each, index) =>
				each.append([
					newEvent("evt_1", delivery()),
					{ ...newEvent(`evt_k${index}`, delivery({ target: "b" })), idempotencyKey: "k" },
				]),
			),
		);
		assert.equal(results.flat().filter((result) => result === "stored").length, 2);
		assert.equal((await query(store)).length, 2);
	}),
	sharingCheck("full", "an order key holds for both", async ({ store, other }) => {
		await add(store, ["evt_1"], delivery({ orderKey: "k" }));
		await add(other, ["evt_2"], delivery({ orderKey: "k" }));
		const first = await claimOne(store);
		await expectNoClaim(other, "the first of the key is in flight");
		await expectSettled(store, first, "delivered");
		assert.equal((await claimOne(other)).event.id, "evt_2");
	}),
	sharingCheck("full", "what one does wakes the other", async (harness) => {
		const { store, other } = harness;
		await expectWakeOf(other, harness, "append()", () => add(store, ["evt_1"]));
		await expectWakeOf(store, harness, "append()", () => add(other, ["evt_2"]));
		await expectWakeOf(other, harness, "cancel()", () => store.cancel({}));
		await expectWakeOf(other, harness, "replay()", () => store.replay({}));
	}),
	sharingCheck("full", "endpoints written by one are read by the other", async ({ store, other }) => {
		const first = await store.endpoints.put({ id: "ep_1", document: "{}" });
		assert.equal((await other.endpoints.get("ep_1"))?.document, "{}");
		assert.ok((await other.endpoints.put({ id: "ep_1", document: "[]" }, first)) !== undefined);
		assert.equal(await store.endpoints.put({ id: "ep_1", document: "0" }, first), undefined);
		await other.endpoints.put({ id: "ep_2", document: "{}" });
		assert.deepEqual(
			(await store.endpoints.changes(first as number, 10)).map(
				({ id, record }) => `${id} ${record?.document}`,
			),
			["ep_1 []", "ep_2 {}"],
		);
		assert.equal(await store.endpoints.delete("ep_1"), true);
		assert.equal(await other.endpoints.get("ep_1"), undefined);
		assert.equal(await other.endpoints.delete("ep_1"), false);
	}),
	sharingCheck("full", "a message that one received, the other knows", ({ store, other }) =>
		checkSharedReceipts(store, other),
	),
	sharingCheck("append", "a message that one received, the other knows", ({ store, other }) =>
		checkSharedReceipts(store, other),
	),
	sharingCheck("full", "a store goes on when the other is closed", async ({ store, other }) => {
		await add(other, ["evt_1"]);
		await other.close();
		await expectSettled(store, await claimOne(store), "delivered");
	}),
	sharingCheck("append", "the first claims what the second appends", async ({ store, other }) => {
		await add(store, ["evt_1"]);
		await expectSettled(store, await claimOne(store), "delivered");
		await add(other, ["evt_2"]);
		assert.deepEqual(await other.append([newEvent("evt_1")]), ["duplicate"]);
		const claimed = await claimOne(store);
		assert.equal(claimed.event.id, "evt_2");
		await expectSettled(store, claimed, "delivered");
	}),
	sharingCheck("append", "the second claims nothing while the first leads, and then all", async (harness) => {
		const { store, other } = harness;
		await add(store, ["evt_1"]);
		const held = await claimOne(store);
		await add(store, ["evt_2"]);
		await add(other, ["evt_3"]);
		assert.deepEqual(eventIds(await claim(other)), []);
		assert.deepEqual(eventIds(await claim(other)), []);
		await expectSettled(store, held, "delivered");
		const claims = await claimSoon(other, harness);
		assert.deepEqual(eventIds(claims), ["evt_2", "evt_3"]);
		for (const each of claims) await expectSettled(other, each, "delivered");
	}),
];
