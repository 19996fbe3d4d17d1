// What many endpoints cost an emit: nothing is sent, since the store gives no claims out.
import { createBus, memoryStore, type OutboxStore } from "callhook";
import { createWebhookBridge } from "callhook/webhook";
import { measure, type Subject } from "./harness.ts";

const data = { orderId: "o_1", total: 4_200 };

function openStore(): OutboxStore {
	return { ...memoryStore(), claim: async () => [], nextDueInMs: async () => undefined };
}

/** `match` of the endpoints take the event. */
function stored(name: string, count: number, match: number, where?: Record<string, number>): Subject {
	return {
		name,
		create() {
			const store = openStore();
			const bus = createBus({ store });
			const lookup = async () => [{ address: "93.184.215.14", family: 4 as const }];
			const bridge = createWebhookBridge(bus, { forward: ["**"], network: { lookup } });
			const ready = (async () => {
				for (let index = 0; index < count; index++) {
					const events = [index < match ? "order.paid" : `order.for_${index % 1_000}`];
					await bridge.endpoints.create({ url: "https://hook.example/", events, where });
				}
			})();
			return async (operations) => {
				await ready;
				await bus.emit("order.paid", data).stored;
				let stored: Promise<unknown> = Promise.resolve();
				for (let i = 0; i < operations; i++) stored = bus.emit("order.paid", data).stored;
				await stored;
			};
		},
	};
}

await measure([
	{
		name: "emit and stored, webhook endpoints",
		baseline: "1 endpoint",
		operations: 1_000,
		rounds: 7,
		subjects: [
			stored("1 endpoint", 1, 1),
			stored("10,000 endpoints, 1 matches", 10_000, 1),
			stored("10,000 endpoints, 10 match", 10_000, 10),
			stored("1,000 endpoints with a filter, 1,000 asked, none matches", 1_000, 1_000, { "data.total": 1 }),
		],
	},
]);
