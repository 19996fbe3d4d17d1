import { describe, expect, test, vi } from "vitest";
import { type BridgeSetup, connectBridge, setupBridge } from "../../test/support/bridge.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createWebhookBridge } from "./index.ts";

async function statesOf({ bridge }: Pick<BridgeSetup, "bridge">): Promise<string[]> {
	const { items } = await bridge.deliveries.list();
	return items.map(({ state }) => state).reverse();
}

describe("stop() - waits", () => {
	test("for requests under way, and settles what comes of them", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", { number: 1 });
		bus.emit("order.paid", { number: 2 });
		const [first, second] = await receiver.webhooks.take(2);
		const stopping = watch(bridge.stop({ timeoutMs: 10_000 }));
		await clock.advance(9_999);
		expect(stopping.isOver).toBe(false);
		first?.answer(204);
		await setup.delivered.next();
		expect(stopping.isOver).toBe(false);
		second?.answer(503);
		await stopping.promise;
		expect(await statesOf(setup)).toEqual(["delivered", "waiting"]);
	});

	test("not for ever for a store that does not answer while an endpoint is disabled", async () => {
		const { bus, bridge, clock, receiver, store, endpoint, errors } = await setupBridge();
		await endpoint();
		bus.emit("order.paid", {});
		const asked = createDeferred<void>();
		vi.spyOn(store.endpoints, "put").mockImplementation(() => {
			asked.resolve();
			return new Promise(() => undefined);
		});
		(await receiver.webhooks.next()).answer(410);
		await asked.promise;
		const stopping = watch(bridge.stop({ timeoutMs: 1_000 }));
		// What the attempts may take, then what the store may, for them and for the endpoints.
		await clock.advance(1_000 + 5_000 + 5_000);
		await stopping.promise;
		expect(errors.splice(0).map(String)).toEqual([
			expect.stringContaining("The store did not answer for 5000 ms"),
			expect.stringContaining("The store did not answer for 5000 ms"),
		]);
	});

	test("ten seconds where nothing is said", async () => {
		const { bus, bridge, clock, receiver, endpoint } = await setupBridge({ options: { timeoutMs: 60_000 } });
		await endpoint();
		bus.emit("order.paid", {});
		await receiver.webhooks.next();
		const stopping = watch(bridge.stop());
		await clock.advance(9_999);
		expect(stopping.isOver).toBe(false);
		await clock.advance(1);
		await stopping.promise;
	});

	test("so long only: then it ends them and gives them back, their attempts not counted", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, receiver, store } = setup;
		await setup.endpoint();
		bus.emit("order.paid", { number: 1 });
		await receiver.webhooks.next();
		const stopping = bridge.stop({ timeoutMs: 1_000 });
		await clock.advance(1_000);
		await stopping;
		await receiver.quiet();
		expect(setup.failed.items).toEqual([]);
		expect((await bridge.deliveries.list()).items).toMatchObject([{ state: "pending", attempts: [] }]);
		const later = connectBridge(receiver, store, clock);
		(await receiver.webhooks.next()).answer(204);
		expect(await later.delivered.next()).toMatchObject({ attempts: 1, attempt: { number: 1 } });
	});

	test("longer than a lease lasts, without losing what is delivered meanwhile", async () => {
		const setup = await setupBridge({ options: { timeoutMs: 300_000 } });
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		const stopping = bridge.stop({ timeoutMs: 300_000 });
		await clock.advance(200_000);
		webhook.answer(204);
		await stopping;
		expect(await statesOf(setup)).toEqual(["delivered"]);
	});

	test("until the store has taken back what had not started", async () => {
		const setup = await setupBridge();
		const { bus, bridge, receiver, store } = setup;
		await setup.endpoint({ concurrency: 1 });
		for (let number = 1; number <= 2; number++) bus.emit("order.paid", { number });
		const webhook = await receiver.webhooks.next();
		const written = createDeferred<void>();
		const release = store.release.bind(store);
		vi.spyOn(store, "release").mockImplementation((tokens) => written.promise.then(() => release(tokens)));
		const stopping = watch(bridge.stop());
		webhook.answer(204);
		await setup.delivered.next();
		await setup.clock.advance(0);
		expect(stopping.isOver).toBe(false);
		written.resolve();
		await stopping.promise;
		expect(await statesOf(setup)).toEqual(["delivered", "pending"]);
	});
});

describe("stop() - gives back", () => {
	test("what had not started at once, in its old state", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint({ concurrency: 1 });
		for (let number = 1; number <= 4; number++) bus.emit("order.paid", { number });
		const webhook = await receiver.webhooks.next();
		const stopping = watch(bridge.stop());
		await clock.advance(0);
		expect(await statesOf(setup)).toEqual(["in_flight", "pending", "pending", "pending"]);
		expect(stopping.isOver).toBe(false);
		webhook.answer(204);
		await stopping.promise;
		expect(await statesOf(setup)).toEqual(["delivered", "pending", "pending", "pending"]);
		expect(receiver.webhooks.items).toHaveLength(1);
	});

	test("claims that the store makes while it stops", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, store, receiver } = setup;
		await setup.endpoint();
		const answered = createDeferred<void>();
		const asked = createDeferred<void>();
		const claim = store.claim.bind(store);
		vi.spyOn(store, "claim").mockImplementation(async (...args) => {
			const claims = await claim(...args);
			if (claims.some(({ group }) => group === "webhooks")) {
				asked.resolve();
				await answered.promise;
			}
			return claims;
		});
		bus.emit("order.paid", {});
		await asked.promise;
		const stopping = watch(bridge.stop());
		await clock.advance(0);
		expect(stopping.isOver).toBe(false);
		answered.resolve();
		await stopping.promise;
		expect(await statesOf(setup)).toEqual(["pending"]);
		expect(receiver.webhooks.items).toEqual([]);
	});
});

