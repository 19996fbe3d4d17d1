import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import { rejectionOf } from "../../test/support/thrown.ts";
import type { LifecycleSignals } from "../bus/index.ts";

describe("while a request is under way", () => {
	test("an update of the URL counts for the next attempt, under the same id", async () => {
		const { bus, bridge, clock, receiver, endpoint, failed } = await setupBridge();
		const { id } = await endpoint({}, "/old");
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		await bridge.endpoints.update(id, { url: `${receiver.origin}/new`, timeoutMs: 500 });
		webhook.answer(500);
		await failed.next();
		await clock.advance(5_000);
		const next = await receiver.webhooks.next();
		expect([next.path, next.id]).toEqual(["/new", webhook.id]);
		next.answer(204);
		await bridge.idle();
		// What the old one answered does not count against the new one.
		expect(await bridge.endpoints.get(id)).not.toHaveProperty("failingSince");
	});

	test("a deletion, twice, lets it end and loses what comes of it", async () => {
		const { bus, bridge, clock, receiver, endpoint } = await setupBridge();
		const { id } = await endpoint();
		const told: string[] = [];
		bus.observe("endpoint:deleted", ({ endpointId }) => void told.push(endpointId));
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		const both = await Promise.all([bridge.endpoints.delete(id), bridge.endpoints.delete(id)]);
		expect(both.sort()).toEqual([false, true]);
		expect(told).toEqual([id]);
		webhook.answer(410);
		await bridge.idle();
		await clock.advance(10_000);
		expect(await bridge.endpoints.get(id)).toBeUndefined();
	});

	test("a deletion and an enabling leave nothing of it behind", async () => {
		const { bridge, endpoint } = await setupBridge();
		const { id } = await endpoint();
		const [deleted] = await Promise.allSettled([
			...[bridge.endpoints.delete(id), bridge.endpoints.enable(id), bridge.endpoints.disable(id)],
			...[bridge.endpoints.update(id, { description: "x" }), bridge.endpoints.rotateSecret(id)],
		]);
		expect(deleted).toEqual({ status: "fulfilled", value: true });
		expect(await bridge.endpoints.list()).toEqual({ items: [] });
	});

	test("410 for several of its requests at once disables once", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge();
		await endpoint({ concurrency: 4 });
		const told: string[] = [];
		bus.observe("endpoint:disabled", ({ reason }) => void told.push(reason));
		for (let number = 0; number < 8; number++) bus.emit("order.paid", { number });
		for (const webhook of await receiver.webhooks.take(4)) webhook.answer(410);
		await bridge.idle();
		expect(told).toEqual(["gone"]);
		const states = (await bridge.deliveries.list()).items.map(({ state }) => state);
		expect(states.every((state) => state === "dead" || state === "cancelled")).toBe(true);
	});

	test("a ping ends with the bridge", async () => {
		const { bridge, clock, receiver, endpoint } = await setupBridge();
		const { id } = await endpoint();
		const pinged = bridge.endpoints.ping(id);
		await receiver.webhooks.next();
		const stopped = bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await stopped;
		expect(await pinged).toMatchObject({ outcome: "failed" });
	});
});

describe("a bus that is closed under its bridge", () => {
	test("leaves no timer that goes on for ever", async () => {
		const { bus, bridge, clock, endpoint, failed, errors } = await setupBridge({ decide: () => 500 });
		await endpoint();
		bus.emit("order.paid", {});
		await failed.next();
		await bus.close();
		await clock.advance(60_000);
		expect(clock.timers).toBe(0);
		await bridge.stop();
		// Its health could not be written down.
		expect(errors.splice(0).length).toBeLessThanOrEqual(1);
	});
});

describe("secrets", () => {
	const secret = `whsec_${Buffer.alloc(32, "s").toString("base64")}`;
	const hidden = [secret.slice(6), "hunter2"];

	test("are in no signal, no error, no list and no history", async () => {
		const { bus, bridge, clock, endpoint, dead } = await setupBridge({
			decide: () => 500,
			options: {
				retry: { delaysMs: [1_000], jitter: 0 },
				transforms: { t: () => ({ headers: { "x-token": "hunter2" } }) },
			},
		});
		const seen: unknown[] = [];
		const names: (keyof LifecycleSignals)[] = [
			...([
				"attempt:failed",
				"delivery:dead",
				"endpoint:created",
				"endpoint:updated",
				"endpoint:rotated",
			] as const),
			...(["endpoint:disabled", "endpoint:paused", "endpoint:deleted"] as const),
		];
		for (const name of names) bus.observe(name, (info) => void seen.push(name, info));
		const { id } = await endpoint({
			secret,
			transform: "t",
			headers: { authorization: "hunter2", cookie: "hunter2" },
		});
		bus.emit("order.paid", {});
		await clock.advance(0);
		while (dead.items.length === 0) {
			await clock.advance(1_000);
			await bridge.deliveries.list();
		}
		seen.push(await bridge.endpoints.ping(id), await bridge.deliveries.list(), await bridge.endpoints.list());
		seen.push(await bridge.endpoints.update(id, { description: "x" }), await bridge.endpoints.disable(id));
		seen.push(await rejectionOf(bridge.endpoints.update(id, { headers: { authorization: "hunter2\n" } })));
		await bridge.endpoints.rotateSecret(id);
		await bridge.endpoints.delete(id);
		const text = inspect(seen, {
			depth: Number.POSITIVE_INFINITY,
			maxStringLength: null,
			maxArrayLength: null,
		});
		for (const part of hidden) expect(text).not.toContain(part);
		expect(new Set(seen.filter((each) => typeof each === "string")).size).toBeGreaterThan(6);
	});
});

describe("thousands of endpoints", () => {
	test("with rate limits and pauses get what is theirs, and leave nothing behind", async () => {
		const { bus, bridge, clock, store, endpoint, receiver } = await setupBridge({
			decide: ({ path }) => (path === "/bad" ? 500 : 204),
			options: { breaker: { failures: 1 }, retry: { delaysMs: [], jitter: 0 } },
		});
		// As other processes would have made them.
		const limited = await endpoint({ rateLimit: { count: 1, perMs: 1_000 } });
		const bad = await endpoint({}, "/bad");
		for (const [{ id }, count] of [
			[limited, 2_000],
			[bad, 100],
		] as const) {
			const document = (await store.endpoints.get(id))?.document ?? "";
			for (let number = 1; number < count; number++) {
				const other = `${id}_${number}`;
				await store.endpoints.put({ id: other, document: document.replaceAll(id, other) });
			}
		}
		await clock.advance(1_000);
		bus.emit("order.paid", {});
		await receiver.webhooks.take(2_100);
		while (receiver.open > 0) await receiver.connections();
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(2_100);
		await clock.advance(1_000);
		// A timer for the pauses, one for what is written soon, and those of the store's housekeeping.
		expect(clock.timers).toBeLessThan(5);
	});
});
