import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPaymentProvider, createSecret, news, startMailProvider, startWarehouse } from "./outside.ts";
import type { ShopSettings } from "./settings.ts";

const folder = await mkdtemp(join(tmpdir(), "callhook-payments-"));
let shop: ChildProcess | undefined;
let killAt: string | undefined = "o_2";

// The receipt of o_2 is mailed, and before the shop learns of it SIGKILL ends the shop.
const mail = await startMailProvider((orderId) => {
	if (orderId !== killAt) return false;
	killAt = undefined;
	return shop?.kill("SIGKILL") ?? false;
});
const warehouse = await startWarehouse();
const paymentSecret = createSecret();
const settings: ShopSettings = {
	path: join(folder, "shop.db"),
	port: 0,
	mailUrl: mail.url,
	paymentSecret,
	warehouse: { url: warehouse.url, secret: warehouse.secret, network: warehouse.network },
};

const port = await startShop(0);
const shopUrl = `http://127.0.0.1:${port}`;
const { bus: payments, bridge } = await createPaymentProvider(port, paymentSecret);
try {
	const orders = { o_1: 1_000, o_2: 2_000, o_3: 3_000 };
	for (const [orderId, total] of Object.entries(orders)) {
		await fetch(shopUrl, { method: "POST", body: JSON.stringify({ orderId, total }) });
	}

	const first = fulfilled("o_1");
	const { event } = payments.emit("payment.succeeded", { orderId: "o_1", total: orders.o_1 });
	await first;
	console.log("o_1 is paid: receipt mailed, parcel packed");

	const forged = await fetch(`${shopUrl}/payments`, { method: "POST", body: '{"data":{"orderId":"o_3"}}' });
	assert.equal(forged.status, 401);
	console.log(`a payment of o_3 without a signature is refused: ${forged.status}, ${await statusOf("o_3")}`);

	const died = once(shop as ChildProcess, "exit");
	const second = fulfilled("o_2");
	payments.emit("payment.succeeded", { orderId: "o_2", total: orders.o_2 });
	const [, signal] = await died;
	console.log(`o_2 is paid: ${signal} while its receipt is being mailed`);

	const third = fulfilled("o_3");
	const isRefused = new Promise((resolve) => payments.observe("attempt:failed", resolve));
	payments.emit("payment.succeeded", { orderId: "o_3", total: orders.o_3 });
	await isRefused;
	console.log("o_3 is paid: nobody answers, the payment provider will try again");

	await startShop(port);
	console.log("the shop is back");
	await second;
	console.log("o_2: receipt mailed, parcel packed");
	await third;
	console.log("o_3: receipt mailed, parcel packed");

	await bridge.idle();
	await bridge.deliveries.redeliver({ eventId: event.id, state: "delivered" });
	await bridge.idle();
	const [again] = (await bridge.deliveries.list({ eventId: event.id })).items;
	console.log(`the payment of o_1 comes again: ${again?.attempts.at(-1)?.responseBody}`);

	for (const orderId of Object.keys(orders)) assert.equal(await statusOf(orderId), "paid");
	assert.deepEqual(mail.mails.toSorted(), Object.keys(orders));
	assert.equal(mail.requests(), 4);
	assert.deepEqual(warehouse.packed().toSorted(), Object.keys(orders));
	console.log("3 orders paid, 4 requests for 3 mails, 3 parcels");
} finally {
	await bridge.stop();
	await payments.close();
	if (shop?.exitCode === null && shop.signalCode === null) {
		const ended = once(shop, "exit");
		shop.kill();
		await ended;
	}
	await mail.close();
	await warehouse.close();
	await rm(folder, { recursive: true, force: true });
}

/** Starts the shop's process and returns the port it listens on. */
async function startShop(shopPort: number): Promise<number> {
	shop = fork(fileURLToPath(new URL("shop-process.ts", import.meta.url)), {
		execArgv: ["--import", "tsx"],
		env: { ...process.env, SHOP_SETTINGS: JSON.stringify({ ...settings, port: shopPort }) },
	});
	const [listening] = await once(shop, "message", { signal: AbortSignal.timeout(30_000) });
	return listening as number;
}

/** Waits until an order has its receipt and its parcel. */
async function fulfilled(orderId: string): Promise<void> {
	const options = {
		where: ({ data }: { data: { orderId: string } }) => data.orderId === orderId,
		timeoutMs: 30_000,
	};
	await Promise.all([news.waitFor("mail.sent", options), news.waitFor("parcel.packed", options)]);
}

async function statusOf(orderId: string): Promise<string> {
	return (await fetch(`${shopUrl}/${orderId}`)).text();
}
