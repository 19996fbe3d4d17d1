import { describe, expect, test, vi } from "vitest";
import { type BridgeSetup, connectBridge, setupBridge } from "../../test/support/bridge.ts";
import type { ReceivedWebhook } from "../../test/support/http-receiver.ts";
import { fakeClock } from "../testing/index.ts";

function emitMany({ bus }: BridgeSetup, count: number, type = "order.paid"): void {
	for (let number = 1; number <= count; number++) bus.emit(type, { number });
}

/**
 * Keeps so many requests waiting for an answer, and lets connections come and go before it answers the oldest, so that
 * a request beyond the limit has every chance to show. Returns how many were open at most, in all and by path.
 */
async function answerAll({ receiver }: BridgeSetup, total: number, open: number) {
	const waiting: ReceivedWebhook[] = [];
	const most = new Map<string, number>();
	for (let arrived = 1; arrived <= total; arrived++) {
		const webhook = await receiver.webhooks.next();
		waiting.push(webhook);
		const here = waiting.filter(({ path }) => path === webhook.path).length;
		most.set(webhook.path, Math.max(here, most.get(webhook.path) ?? 0));
		if (waiting.length < open) continue;
		for (let probes = 0; probes < 3; probes++) await receiver.connections();
		waiting.shift()?.answer(204);
	}
	for (const webhook of waiting) webhook.answer(204);
	return { all: receiver.maxOpen, byPath: Object.fromEntries(most) };
}

describe("concurrency", () => {
	test("of an endpoint is reached and never exceeded", async () => {
		const setup = await setupBridge();
		await setup.endpoint({ concurrency: 3 });
		emitMany(setup, 30);
		expect(await answerAll(setup, 30, 3)).toEqual({ all: 3, byPath: { "/hooks": 3 } });
		await setup.bridge.idle();
	});

	test("of an endpoint is 4 where nothing is said", async () => {
		const setup = await setupBridge();
		await setup.endpoint();
		emitMany(setup, 20);
		expect(await answerAll(setup, 20, 4)).toEqual({ all: 4, byPath: { "/hooks": 4 } });
		await setup.bridge.idle();
	});

	test("of the bridge is reached and never exceeded, over all endpoints", async () => {
		const setup = await setupBridge({ options: { concurrency: 5 } });
		const paths = ["/a", "/b", "/c", "/d"];
		for (const path of paths) await setup.endpoint({ concurrency: 2 }, path);
		emitMany(setup, 20);
		const { all, byPath } = await answerAll(setup, 80, 5);
		expect(all).toBe(5);
		for (const path of paths) expect(byPath[path], path).toBeLessThanOrEqual(2);
		await setup.bridge.idle();
	});

	test("of the bridge limits an endpoint that allows more", async () => {
		const setup = await setupBridge({ options: { concurrency: 2 } });
		await setup.endpoint({ concurrency: 1_000 });
		emitMany(setup, 20);
		expect((await answerAll(setup, 20, 2)).all).toBe(2);
		await setup.bridge.idle();
	});

	test("is the endpoint's own from the first request after a restart", async () => {
		const clock = fakeClock();
		const earlier = await setupBridge({ clock });
		const { receiver, store } = earlier;
		await earlier.endpoint({ concurrency: 3 });
		emitMany(earlier, 12);
		await receiver.webhooks.take(3);
		const stopped = earlier.bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await stopped;
		await receiver.quiet();
		const setup = { ...earlier, ...connectBridge(receiver, store, clock) };
		expect(await answerAll(setup, 12, 3)).toEqual({ all: 3, byPath: { "/hooks": 3 } });
		await setup.bridge.idle();
	});
});

describe("a store that cannot tell the endpoints yet", () => {
	test("puts deliveries off and counts no attempt", async () => {
		const clock = fakeClock();
		const earlier = await setupBridge({ clock });
		const { receiver, store } = earlier;
		await earlier.endpoint();
		const { stored } = earlier.bus.emit("order.paid", {});
		await Promise.all([earlier.bridge.stop(), stored]);
		const failure = new Error("not yet");
		vi.spyOn(store.endpoints, "changes").mockRejectedValueOnce(failure);
		const later = connectBridge(receiver, store, clock);
		await clock.advance(1_000);
		(await receiver.webhooks.next()).answer(204);
		expect(await later.delivered.next()).toMatchObject({ attempts: 1 });
		expect(later.errors.splice(0)).toEqual([failure]);
	});
});

describe("an endpoint that hangs", () => {
	test("delays no other", async () => {
		const setup = await setupBridge({ decide: ({ path }) => (path === "/good" ? 204 : undefined) });
		await setup.endpoint({ concurrency: 1, events: ["order.bad"] }, "/bad");
		const { id } = await setup.endpoint({ concurrency: 1, events: ["order.good"] }, "/good");
		emitMany(setup, 100, "order.bad");
		emitMany(setup, 50, "order.good");
		for (const { target } of await setup.delivered.take(50)) expect(target).toBe(id);
		expect(setup.receiver.open).toBe(1);
	});

	test("delays no other when there are many of its kind, each with a backlog", async () => {
		const setup = await setupBridge({
			decide: ({ path }) => (path === "/good" ? 204 : undefined),
			options: { concurrency: 22 },
		});
		for (let i = 1; i <= 21; i++)
			await setup.endpoint({ concurrency: 1, events: ["order.bad"] }, `/bad/${i}`);
		await setup.endpoint({ concurrency: 1, events: ["order.good"] }, "/good");
		emitMany(setup, 20, "order.bad");
		await setup.receiver.webhooks.take(21);
		// Only now: the places must still be there when all who hang have taken what they can get.
		emitMany(setup, 50, "order.good");
		await setup.delivered.take(50);
		expect(setup.receiver.open).toBe(21);
	});

	test("delays no other when it retries without end", async () => {
		const setup = await setupBridge({
			decide: ({ path }) => (path === "/good" ? 204 : 500),
			options: { concurrency: 2, breaker: false, retry: { delaysMs: Array(100).fill(0), jitter: 0 } },
		});
		await setup.endpoint({ events: ["order.bad"] }, "/bad");
		await setup.endpoint({ events: ["order.good"] }, "/good");
		emitMany(setup, 10, "order.bad");
		await setup.failed.take(20);
		emitMany(setup, 20, "order.good");
		await setup.delivered.take(20);
		expect(setup.dead.items).toEqual([]);
	});
});
