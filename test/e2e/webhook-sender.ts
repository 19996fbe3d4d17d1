// A process that sends webhooks and stops in the middle of everything; afterwards it must end by itself.
import { createBus, memoryStore } from "../../src/index.ts";
import { createWebhookBridge } from "../../src/webhook/index.ts";

/** What still keeps the process running, beside the channel to its parent. */
export interface Leftovers {
	readonly resources: readonly string[];
}

const port = Number(process.argv[2]);
const bus = createBus({ store: memoryStore() });
const bridge = createWebhookBridge(bus, {
	forward: ["order.*"],
	// A retry that nobody will live to see.
	retry: { delaysMs: [36_000_000], jitter: 0 },
	network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
});
for (const path of ["good", "bad", "slow"]) {
	await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/${path}`, events: ["**"] });
}
bus.emit("order.paid", {});

process.once("message", async () => {
	await bridge.stop({ timeoutMs: 0 });
	// Sockets close in the next turn of the event loop.
	await new Promise((resolve) => setImmediate(resolve));
	const resources = process.getActiveResourcesInfo();
	process.send?.({ resources } satisfies Leftovers, () => process.disconnect());
});
