import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { generateSecret } from "callhook/webhook";
import { startLocalServer } from "../local-server.ts";
import { parcelEvents } from "./catalog.ts";
import { createMirroredBus, type Peer } from "./peer.ts";

const [toWarehouse, toShop] = [generateSecret(), generateSecret()];
const { bus, receive, connect } = createMirroredBus("/shop", "order.*", parcelEvents);
const server = await startLocalServer(receive(toShop));

const shopForWarehouse: Peer = { port: server.port, secretOut: toShop, secretIn: toWarehouse };
const warehouse = fork(fileURLToPath(new URL("warehouse.ts", import.meta.url)), {
	execArgv: ["--import", "tsx"],
	env: { ...process.env, SHOP: JSON.stringify(shopForWarehouse) },
});
const [port] = await once(warehouse, "message", { signal: AbortSignal.timeout(30_000) });
const connection = await connect({ port, secretOut: toWarehouse, secretIn: toShop });
const seen: unknown[] = [];
warehouse.on("message", (message) => seen.push(message));

bus.on("order.paid", ({ orderId }) => console.log(`shop: order.paid ${orderId}`));
bus.on("parcel.sent", ({ orderId, tracking }) => console.log(`shop: parcel.sent ${orderId}, ${tracking}`));

const told: unknown[] = [];
for (const orderId of ["o_1", "o_2"]) {
	const parcel = bus.waitFor("parcel.sent", {
		where: ({ data }) => data.orderId === orderId,
		timeoutMs: 30_000,
	});
	const { event } = bus.emit("order.paid", { orderId, dueAt: "2026-12-24T00:00:00Z" });
	told.push({ orderId, id: event.id });
	await parcel;
}

await connection.close();
warehouse.disconnect();
const [code] = await once(warehouse, "exit");
await server.close();

// Each event once on either side, under one id, and no echo: the orders did not come back.
assert.equal(code, 0);
assert.deepEqual(seen, told);
console.log("both sides saw the same events, with the same ids and types");
