import assert from "node:assert/strict";
import type { OutboxStore } from "../../outbox/ports.ts";
import {
	add,
	claim,
	claimOne,
	delivery,
	expectClaims,
	expectNoClaim,
	expectSettled,
	longMs,
	pastShortMs,
	requestsFor,
	shortMs,
	waiting,
	withinShortMs,
} from "./fixtures.ts";
import type { StoreCheck, StoreHarness } from "./harness.ts";

function nextDueInMs(
	store: OutboxStore,
	{ groups = ["g"], full = [] }: { groups?: readonly string[]; full?: readonly string[] } = {},
): Promise<number | undefined> {
	return store.nextDueInMs(requestsFor({ groups, capacity: new Map(full.map((target) => [target, 0])) }));
}

/** Some of the time may have passed since, where a real clock decides. */
async function expectDueIn(store: OutboxStore, ms: number): Promise<void> {
	const dueInMs = await nextDueInMs(store);
	assert.ok(
		dueInMs !== undefined && dueInMs <= ms && dueInMs > ms - withinShortMs,
		`nextDueInMs() should be ${ms}, or a little less, but is ${dueInMs}`,
	);
}

/** Runs an action and checks that the store woke its listeners, if not at once then soon. */
async function expectWake(
	{ store, advance }: StoreHarness,
	what: string,
	action: () => Promise<unknown>,
): Promise<void> {
	let wakes = 0;
	const stop = store.onWake(() => {
		wakes++;
	});
	await action();
	if (wakes === 0) await advance(withinShortMs);
	stop();
	assert.ok(wakes > 0, `${what} should wake the listeners`);
}

