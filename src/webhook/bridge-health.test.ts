import { describe, expect, test } from "vitest";
import { type BridgeSetup, connectBridge, setupBridge } from "../../test/support/bridge.ts";
import type { ReceivedWebhook } from "../../test/support/http-receiver.ts";
import { watch } from "../../test/support/watch.ts";
import type { Bus } from "../bus/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { BridgeOptions } from "./index.ts";

const dayMs = 86_400_000;
const breaker = { failures: 2, pauseMs: 30_000, maxPauseMs: 100_000 };
const retry = { delaysMs: Array(30).fill(1_000) as number[], jitter: 0 };

/** Notes the `endpoint:*` signals of a bus in their order. */
function watchSignals(bus: Bus): string[] {
	const told: string[] = [];
	for (const name of ["created", "disabled", "enabled", "failing", "recovered", "resumed"] as const) {
		bus.observe(`endpoint:${name}`, (info) => {
			told.push("reason" in info ? `${name} ${info.reason}` : name);
		});
	}
	bus.observe("endpoint:paused", ({ reason, forMs }) => void told.push(`paused ${reason} ${forMs / 1_000}s`));
	return told;
}

/** A bridge whose receiver answers what `answer` says at the moment. */
async function setup(options: Partial<BridgeOptions> = {}) {
	const answer: { status: number; header?: readonly [string, string] } = { status: 500 };
	const given = { breaker, retry, ...options };
	const clock = fakeClock();
	const bridge = await setupBridge({ clock, decide: () => answer.status, options: given });
	return { ...bridge, answer, signals: watchSignals(bridge.bus), given };
}

/** How many requests there were, by the second in which they came. */
function secondsOf(webhooks: readonly ReceivedWebhook[], startMs: number): number[] {
	return webhooks.map(({ headers }) => Number(headers["webhook-timestamp"]) - startMs / 1_000);
}

async function stateOf({ bridge }: Pick<BridgeSetup, "bridge">, id: string) {
	const { state, pausedUntil, failingSince, disabledReason } = (await bridge.endpoints.get(id)) ?? {};
	return { state, pausedUntil, failingSince, disabledReason };
}

