import http from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { Inbox } from "../../test/support/inbox.ts";
import { listen } from "../../test/support/listener.ts";
import { createBus } from "../bus/index.ts";
import type { BusEvent } from "../event/index.ts";
import { createReceiver, toNodeHandler } from "../receiver/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createWebhookBridge } from "./index.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test("an event's traceparent comes out at the bus behind a receiver, and none where it has none", async () => {
	const clock = fakeClock();
	const [sending, receiving] = [createBus({ clock, store: memoryStore({ clock }) }), createBus({ clock })];
	const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
	const handler = toNodeHandler(createReceiver({ secrets: secret, bus: receiving, clock }));
	const { port } = await listen(http.createServer(handler));
	const network = { allow: [`127.0.0.1/32:${port}`], allowHttp: true };
	const bridge = createWebhookBridge(sending, { forward: ["order.*"], network });
	onTestFinished(() => bridge.stop({ timeoutMs: 0 }));
	await bridge.endpoints.create({ url: `http://127.0.0.1:${port}`, events: ["**"], secret });
	const received = new Inbox<BusEvent>();
	receiving.on("order.paid", (_, event) => received.push(event));
	for (const given of [traceparent, undefined]) {
		const { event } = sending.emit("order.paid", { orderId: "o_1" }, { traceparent: given });
		const { id, data, traceparent: got } = await received.next();
		expect([id, data, got]).toEqual([event.id, event.data, given]);
	}
	await bridge.idle();
});