export const scheduleChecks: readonly StoreCheck[] = [
	{
		name: "delayMs - a delivery is claimable when its time has come",
		async check({ store, advance }) {
			await add(store, ["evt_1"], delivery({ delayMs: shortMs }));
			await add(store, ["evt_2"], delivery({ delayMs: 0 }));
			await expectClaims(store, ["evt_2"]);
			await advance(withinShortMs);
			await expectNoClaim(store, "it is not yet due");
			await advance(pastShortMs);
			assert.equal((await claimOne(store)).attempt, 1);
		},
	},
	{
		name: "nextDueInMs() - is undefined without anything to come",
		async check({ store }) {
			assert.equal(await nextDueInMs(store), undefined);
			await add(store, ["evt_1", "evt_2", "evt_3"]);
			const [first, second, third] = await claim(store);
			assert.ok(first && second && third);
			await expectSettled(store, first, "delivered");
			await expectSettled(store, second, "dead");
			await expectSettled(store, third, { state: "routed", deliveries: [] });
			assert.equal(await nextDueInMs(store), undefined);
		},
	},
	{
		name: "nextDueInMs() - is 0 while something is claimable, and the shortest of all times otherwise",
		async check({ store, advance }) {
			await add(store, ["evt_1"]);
			assert.equal(await nextDueInMs(store), 0);
			await expectSettled(store, await claimOne(store), waiting(2 * longMs));
			await expectDueIn(store, 2 * longMs);
			await add(store, ["evt_2"], delivery({ delayMs: longMs }));
			await expectDueIn(store, longMs);
			await add(store, ["evt_3"]);
			await claimOne(store, { leaseMs: shortMs });
			await expectDueIn(store, shortMs);
			await advance(pastShortMs);
			assert.equal(await nextDueInMs(store), 0);
		},
	},
	{
		name: "nextDueInMs() - forgets what was cancelled",
		async check({ store }) {
			await add(store, ["evt_1"]);
			await claimOne(store);
			await add(store, ["evt_2"]);
			await add(store, ["evt_3"], delivery({ delayMs: longMs }));
			assert.equal(await store.cancel({}), 3);
			assert.equal(await nextDueInMs(store), undefined);
		},
	},
	{
		name: "nextDueInMs() - forgets the earlier due times of a delivery",
		async check({ store }) {
			await add(store, ["evt_1"], delivery({ delayMs: longMs }));
			await store.cancel({});
			await store.replay({});
			await expectSettled(store, await claimOne(store), waiting(2 * longMs));
			await expectDueIn(store, 2 * longMs);
		},
	},
	{
		name: "nextDueInMs() - looks at the groups it names and at no other",
		async check({ store }) {
			await add(store, ["evt_1"], delivery({ group: "h" }));
			await add(store, ["evt_2"], delivery({ group: "i", delayMs: longMs }));
			await claim(store, { groups: ["h"] });
			await add(store, ["evt_3"], delivery({ group: "j" }));
			assert.equal(await nextDueInMs(store), undefined);
			assert.equal(await nextDueInMs(store, { groups: ["g", "j"] }), 0);
		},
	},
	{
		name: "nextDueInMs() - passes over what is due of a target without capacity",
		async check({ store }) {
			await add(store, ["evt_1"], delivery(), delivery({ target: "b" }));
			assert.equal(await nextDueInMs(store, { full: ["a"] }), 0);
			assert.equal(await nextDueInMs(store, { full: ["a", "b"] }), undefined);
		},
	},
	{
		name: "nextDueInMs() - a target without capacity is one of its own group",
		async check({ store }) {
			await add(store, ["evt_1"], delivery(), delivery({ group: "h" }));
			const full = requestsFor({ capacity: new Map([["a", 0]]) });
			assert.equal(await store.nextDueInMs(full), undefined);
			assert.equal(await store.nextDueInMs(new Map([...full, ...requestsFor({ groups: ["h"] })])), 0);
			await claim(store, { groups: ["h"] });
			const dueInMs = await store.nextDueInMs(new Map([...full, ...requestsFor({ groups: ["h"] })]));
			assert.ok(dueInMs !== undefined && dueInMs > 0, "only a lease is to end");
		},
	},
	{
		name: "nextDueInMs() - a delivery behind another of its order key is not due",
		async check({ store }) {
			await add(store, ["evt_1", "evt_2"], delivery({ orderKey: "k" }));
			await claimOne(store, { leaseMs: longMs });
			await expectDueIn(store, longMs);
		},
	},
	{
		name: "onWake() - calls when something may have become claimable",
		async check(harness) {
			const { store } = harness;
			await expectWake(harness, "append()", () => add(store, ["evt_1"]));
			const first = await claimOne(store);
			await expectWake(harness, "release()", () => store.release([first.token]));
			const second = await claimOne(store);
			await expectWake(harness, "settle()", () => expectSettled(store, second, waiting(0)));
			await expectWake(harness, "cancel()", () => store.cancel({}));
			await expectWake(harness, "replay()", () => store.replay({}));
			const put = () => store.endpoints.put({ id: "a", document: "{}" });
			await expectWake(harness, "endpoints.put()", put);
			await expectWake(harness, "endpoints.put() of one that is there", put);
			await expectWake(harness, "endpoints.delete()", () => store.endpoints.delete("a"));
		},
	},
	{
		name: "onWake() - calls when the first of an order lets the next go",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1", "evt_2", "evt_3"], delivery({ orderKey: "k" }));
			const first = await claimOne(store);
			await expectWake(harness, "settle()", () => expectSettled(store, first, "delivered"));
			await expectWake(harness, "cancel()", () => store.cancel({ eventId: "evt_2" }));
			await expectClaims(store, ["evt_3"]);
		},
	},
	{
		name: "onWake() - calls when a delivery was routed to others",
		async check(harness) {
			const { store } = harness;
			await add(store, ["evt_1"]);
			const claimed = await claimOne(store);
			const to = { state: "routed", deliveries: [delivery({ target: "b" })] } as const;
			await expectWake(harness, "settle()", () => expectSettled(store, claimed, to));
		},
	},
	{
		name: "onWake() - calls every listener until it stops listening",
		async check(harness) {
			const { store } = harness;
			let stopped = 0;
			const stop = store.onWake(() => {
				stopped++;
			});
			stop();
			stop();
			await expectWake(harness, "append()", () =>
				expectWake(harness, "append()", () => add(store, ["evt_1"])),
			);
			assert.equal(stopped, 0, "a listener that was stopped should not be called");
		},
	},
];