describe("the breaker", () => {
	test("pauses an endpoint, tries one delivery at a time, and goes on with all when one succeeds", async () => {
		const { bus, bridge, clock, receiver, endpoint, answer, failed, signals } = await setup();
		const startMs = clock.now();
		await endpoint({ concurrency: 1 });
		for (let number = 0; number < 6; number++) bus.emit("order.paid", { number });
		const idle = watch(bridge.idle());
		await failed.take(2);
		await clock.advance(29_999);
		expect(secondsOf(receiver.webhooks.items, startMs)).toEqual([0, 0]);
		expect(signals).toEqual(["created", "paused failures 30s"]);
		await clock.advance(1);
		await failed.next();
		await clock.advance(59_999);
		expect(secondsOf(receiver.webhooks.items, startMs)).toEqual([0, 0, 30]);
		expect(idle.isOver).toBe(false);
		answer.status = 204;
		await clock.advance(1);
		await idle.promise;
		expect(secondsOf(receiver.webhooks.items, startMs)).toEqual([0, 0, 30, ...Array(6).fill(90)]);
		expect(signals.slice(2)).toEqual(["paused failures 60s", "resumed", "recovered"]);
		const { items } = await bridge.deliveries.list();
		const made = items.reduce((sum, { attempts }) => sum + attempts.length, 0);
		expect(made).toBe(9);
		expect(items.every(({ state }) => state === "delivered")).toBe(true);
	});

	test("makes one trial at a time behind a pause, whatever the concurrency", async () => {
		let isFailing = true;
		const { bus, bridge, clock, receiver, endpoint } = await setupBridge({
			decide: () => (isFailing ? 500 : undefined),
			options: { breaker, retry },
		});
		await endpoint({ concurrency: 10 });
		const paused = new Promise((resolve) => bus.observe("endpoint:paused", resolve));
		for (let number = 0; number < 20; number++) bus.emit("order.paid", { number });
		await paused;
		// What was under way ends.
		while (receiver.open > 0) await receiver.connections();
		await clock.advance(1_000);
		const before = receiver.webhooks.items.length;
		await receiver.webhooks.take(before);
		isFailing = false;
		await clock.advance(29_000);
		const trial = await receiver.webhooks.next();
		await clock.advance(5_000);
		for (let probes = 0; probes < 3; probes++) await receiver.connections();
		expect([receiver.open, receiver.webhooks.items.length]).toEqual([1, before + 1]);
		trial.answer(204);
		const rest = await receiver.webhooks.take(10);
		expect(receiver.open).toBe(10);
		for (const webhook of rest) webhook.answer(204);
		for (const webhook of await receiver.webhooks.take(9)) webhook.answer(204);
		await bridge.idle();
	});

	test("holds over a restart: nothing is sent while it is paused, and then one trial", async () => {
		const first = await setup();
		const { bus, bridge, clock, receiver, store, endpoint, failed, given } = first;
		const { id } = await endpoint({ concurrency: 1 });
		for (let number = 0; number < 4; number++) bus.emit("order.paid", { number });
		await failed.take(2);
		await bridge.stop();
		await clock.advance(20_000);
		const second = connectBridge(receiver, store, clock, given);
		const signals = watchSignals(second.bus);
		await clock.advance(5_000);
		expect(await stateOf(second, id)).toMatchObject({
			pausedUntil: "2026-01-01T00:00:30.000Z",
			failingSince: "2026-01-01T00:00:00.000Z",
		});
		await clock.advance(4_999);
		expect(receiver.webhooks.items).toHaveLength(2);
		await clock.advance(1);
		await second.failed.take(1);
		expect(signals).toEqual(["paused failures 60s"]);
		// Killed, not stopped: its health was written a second after the failure.
		await clock.advance(1_000);
		const killed = second.bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await killed;
		const third = connectBridge(receiver, store, clock, given);
		first.answer.status = 204;
		await clock.advance(58_999);
		expect(receiver.webhooks.items).toHaveLength(3);
		await clock.advance(1);
		await third.bridge.idle();
		expect((await stateOf(third, id)).pausedUntil).toBeUndefined();
		expect(receiver.webhooks.items).toHaveLength(7);
	});

	test("delays no other endpoint", async () => {
		const { bus, clock, endpoint, delivered, failed } = await setupBridge({
			decide: ({ path }) => (path === "/bad" ? 500 : 204),
			options: { breaker, retry },
		});
		await endpoint({}, "/bad");
		const good = await endpoint({}, "/good");
		for (let number = 0; number < 50; number++) bus.emit("order.paid", { number });
		const all = await delivered.take(50);
		expect(new Set(all.map(({ target }) => target))).toEqual(new Set([good.id]));
		expect(failed.items.length).toBeLessThan(10);
		await clock.advance(0);
	});

	test("false never pauses", async () => {
		const { bus, clock, receiver, endpoint, signals, failed } = await setup({ breaker: false });
		await endpoint({ concurrency: 1, retry: { delaysMs: [], jitter: 0 } });
		for (let number = 0; number < 20; number++) bus.emit("order.paid", { number });
		await failed.take(20);
		expect(receiver.webhooks.items).toHaveLength(20);
		expect(signals).toEqual(["created"]);
		await clock.advance(0);
	});

	test("writes nothing for an endpoint that does well", async () => {
		const { bus, bridge, clock, store, endpoint, answer } = await setup();
		answer.status = 204;
		const { id } = await endpoint();
		const before = (await store.endpoints.get(id))?.revision;
		for (let number = 0; number < 5; number++) {
			bus.emit("order.paid", { number });
			await bridge.idle();
			await clock.advance(2_000);
		}
		expect((await store.endpoints.get(id))?.revision).toBe(before);
	});

	test("writes once for one that has recovered, not with each success", async () => {
		const { bus, bridge, clock, store, endpoint, answer } = await setup();
		const { id } = await endpoint();
		bus.emit("order.paid", {});
		await clock.advance(500);
		answer.status = 204;
		await clock.advance(2_000);
		await bridge.idle();
		await clock.advance(2_000);
		const before = (await store.endpoints.get(id))?.revision;
		for (let number = 0; number < 5; number++) {
			bus.emit("order.paid", { number });
			await bridge.idle();
			await clock.advance(2_000);
		}
		expect((await store.endpoints.get(id))?.revision).toBe(before);
	});
});

