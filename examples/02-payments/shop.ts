import { createBus } from "callhook";
import { sqliteStore } from "callhook/sqlite";
import { createWebhookBridge } from "callhook/webhook";
import Database from "libsql";
import { shopEvents } from "./events.ts";
import type { ShopSettings } from "./settings.ts";

/** The shop: its orders and its outbox are in one SQLite file, so that a crash leaves both or neither. */
export async function openShop({ path, mailUrl, warehouse }: ShopSettings) {
	const database = new Database(path);
	database.exec(`
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = FULL;
		CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, total INTEGER NOT NULL, status TEXT NOT NULL);
	`);
	// A second after a crash the next process takes over; the default is five.
	const store = sqliteStore({ database, leaderLeaseMs: 1_000 });
	const bus = createBus({ events: shopEvents, source: "/shop", store });

	// The receipt: kept in the store until it is mailed. The same event may be mailed again after a crash, so the mail
	// provider gets its id and can tell.
	bus.handle(
		"order.paid",
		async (order, { event, signal }) => {
			const headers = { "content-type": "application/json", "idempotency-key": event.id };
			const response = await fetch(mailUrl, { method: "POST", headers, body: JSON.stringify(order), signal });
			if (!response.ok) throw new Error(`The mail provider answered ${response.status}`);
		},
		{ name: "receipts", durable: true, concurrency: 4, timeoutMs: 10_000 },
	);

	// The warehouse: a webhook. Its endpoint is in the store, too, and so is there already after a restart.
	const bridge = createWebhookBridge(bus, {
		forward: ["order.paid"],
		network: warehouse.network,
		retry: { delaysMs: [200, 500, 1_000] },
	});
	if ((await bridge.endpoints.list()).items.length === 0) {
		await bridge.endpoints.create({ url: warehouse.url, secret: warehouse.secret, events: ["order.paid"] });
	}

	// A payment: the order is marked as paid and the event of it is stored, both or neither. One at a time, since they share
	// one connection and so one transaction. An order that is paid already stays as it is.
	const payments = bus.handle(
		"payment.succeeded",
		async ({ orderId, total }) => {
			using held = bus.hold();
			database.exec("BEGIN IMMEDIATE");
			try {
				const { changes } = database
					.prepare("UPDATE orders SET status = 'paid' WHERE id = ? AND total = ? AND status = 'open'")
					.run(orderId, total);
				if (changes === 1) {
					held.emit("order.paid", { orderId, total });
					await held.store(database);
				}
				database.exec("COMMIT");
				if (changes === 0) return "nothing to pay";
			} catch (error) {
				database.exec("ROLLBACK");
				throw error;
			}
			held.release();
			return "paid";
		},
		{ name: "payments", concurrency: 1 },
	);

	return {
		bus,
		payments,

		placeOrder(orderId: string, total: number): void {
			database.prepare("INSERT INTO orders (id, total, status) VALUES (?, ?, 'open')").run(orderId, total);
		},

		statusOf(orderId: string): string {
			const row = database.prepare("SELECT status FROM orders WHERE id = ?").get(orderId);
			return (row as { status: string } | undefined)?.status ?? "unknown";
		},
	};
}