describe("stop() - afterwards", () => {
	test("events are not taken any more, and what is stored is left alone", async () => {
		const setup = await setupBridge({ decide: () => 503 });
		const { bus, bridge, clock, store, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", {});
		await setup.failed.next();
		await bridge.stop();
		bus.emit("order.paid", {});
		await clock.advance(1_000_000);
		expect(await statesOf(setup)).toEqual(["waiting"]);
		expect((await store.query({}, {})).items).toHaveLength(1);
		expect(receiver.webhooks.items).toHaveLength(1);
		await bridge.idle();
	});

	test("no timer and no connection is left, whatever was going on", async () => {
		const answers = [204, 503, undefined];
		const setup = await setupBridge({ decide: () => answers.shift() });
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint();
		for (let number = 1; number <= 3; number++) bus.emit("order.paid", { number });
		await receiver.webhooks.take(3);
		await setup.delivered.next();
		await setup.failed.next();
		expect(clock.timers).toBeGreaterThan(0);
		const stopping = bridge.stop({ timeoutMs: 1 });
		await clock.advance(1);
		await stopping;
		expect(clock.timers).toBe(0);
		await receiver.quiet();
	});

	test("no timer is left when the store is just being asked what comes next", async () => {
		const { bus, bridge, clock, store, failed, endpoint } = await setupBridge({ decide: () => 503 });
		await endpoint();
		bus.emit("order.paid", {});
		await failed.next();
		const answered = createDeferred<void>();
		const asked = createDeferred<void>();
		const nextDueInMs = store.nextDueInMs.bind(store);
		vi.spyOn(store, "nextDueInMs").mockImplementation(async (request) => {
			const dueInMs = await nextDueInMs(request);
			asked.resolve();
			await answered.promise;
			return dueInMs;
		});
		bus.emit("order.paid", {});
		await asked.promise;
		const stopping = bridge.stop();
		answered.resolve();
		await stopping;
		expect(clock.timers).toBe(0);
	});

	test("events that were stored and not routed are found by the next bridge", async () => {
		const clock = fakeClock();
		const earlier = await setupBridge({ clock });
		const { receiver, store } = earlier;
		await earlier.endpoint();
		const emission = earlier.bus.emit("order.paid", {});
		await Promise.all([earlier.bridge.stop(), emission.stored]);
		expect(receiver.webhooks.items).toEqual([]);
		connectBridge(receiver, store, clock);
		const webhook = await receiver.webhooks.next();
		expect(webhook.id).toBe(emission.event.id);
		webhook.answer(204);
	});
});

describe("stop() - called", () => {
	test("again does nothing", async () => {
		const { bridge } = await setupBridge();
		await bridge.stop();
		await bridge.stop();
		await bridge[Symbol.asyncDispose]();
	});

	test("again while it waits hurts nobody: both wait for the same end", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		const both = [watch(bridge.stop()), watch(bridge.stop())];
		await clock.advance(9_999);
		expect(both.map(({ isOver }) => isOver)).toEqual([false, false]);
		webhook.answer(204);
		await Promise.all(both.map(({ promise }) => promise));
		expect(await statesOf(setup)).toEqual(["delivered"]);
	});

	test("again does not stop the bridge that has come after it", async () => {
		const { bus, bridge, clock, store, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		await endpoint();
		await bridge.stop();
		const network = { allow: [`127.0.0.1:${receiver.port}`], allowHttp: true };
		const next = createWebhookBridge(bus, { forward: ["order.*"], network });
		await bridge.stop();
		bus.emit("order.paid", {});
		await receiver.webhooks.next();
		await next.idle();
		expect((await store.query({}, {})).items).toMatchObject([{ state: "delivered" }]);
		await next.stop();
		await clock.advance(0);
	});

	test("while its bus drains waits like the bus", async () => {
		const setup = await setupBridge();
		const { bus, bridge, clock, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		const draining = bus.drain();
		await clock.advance(0);
		const stopping = watch(bridge.stop());
		await clock.advance(1_000);
		expect(stopping.isOver).toBe(false);
		webhook.answer(204);
		await Promise.all([draining, stopping.promise]);
		expect(await statesOf(setup)).toEqual(["delivered"]);
	});

	test("with a wrong timeoutMs is refused, and stops nothing", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		await endpoint();
		for (const timeoutMs of [-1, Number.NaN, "1", null, 2_147_483_648]) {
			const error = await rejectionOf(bridge.stop({ timeoutMs: timeoutMs as number }));
			expect(optionOf(error), String(timeoutMs)).toBe("timeoutMs");
		}
		bus.emit("order.paid", {});
		await receiver.webhooks.next();
	});

	test("by the end of a scope", async () => {
		const setup = await setupBridge({ decide: () => 204 });
		{
			await using bridge = setup.bridge;
			await bridge.idle();
		}
		setup.bus.emit("order.paid", {});
		expect((await setup.store.query({}, {})).items).toEqual([]);
	});

	test("by a bus that closes", async () => {
		const setup = await setupBridge();
		const { bus, clock, receiver } = setup;
		await setup.endpoint();
		bus.emit("order.paid", {});
		await receiver.webhooks.next();
		const closing = bus.close();
		await clock.advance(0);
		await closing;
		expect(await statesOf(setup)).toEqual(["pending"]);
	});
});
