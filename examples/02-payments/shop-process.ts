// The shop's process: its HTTP interface. main.ts starts it, kills it, and starts it again.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { isCallhookError } from "callhook";
import { toNodeHandler, verifyWebhook } from "callhook/receiver";
import type { ShopSettings } from "./settings.ts";
import { openShop } from "./shop.ts";

const settings = JSON.parse(process.env.SHOP_SETTINGS ?? "") as ShopSettings;
const shop = await openShop(settings);

async function answer(request: Request): Promise<Response> {
	const { pathname } = new URL(request.url);
	if (pathname === "/payments") return receivePayment(request);
	if (request.method === "POST") {
		const { orderId, total } = (await request.json()) as { orderId: string; total: number };
		shop.placeOrder(orderId, total);
		return new Response(null, { status: 201 });
	}
	return new Response(shop.statusOf(pathname.slice(1)));
}

/** Answers when the payment is written down, not before: what has no 2xx comes again. */
async function receivePayment(request: Request): Promise<Response> {
	const { headers } = request;
	const raw = new Uint8Array(await request.arrayBuffer());
	try {
		const { id, body } = await verifyWebhook({ body: raw, headers, secrets: settings.paymentSecret });
		const { data } = JSON.parse(new TextDecoder().decode(body));
		const report = await shop.bus.emit("payment.succeeded", data, { id }).settled;
		const outcome = report.outcomeOf(shop.payments);
		return outcome?.status === "fulfilled"
			? new Response(outcome.value)
			: new Response(null, { status: 500 });
	} catch (error) {
		if (isCallhookError(error, "ERR_CALLHOOK_INVALID_DATA")) return new Response(null, { status: 400 });
		if (isCallhookError(error)) return new Response(null, { status: 401 });
		throw error;
	}
}

const server = createServer(toNodeHandler({ fetch: answer })).listen(settings.port, "127.0.0.1");
await once(server, "listening");
process.send?.((server.address() as AddressInfo).port);
// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
