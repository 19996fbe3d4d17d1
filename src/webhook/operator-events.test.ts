import { describe, expect, test } from "vitest";
import { z } from "zod";
import { setupBridge } from "../../test/support/bridge.ts";
import { type HttpReceiver, type ReceivedWebhook, startReceiver } from "../../test/support/http-receiver.ts";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createWebhookBridge, webhookEvents } from "./index.ts";

const dayMs = 86_400_000;
const events = defineEvents({ ...webhookEvents, "order.paid": z.object({ id: z.string() }) });

/** A bus with the operator events in its catalog, and a bridge that emits them. */
async function setup(
	decide: (webhook: ReceivedWebhook) => number | undefined,
	forward = ["order.*", "webhook.**"],
) {
	const receiver: HttpReceiver = await startReceiver(decide);
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const errors: unknown[] = [];
	const bus = createBus({ events, store, clock, onError: (error) => errors.push(error) });
	const bridge = createWebhookBridge(bus, {
		...{ forward, operatorEvents: true, breaker: false, disableAfterMs: 2 * dayMs },
		retry: { delaysMs: [dayMs, dayMs / 2, dayMs / 2], jitter: 0 },
		network: { allow: [`127.0.0.1/32:${receiver.port}`], allowHttp: true },
	});
	const emitted: string[] = [];
	bus.on("webhook.**", (_data, event) => void emitted.push(event.type));
	const create = (path: string, patterns: string[], tenant?: string) =>
		bridge.endpoints.create({ url: receiver.origin + path, events: patterns, tenant });
	async function stop(): Promise<void> {
		const stopped = bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await stopped;
		await receiver.quiet();
		expect(errors).toEqual([]);
		expect(clock.timers).toBe(0);
	}
	return { receiver, clock, bus, bridge, emitted, create, stop };
}

describe("operatorEvents", () => {
	test("go to an endpoint of the operator, and fit the catalog", async () => {
		let status = 500;
		const all = await setup(({ path }) => (path === "/operator" ? 204 : status));
		const { receiver, clock, bus, bridge, create } = all;
		await create("/operator", ["webhook.**"]);
		const bad = await create("/bad", ["order.*"], "t1");
		const sent = async () => (await receiver.webhooks.next()).message;
		bus.emit("order.paid", { id: "1" });
		await sent();
		await clock.advance(dayMs);
		await sent();
		const about = { endpointId: bad.id, url: `${receiver.origin}/bad`, tenant: "t1" };
		const failingSince = "2026-01-01T00:00:00.000Z";
		expect(await sent()).toMatchObject({
			type: "webhook.endpoint.failing",
			data: { ...about, failingSince, disabledAt: "2026-01-03T00:00:00.000Z" },
		});
		status = 204;
		await clock.advance(dayMs / 2);
		await sent();
		expect(await sent()).toMatchObject({
			type: "webhook.endpoint.recovered",
			data: { ...about, failingSince },
		});
		status = 410;
		const { event } = bus.emit("order.paid", { id: "2" });
		await sent();
		const last = [await sent(), await sent()];
		expect(last).toHaveLength(2);
		expect(last).toContainEqual(
			expect.objectContaining({ type: "webhook.endpoint.disabled", data: { ...about, reason: "gone" } }),
		);
		expect(last).toContainEqual(
			expect.objectContaining({
				type: "webhook.delivery.dead",
				data: {
					...{ deliveryId: expect.any(String), eventId: event.id, type: "order.paid" },
					...{ endpointId: bad.id, attempts: 1 },
				},
			}),
		);
		await bridge.idle();
		await all.stop();
	});

	test("cause no further ones, though the operator's endpoint fails, to its end", async () => {
		const all = await setup(() => 500);
		const { clock, bus, bridge, create, emitted } = all;
		await create("/operator", ["webhook.**"]);
		await create("/bad", ["order.*"]);
		bus.emit("order.paid", { id: "1" });
		for (let days = 0; days < 20; days += 0.5) {
			await clock.advance(dayMs / 2);
			while (all.receiver.open > 0) await all.receiver.connections();
			await clock.advance(0);
		}
		await bridge.idle();
		expect(emitted.length).toBeLessThan(10);
		expect(emitted.filter((type) => type === "webhook.delivery.dead")).toHaveLength(1);
		await all.stop();
	});

	test("are emitted although forward does not let them out", async () => {
		const all = await setup(() => 410, ["order.*"]);
		const { bus, bridge, create, emitted, receiver } = all;
		await create("/a", ["**"]);
		bus.emit("order.paid", { id: "1" });
		await bridge.idle();
		await all.clock.advance(0);
		expect(emitted.sort()).toEqual(["webhook.delivery.dead", "webhook.endpoint.disabled"]);
		expect(receiver.webhooks.items).toHaveLength(1);
		await all.stop();
	});

	test("are none by default", async () => {
		const { bus, bridge, endpoint } = await setupBridge({ decide: () => 410 });
		const emitted: string[] = [];
		bus.on("webhook.**", (_data: unknown, event: { readonly type: string }) => void emitted.push(event.type));
		await endpoint();
		bus.emit("order.paid", {});
		await bridge.idle();
		expect(emitted).toEqual([]);
	});

	test("need a catalog that has them, all of them, or none at all", async () => {
		const { "webhook.delivery.dead": _, ...some } = webhookEvents;
		const options = { forward: ["order.*"], operatorEvents: true };
		for (const catalog of [{}, some]) {
			const known = defineEvents({ ...catalog, "order.paid": z.unknown() });
			const bus = createBus({ events: known, store: memoryStore() });
			const error = thrownBy(() => createWebhookBridge(bus, options));
			expect(optionOf(error)).toBe("operatorEvents");
			expect(error.message).toContain("webhook.delivery.dead");
			await createWebhookBridge(bus, { forward: ["order.*"] }).stop();
		}
		await createWebhookBridge(createBus({ store: memoryStore() }), options).stop();
	});
});
