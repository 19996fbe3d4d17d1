// Webhooks from emit to 2xx: signed POSTs of 1 kB to one receiver, in a process of its own on loopback.
import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createBus, memoryStore, type OutboxStore } from "callhook";
import { sqliteStore } from "callhook/sqlite";
import { createWebhookBridge } from "callhook/webhook";
import { Pool } from "undici";
import { measure, type Subject } from "./harness.ts";
import { startReceiver } from "./receiver.ts";

const connections = 64;
const deliveries = 4_000;
/** How many events are emitted and not delivered at any time: the outbox is never empty, and no backlog grows. */
const inOutbox = 256;
const data = { orderId: "o_1", note: "x".repeat(950) };
const secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** What a program would write by hand: serialize, sign and POST, so many at once, over so many connections. */
const bareLoop: Subject = {
	name: "bare signed undici.Pool loop",
	create() {
		const started = startReceiver().then(({ port }) => new Pool(`http://127.0.0.1:${port}`, { connections }));
		const key = Buffer.from(secret, "base64");
		async function post(pool: Pool): Promise<void> {
			const id = `evt_${randomUUID()}`;
			const now = new Date();
			const timestamp = Math.floor(now.getTime() / 1_000);
			const body = JSON.stringify({ type: "order.paid", timestamp: now.toISOString(), data });
			const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
			const response = await pool.request({
				path: "/",
				method: "POST",
				headers: {
					"content-type": "application/json",
					"webhook-id": id,
					"webhook-timestamp": String(timestamp),
					"webhook-signature": `v1,${signature}`,
				},
				body,
			});
			if (response.statusCode !== 204) throw new Error(`status ${response.statusCode}`);
			await response.body.dump();
		}
		return async (operations) => {
			const pool = await started;
			let left = operations;
			const worker = async (): Promise<void> => {
				while (left-- > 0) await post(pool);
			};
			await Promise.all(Array.from({ length: connections }, worker));
		};
	},
};

/** Events from emit to 2xx, as many in the outbox at any time; tells how long the event loop was held up meanwhile. */
function callhook(name: string, open: () => OutboxStore): Subject {
	return {
		name,
		create() {
			const bus = createBus<{ "order.paid": typeof data }>({ store: open() });
			const started = startReceiver().then(async ({ port }) => {
				const bridge = createWebhookBridge(bus, {
					forward: ["order.*"],
					concurrency: connections,
					network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
				});
				await bridge.endpoints.create({
					...{ url: `http://127.0.0.1:${port}/`, events: ["order.*"], concurrency: connections },
					secret: `whsec_${secret}`,
				});
				return bridge;
			});
			let delivered = 0;
			let left = 0;
			bus.observe("delivery:delivered", () => {
				delivered++;
				if (left-- > 0) bus.emit("order.paid", data);
			});
			return async (operations) => {
				const bridge = await started;
				const delay = monitorEventLoopDelay({ resolution: 1 });
				delay.enable();
				delivered = 0;
				left = operations - inOutbox;
				for (let i = 0; i < inOutbox; i++) bus.emit("order.paid", data);
				await bridge.idle();
				delay.disable();
				if (delivered !== operations) throw new Error(`${delivered} of ${operations} were delivered`);
				console.log(`  ${name}: event loop delay p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`);
			};
		},
	};
}

const path = (): string => join(mkdtempSync(join(tmpdir(), "callhook-bench-")), "outbox.db");

await measure([
	{
		name: `webhook deliveries, ${connections} connections`,
		baseline: bareLoop.name,
		operations: deliveries,
		rounds: 7,
		subjects: [
			bareLoop,
			callhook("callhook, memory store", memoryStore),
			callhook("callhook, SQLite, synchronous = FULL", () => sqliteStore({ path: path(), driver: "libsql" })),
		],
	},
]);
