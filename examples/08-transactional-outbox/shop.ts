import { createBus, defineEvents } from "callhook";
import { sqliteStore } from "callhook/sqlite";
import Database from "libsql";
import { z } from "zod";

const events = defineEvents({ "order.placed": z.object({ orderId: z.string(), total: z.int() }) });

/** A shop on one SQLite file, which holds its orders and the outbox. */
export function openShop(path: string) {
	const database = new Database(path);
	database.exec(`
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = FULL;
		CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, total INTEGER NOT NULL);
	`);
	const store = sqliteStore({ database });
	const bus = createBus({ events, source: "/shop", store });

	bus.handle("order.placed", ({ orderId }) => console.log(`  ${orderId}: warehouse packs it`), {
		name: "pack",
		durable: true,
	});
	bus.on("order.placed", ({ orderId }) => console.log(`  ${orderId}: screen shows it`));

	/** Saves an order and its event, both or neither. `whenCommitted` runs before anybody is told. */
	async function placeOrder(orderId: string, total: number, whenCommitted: () => void): Promise<void> {
		using held = bus.hold();
		database.exec("BEGIN IMMEDIATE");
		try {
			database.prepare("INSERT INTO orders (id, total) VALUES (?, ?)").run(orderId, total);
			held.emit("order.placed", { orderId, total });
			await held.store(database);
			if (total > 1_000) throw new Error("card declined");
			database.exec("COMMIT");
		} catch (error) {
			database.exec("ROLLBACK");
			throw error; // leaving the block discards what is held
		}
		whenCommitted();
		held.release();
	}

	return {
		bus,
		placeOrder,
		orders: () =>
			database
				.prepare("SELECT id FROM orders ORDER BY id")
				.all()
				.map((row) => (row as { id: string }).id),
		async close(): Promise<void> {
			await bus.drain();
			await bus.close();
			await store.close();
			database.close();
		},
	};
}
