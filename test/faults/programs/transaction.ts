// Stores an order and its event in one transaction of its own database, and ends it as it is told.
import { createBus } from "../../../src/bus/index.ts";
import type { OutboxStore } from "../../../src/outbox/ports.ts";
import type { StorePlace } from "../support/store-place.ts";
import { die, input, listen, say } from "./link.ts";
import { openDatabase } from "./open-database.ts";

export type TransactionEnd =
	| "commit"
	| "rollback"
	/** The next line does not run. */
	| "commit and die"
	| "die before the commit";

export interface TransactionInput {
	readonly place: StorePlace;
	/** Without one it only delivers. */
	readonly end: TransactionEnd | undefined;
}

/** The application's own database, which is the store's too. */
interface Application {
	readonly store: OutboxStore;
	/** Runs `work` in a transaction, with what `held.store` takes. */
	transaction(end: TransactionEnd, work: (tx: unknown) => Promise<void>): Promise<void>;
	countOrders(): Promise<number>;
}

const { place, end } = input<TransactionInput>();
const createOrders = "CREATE TABLE IF NOT EXISTS";

async function openSqlite(path: string, driver: "libsql" | "node:sqlite"): Promise<Application> {
	const { sqliteStore } = await import("../../../src/stores/sqlite/index.ts");
	const database = openDatabase(path, driver);
	database.exec(`${createOrders} orders (id TEXT)`);
	return {
		store: sqliteStore({ database, leaderLeaseMs: 100 }),
		async transaction(how, work) {
			database.exec("BEGIN IMMEDIATE");
			database.prepare("INSERT INTO orders VALUES (?)").run("o_1");
			await work(database);
			if (how === "die before the commit") die();
			database.exec(how === "rollback" ? "ROLLBACK" : "COMMIT");
			if (how === "commit and die") die();
		},
		async countOrders() {
			const [row] = database.prepare("SELECT count(*) AS count FROM orders").all();
			return (row as { readonly count: number }).count;
		},
	};
}

async function openPostgres({ server, schema }: StorePlace & { driver: "postgres" }): Promise<Application> {
	const { default: pg } = await import("pg");
	const { postgresStore } = await import("../../../src/stores/postgres/index.ts");
	const pool = new pg.Pool({ ...server, max: 4 });
	await pool.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
	await pool.query(`${createOrders} "${schema}".orders (id text)`);
	return {
		store: postgresStore({ pool, schema, pollMs: 50 }),
		async transaction(how, work) {
			const client = await pool.connect();
			await client.query("BEGIN");
			await client.query(`INSERT INTO "${schema}".orders VALUES ('o_1')`);
			await work(client);
			if (how === "die before the commit") die();
			await client.query(how === "rollback" ? "ROLLBACK" : "COMMIT");
			if (how === "commit and die") die();
			client.release();
		},
		async countOrders() {
			const { rows } = await pool.query(`SELECT count(*)::integer AS count FROM "${schema}".orders`);
			return (rows[0] as { readonly count: number }).count;
		},
	};
}

listen();
const { store, transaction, countOrders } =
	place.driver === "postgres" ? await openPostgres(place) : await openSqlite(place.path, place.driver);
// Who dies must not deliver before.
const deliver = end === undefined || !end.includes("die");
const bus = createBus({ store, outbox: { deliver } });
const handler = bus.handle("order.paid", (data) => say("delivered", (data as { id: string }).id), {
	name: "log",
	durable: true,
});
bus.on("order.paid", () => say("called back"));
if (end !== undefined) {
	const held = bus.hold();
	held.emit("order.paid", { id: "o_1" });
	await transaction(end, async (tx) => {
		await held.store(tx);
		say("stored");
	});
	if (end === "rollback") held.discard();
	else held.release();
}
await handler.idle();
say("orders", await countOrders());
process.exit();
