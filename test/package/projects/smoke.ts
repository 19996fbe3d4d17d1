// A shop and a warehouse, written as a user would: compiled and run once as an ES module, once as CommonJS, which has no
// top-level await.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createBus, defineEvents } from "callhook";
import { postgresStore } from "callhook/postgres";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { sqliteStore } from "callhook/sqlite";
import { createWebhookBridge } from "callhook/webhook";
import { Pool } from "pg";
import { z } from "zod";

async function main(path: string): Promise<void> {
	const events = defineEvents({ "order.paid": z.object({ orderId: z.string(), total: z.int() }) });
	const store = sqliteStore({ path });
	const shop = createBus({ events, store });
	const warehouse = createBus({ events });
	warehouse.on("order.paid", ({ orderId }) => console.log(`webhook ${orderId}`));
	shop.on("order.*", ({ orderId }) => console.log(`callback ${orderId}`));
	shop.handle("order.paid", async ({ total }) => console.log(`handler ${total}`), {
		name: "receipts",
		durable: true,
		concurrency: 2,
	});

	const server = createServer();
	await once(server.listen(0, "127.0.0.1"), "listening");
	const { port } = server.address() as AddressInfo;
	const network = { allow: [`127.0.0.1:${port}`], allowHttp: true };
	const bridge = createWebhookBridge(shop, { forward: ["order.*"], network });
	const url = `http://127.0.0.1:${port}`;
	const { id, secret } = await bridge.endpoints.create({ url, events: ["order.paid"] });
	server.on("request", toNodeHandler(createReceiver({ secrets: secret, bus: warehouse })));

	const report = await shop.emit("order.paid", { orderId: "o_1", total: 4200 }).settled;
	report.throwIfFailed();
	await bridge.idle();
	const { items } = await bridge.deliveries.list({ endpointId: id });
	console.log(`deliveries ${items.map(({ state }) => state).join()}`);

	// Made, and never asked: there is no server.
	const pool = new Pool({ host: "127.0.0.1", port });
	console.log(`postgres ${postgresStore({ pool }).capabilities.sharing}`);

	await bridge.stop();
	await shop.close();
	await store.close();
	await pool.end();
	server.close();
}

main(process.argv[2] as string).catch((error: unknown) => {
	console.error(error);
	process.exitCode = 1;
});