describe("auto-disable", () => {
	test("comes after days of failures only, with two warnings before it, through restarts", async () => {
		const first = await setup({ breaker: false, disableAfterMs: 5 * dayMs });
		const { bus, clock, receiver, store, endpoint, given } = first;
		const { id } = await endpoint({ retry: { delaysMs: Array(20).fill(dayMs / 4), jitter: 0 } });
		bus.emit("order.paid", {});
		await clock.advance(2.25 * dayMs);
		expect(first.signals).toEqual(["created"]);
		await first.bridge.stop();
		const second = connectBridge(receiver, store, clock, given);
		const signals = watchSignals(second.bus);
		await clock.advance(0.25 * dayMs);
		expect(signals).toEqual(["failing"]);
		await clock.advance(2 * dayMs);
		expect(signals).toEqual(["failing", "failing"]);
		await second.bridge.stop();
		const third = connectBridge(receiver, store, clock, given);
		const last = watchSignals(third.bus);
		third.bus.emit("order.paid", { number: 2 });
		await clock.advance(0.5 * dayMs);
		expect(last).toEqual(["disabled failing"]);
		expect(await stateOf(third, id)).toMatchObject({ state: "disabled", disabledReason: "failing" });
		await third.bridge.idle();
		const { items } = await third.bridge.deliveries.list();
		expect(items.map(({ state }) => state)).toEqual(["cancelled", "dead"].slice(0, items.length));
	});

	test("410 disables, and what waited is cancelled", async () => {
		const { bus, bridge, receiver, endpoint, answer, signals, dead } = await setup();
		answer.status = 410;
		const { id } = await endpoint({ concurrency: 1 });
		for (let number = 0; number < 3; number++) bus.emit("order.paid", { number });
		await dead.next();
		await bridge.idle();
		expect(signals).toEqual(["created", "disabled gone"]);
		expect(await stateOf({ bridge }, id)).toMatchObject({ state: "disabled", disabledReason: "gone" });
		bus.emit("order.paid", {});
		await bridge.idle();
		const { items } = await bridge.deliveries.list();
		expect(items.filter(({ state }) => state === "dead")).toHaveLength(receiver.webhooks.items.length);
		expect(items.filter(({ state }) => state === "cancelled")).toHaveLength(
			3 - receiver.webhooks.items.length,
		);
	});

	test("cancels at once what a stop gave back, though the endpoint is paused too", async () => {
		const options = { breaker: { failures: 1 } };
		const { bus, bridge, clock, receiver, store, endpoint, failed } = await setupBridge({ options });
		const { id } = await endpoint();
		for (let number = 0; number < 2; number++) bus.emit("order.paid", { number });
		const [webhook] = await receiver.webhooks.take(2);
		webhook?.answer(500);
		await failed.next();
		await bridge.endpoints.disable(id);
		const stopped = bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await stopped;
		const next = connectBridge(receiver, store, clock, options);
		await next.bridge.idle();
		const { items } = await next.bridge.deliveries.list();
		expect(items.map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
		expect(receiver.webhooks.items).toHaveLength(2);
	});

	test("410 of a URL that was changed meanwhile disables nothing", async () => {
		const { bus, bridge, receiver, endpoint, dead } = await setupBridge();
		const { id } = await endpoint();
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		await bridge.endpoints.update(id, { url: `${receiver.origin}/new` });
		webhook.answer(410);
		await dead.next();
		await bridge.idle();
		expect(await stateOf({ bridge }, id)).toMatchObject({ state: "enabled" });
	});
});

describe("an update of the URL", () => {
	test("ends the pause of the old one", async () => {
		const { bus, bridge, clock, receiver, endpoint, failed, answer } = await setup();
		const { id } = await endpoint({ concurrency: 1 });
		for (let number = 0; number < 3; number++) bus.emit("order.paid", { number });
		await failed.take(2);
		answer.status = 204;
		await bridge.endpoints.update(id, { url: `${receiver.origin}/new` });
		await clock.advance(1_000);
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ path }) => path)).toEqual([
			...["/hooks", "/hooks", "/new", "/new", "/new"],
		]);
		await clock.advance(1_000);
		const { failingSince, pausedUntil } = (await bridge.endpoints.get(id)) ?? {};
		expect([failingSince, pausedUntil]).toEqual([undefined, undefined]);
	});
});
