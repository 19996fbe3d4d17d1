// The other program: a warehouse in a process of its own. main.ts, the shop, starts it.
import { startLocalServer } from "../local-server.ts";
import { orderEvents } from "./catalog.ts";
import { createMirroredBus, type Peer } from "./peer.ts";

const shop = JSON.parse(process.env.SHOP ?? "") as Peer;
const { bus, receive, connect } = createMirroredBus("/warehouse", "parcel.*", orderEvents);
const server = await startLocalServer(receive(shop.secretIn));
const connection = await connect(shop);

// As if the order had been paid in this process: the compiler knows that `dueAt` is a Date.
bus.on("order.paid", ({ orderId, dueAt }, { id }) => {
	console.log(`warehouse: order.paid ${orderId}, due on ${dueAt.toISOString().slice(0, 10)}`);
	process.send?.({ orderId, id });
	bus.emit("parcel.sent", { orderId, tracking: `TRACK-${orderId}` });
});

process.send?.(server.port);
process.once("disconnect", async () => {
	await connection.close();
	await server.close();
});
