import assert from "node:assert/strict";
import type { OutboxStore, Receipt } from "../../outbox/ports.ts";
import { longMs, pastShortMs, shortMs } from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

async function claimReceipt({ receipts }: OutboxStore, key: string, leaseMs = longMs): Promise<Receipt> {
	const claim = await receipts.claim(key, leaseMs);
	assert.ok(claim.state === "claimed", `"${key}" should be free, not ${claim.state}`);
	return claim.receipt;
}

async function receiptState({ receipts }: OutboxStore, key: string): Promise<string> {
	return (await receipts.claim(key, longMs)).state;
}

export const receiptChecks: readonly StoreCheck[] = [
	{
		name: "receipts - of parallel claims of one id exactly one succeeds; another id is free",
		async check({ store }) {
			const claims = await Promise.all(Array.from({ length: 16 }, () => store.receipts.claim("a", longMs)));
			assert.equal(claims.filter(({ state }) => state === "claimed").length, 1);
			for (const claim of claims) {
				if (claim.state === "claimed") continue;
				assert.ok(claim.state === "busy" && claim.freeInMs >= 0 && claim.freeInMs <= longMs);
			}
			await claimReceipt(store, "b");
		},
	},
	{
		name: "receipts - a confirmed id is done, for as long as was said",
		async check({ store, advance }) {
			assert.equal(await store.receipts.confirm(await claimReceipt(store, "a"), longMs), true);
			assert.equal(await store.receipts.confirm(await claimReceipt(store, "b"), shortMs), true);
			assert.equal(await receiptState(store, "a"), "done");
			await advance(pastShortMs);
			assert.equal(await receiptState(store, "a"), "done");
			await claimReceipt(store, "b");
		},
	},
	{
		name: "receipts - a released id is free at once",
		async check({ store }) {
			const first = await claimReceipt(store, "a");
			assert.equal(await store.receipts.release(first), true);
			const second = await claimReceipt(store, "a");
			assert.notEqual(second.token, first.token);
			assert.equal(await store.receipts.release(first), false);
			assert.equal(await receiptState(store, "a"), "busy");
		},
	},
	{
		name: "receipts - an id whose lease ended is free, and who held it has lost it",
		async check({ store, advance }) {
			const first = await claimReceipt(store, "a", shortMs);
			await advance(pastShortMs);
			const second = await claimReceipt(store, "a");
			const { receipts } = store;
			assert.equal(await receipts.extend(first, longMs), false);
			assert.equal(await receipts.release(first), false);
			assert.equal(await receipts.confirm(first, longMs), false);
			assert.equal(await receiptState(store, "a"), "busy");
			assert.equal(await receipts.confirm(second, longMs), true);
			assert.equal(await receipts.extend(second, longMs), false);
			assert.equal(await receipts.release(second), false);
			assert.equal(await receiptState(store, "a"), "done");
		},
	},
	{
		name: "receipts - extend() makes a lease longer",
		async check({ store, advance }) {
			const receipt = await claimReceipt(store, "a", shortMs);
			assert.equal(await store.receipts.extend(receipt, longMs), true);
			await advance(pastShortMs);
			assert.equal(await receiptState(store, "a"), "busy");
			assert.equal(await store.receipts.confirm(receipt, longMs), true);
		},
	},
	{
		name: "receipts - prune() forgets what is over, a piece at a time, and nothing else",
		async check({ store, advance }) {
			for (const key of ["a", "b", "c"]) {
				await store.receipts.confirm(await claimReceipt(store, key), shortMs);
			}
			await claimReceipt(store, "d", shortMs);
			await store.receipts.confirm(await claimReceipt(store, "e"), longMs);
			await claimReceipt(store, "f");
			assert.equal(await store.receipts.prune(10), 0);
			await advance(pastShortMs);
			assert.equal(await store.receipts.prune(3), 3);
			assert.equal(await store.receipts.prune(3), 1);
			assert.equal(await store.receipts.prune(3), 0);
			assert.deepEqual([await receiptState(store, "e"), await receiptState(store, "f")], ["done", "busy"]);
		},
	},
	{
		name: "reopening - receipts that are done or held are so still",
		async check({ store, reopen }) {
			if (reopen === undefined) return;
			await store.receipts.confirm(await claimReceipt(store, "a"), longMs);
			const held = await claimReceipt(store, "b");
			await store.close();
			const reopened = await reopen();
			try {
				assert.deepEqual(
					[await receiptState(reopened, "a"), await receiptState(reopened, "b")],
					["done", "busy"],
				);
				assert.equal(await reopened.receipts.confirm(held, longMs), true);
			} finally {
				await reopened.close();
			}
		},
	},
];

/** What stores on the same data must do, whichever way they share it. */
export async function checkSharedReceipts(store: OutboxStore, other: OutboxStore): Promise<void> {
	await store.receipts.confirm(await claimReceipt(store, "a"), longMs);
	await claimReceipt(store, "b");
	assert.deepEqual([await receiptState(other, "a"), await receiptState(other, "b")], ["done", "busy"]);
	const claims = await Promise.all(
		[store, other, store, other, store, other].map((each) => each.receipts.claim("c", longMs)),
	);
	assert.equal(claims.filter(({ state }) => state === "claimed").length, 1);
}
