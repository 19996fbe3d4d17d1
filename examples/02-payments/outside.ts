// The world outside the shop: a mail provider, a warehouse, a payment provider.
import { randomBytes } from "node:crypto";
import { json } from "node:stream/consumers";
import { createBus, memoryStore } from "callhook";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { createWebhookBridge } from "callhook/webhook";
import { startLocalServer } from "../local-server.ts";
import { paymentEvents, shopEvents } from "./events.ts";

/** What the outside has got, for those who wait for it. */
export const news = createBus<{ "mail.sent": { orderId: string }; "parcel.packed": { orderId: string } }>();

export const createSecret = () => `whsec_${randomBytes(32).toString("base64")}`;

/**
 * Mails each idempotency key once, whatever it is asked. `interrupt` is told what was mailed before the answer goes out;
 * with `true` there is none.
 */
export async function startMailProvider(interrupt: (orderId: string) => boolean) {
	const keys = new Set<string>();
	const mails: string[] = [];
	let requests = 0;
	const server = await startLocalServer(async (request, response) => {
		requests++;
		const { orderId } = (await json(request)) as { orderId: string };
		const key = String(request.headers["idempotency-key"]);
		if (!keys.has(key)) {
			keys.add(key);
			mails.push(orderId);
		}
		if (interrupt(orderId)) return;
		response.end();
		news.emit("mail.sent", { orderId });
	});
	return { ...server, mails, requests: () => requests };
}

/** Packs a parcel for each order that is paid; a webhook that comes again packs nothing. */
export async function startWarehouse() {
	const secret = createSecret();
	const bus = createBus({ events: shopEvents, source: "/warehouse" });
	const packed = new Map<string, string>();
	bus.on("order.paid", ({ orderId }, { id }) => {
		if (packed.has(id)) return;
		packed.set(id, orderId);
		news.emit("parcel.packed", { orderId });
	});
	const server = await startLocalServer(toNodeHandler(createReceiver({ secrets: secret, bus })));
	return { ...server, secret, packed: () => [...packed.values()] };
}

/** Tells the shop of payments, and tells it again until the shop has answered. */
export async function createPaymentProvider(shopPort: number, secret: string) {
	const bus = createBus({ events: paymentEvents, source: "/payments", store: memoryStore() });
	const bridge = createWebhookBridge(bus, {
		forward: ["payment.*"],
		network: { allow: [`127.0.0.1:${shopPort}`], allowHttp: true },
		retry: { delaysMs: Array(40).fill(250) },
		breaker: false,
	});
	await bridge.endpoints.create({
		url: `http://127.0.0.1:${shopPort}/payments`,
		secret,
		events: ["payment.*"],
	});
	return { bus, bridge };
}
