import http from "node:http";
import { type Bus, type BusEvent, createBus, memoryStore } from "callhook";
import { createReceiver, type ReceiverOptions, toNodeHandler } from "callhook/receiver";
import { createWebhookBridge, type EndpointInput } from "callhook/webhook";
import { describe, expect, onTestFinished, test } from "vitest";
import { Inbox } from "../support/inbox.ts";
import { listen } from "../support/listener.ts";

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const origin = "shop.test";

function openBus(): Bus {
	const bus = createBus({ store: memoryStore(), source: "/shop" });
	onTestFinished(() => bus.close());
	return bus;
}

/** A server on loopback whose webhooks a bus receives. */
async function receive(bus: Bus, options: Partial<ReceiverOptions> = {}): Promise<number> {
	const receiver = createReceiver({ secrets: secret, bus, allowedOrigins: [origin], ...options });
	return (await listen(http.createServer(toNodeHandler(receiver)))).port;
}

/** A bridge that sends everything of a bus to a port. */
async function send(bus: Bus, port: number, fields: Partial<EndpointInput> = {}) {
	const network = { allow: [`127.0.0.1/32:${port}`], allowHttp: true };
	const bridge = createWebhookBridge(bus, { forward: ["**"], network, origin });
	onTestFinished(() => bridge.stop({ timeoutMs: 0 }));
	const url = `http://127.0.0.1:${port}/hooks`;
	const endpoint = await bridge.endpoints.create({ url, events: ["**"], secret, ...fields });
	return { bridge, endpoint };
}

describe("a bridge and a receiver over real sockets", () => {
	test.each(["challenge", "cloudevents"] as const)("agree by %s", async (verify) => {
		const [sending, receiving] = [openBus(), openBus()];
		const received = new Inbox<string>();
		receiving.on("**", (_, { type }) => received.push(type));
		const { bridge, endpoint } = await send(sending, await receive(receiving), { verify });
		expect(await bridge.endpoints.ping(endpoint.id)).toMatchObject({ outcome: "delivered", status: 204 });
		sending.emit("order.paid", {});
		expect(await received.next()).toBe("order.paid");
		await bridge.idle();
		expect(received.items).toEqual(["order.paid"]);
		expect((await bridge.endpoints.get(endpoint.id))?.state).toBe("enabled");
	});

	test.each([
		{ format: "standard", compress: "gzip" },
		{ format: "cloudevents-structured", compress: "gzip", verify: "challenge" },
		{ format: "cloudevents-binary", verify: "challenge" },
	] as const)("mirror an event: %j", async (fields) => {
		const [sending, receiving] = [openBus(), openBus()];
		const received = new Inbox<BusEvent>();
		receiving.on("order.*", (_, event) => received.push(event));
		const { bridge } = await send(sending, await receive(receiving), fields);
		const details = { subject: "o 1 é", key: "k", correlationId: "c", causationId: "d" };
		const { event } = sending.emit("order.paid", { note: "é".repeat(5_000) }, details);
		const got = await received.next();
		await bridge.idle();
		const expected = fields.format === "standard" ? {} : details;
		expect(got).toMatchObject({
			id: event.id,
			type: event.type,
			time: event.time,
			data: event.data,
			...expected,
		});
		const from = fields.format === "standard" ? { hops: 1 } : { hops: 1, source: "/shop" };
		expect(got.metadata).toEqual({ webhook: from });
	});

	test("two buses that mirror each other: an event does not come back", async () => {
		const [a, b] = [openBus(), openBus()];
		const [seenByA, seenByB] = [new Inbox<BusEvent>(), new Inbox<BusEvent>()];
		a.on("**", (_, event) => seenByA.push(event));
		b.on("**", (_, event) => seenByB.push(event));
		const there = await send(a, await receive(b));
		const back = await send(b, await receive(a));
		const { event } = a.emit("order.paid", {});
		expect((await seenByB.next()).id).toBe(event.id);
		await there.bridge.idle();
		await back.bridge.idle();
		expect([seenByA.items.length, seenByB.items.length]).toEqual([1, 1]);
		const { items } = await back.bridge.deliveries.list({});
		expect(items.map(({ state, attempts }) => [state, attempts[0]?.responseBody])).toEqual([
			["delivered", '{"ignored":"TOO_MANY_HOPS"}'],
		]);
	});
});
