// Emits one event and delivers what there is; dies at the point that CALLHOOK_CRASH_AT names. What it dies in stands
// between the store and its database, or between the bus and its store: nothing in src knows of it.
import { createBus } from "../../../src/bus/index.ts";
import type { OutboxStore } from "../../../src/outbox/ports.ts";
import type { SqliteDatabase } from "../../../src/stores/sqlite/index.ts";
import type { StorePlace } from "../support/store-place.ts";
import { die, input, listen, say } from "./link.ts";
import { openDatabase } from "./open-database.ts";

export type CrashPoint =
	/** The tables are half made; the tables are made and not committed. */
	| "in-migration"
	| "before-migration-commit"
	/** Of the event. */
	| "before-commit"
	| "after-commit"
	| "after-claim"
	/** The handler has done its work, and nobody knows. */
	| "after-send"
	| "before-settle"
	| "after-settle";

export interface CrashPointsInput {
	readonly place: StorePlace;
	readonly emits: boolean;
	readonly port: number | undefined;
}

const { place, emits, port } = input<CrashPointsInput>();
const crashAt = process.env.CALLHOOK_CRASH_AT as CrashPoint | undefined;

function dieAt(point: CrashPoint): void {
	if (point === crashAt) die();
}

/** A database that dies in or around the transactions that matter. */
function openFragile(path: string, driver: "libsql" | "node:sqlite"): SqliteDatabase {
	const database = openDatabase(path, driver);
	let holds: "event" | "tables" | undefined;
	return {
		exec(sql) {
			const [half] = sql.split("CREATE TABLE callhook_attempt");
			if (half !== sql) {
				holds = "tables";
				if (crashAt === "in-migration") database.exec(half as string);
				dieAt("in-migration");
			}
			if (sql === "COMMIT" && holds === "tables") dieAt("before-migration-commit");
			if (sql === "COMMIT" && holds === "event") dieAt("before-commit");
			database.exec(sql);
			if (sql !== "COMMIT") return;
			if (holds === "event") dieAt("after-commit");
			holds = undefined;
		},
		prepare(sql) {
			const statement = database.prepare(sql);
			const note = (): void => {
				if (sql.includes("INSERT INTO callhook_event")) holds = "event";
			};
			return {
				run(...values) {
					note();
					return statement.run(...values);
				},
				all(...values) {
					note();
					return statement.all(...values);
				},
			};
		},
		close: () => database.close(),
	};
}

async function openSqlite(path: string, driver: "libsql" | "node:sqlite"): Promise<OutboxStore> {
	const { sqliteStore } = await import("../../../src/stores/sqlite/index.ts");
	return sqliteStore({ database: openFragile(path, driver), leaderLeaseMs: 100 });
}

/** The same for PostgreSQL, where an append is one statement with a commit of its own. */
async function openPostgres({ server, schema }: StorePlace & { driver: "postgres" }): Promise<OutboxStore> {
	const { default: pg } = await import("pg");
	const { postgresStore } = await import("../../../src/stores/postgres/index.ts");
	const pool = new pg.Pool({ ...server, max: 3 });
	pool.on("connect", (client) => {
		const query = client.query.bind(client) as (text: string, values?: unknown) => Promise<unknown>;
		let holdsTables = false;
		/** What dies instead of the statement; the caller hears no more. */
		function breakQuery(text: string, values: unknown): boolean {
			const isAppend = text.includes(".append(") && Array.isArray(values);
			if (isAppend && crashAt === "before-commit") {
				void query("BEGIN")
					.then(() => query(text, values))
					.then(die);
				return true;
			}
			if (isAppend && crashAt === "after-commit") {
				void query(text, values).then(die);
				return true;
			}
			const [half] = text.split(`CREATE TABLE "${schema}".attempt`);
			if (half !== text) {
				holdsTables = true;
				if (crashAt !== "in-migration") return false;
				void query(half as string).then(die);
				return true;
			}
			if (text === "COMMIT" && holdsTables) dieAt("before-migration-commit");
			return false;
		}
		client.query = ((text: string, values: unknown, ...rest: []) =>
			breakQuery(text, values) ? new Promise(() => undefined) : query(text, values, ...rest)) as never;
	});
	return postgresStore({ pool, schema, pollMs: 50 });
}

function breakDelivery(store: OutboxStore): OutboxStore {
	return {
		...store,
		async claim(groups, leaseMs) {
			const claims = await store.claim(groups, leaseMs);
			if (claims.some(({ event }) => event.type === "order.paid")) dieAt("after-claim");
			return claims;
		},
		async settle(settlements) {
			const isDone = settlements.some(({ to }) => to.state === "delivered");
			if (isDone) dieAt("before-settle");
			const results = await store.settle(settlements);
			if (isDone) dieAt("after-settle");
			return results;
		},
	};
}

listen((text) => {
	if (text === "die") die();
});
const store =
	place.driver === "postgres" ? await openPostgres(place) : await openSqlite(place.path, place.driver);
// What a server has committed could be claimed by this process before it hears of the commit and dies.
const deliver = crashAt !== "after-commit";
// So short that the next process need not wait long, and so long that a busy machine does not hold this one up for it.
const bus = createBus({ store: breakDelivery(store), outbox: { leaseMs: 1_000, deliver } });
let idle: () => Promise<void>;
if (port === undefined) {
	const handler = bus.handle(
		"order.paid",
		(_data, { event, attempt }) => {
			say("delivered", event.id, attempt);
			dieAt("after-send");
		},
		{ name: "log", durable: true },
	);
	idle = handler.idle;
} else {
	const { createWebhookBridge } = await import("../../../src/webhook/index.ts");
	const bridge = createWebhookBridge(bus, {
		forward: ["order.*"],
		network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
	});
	if (emits) await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/`, events: ["**"] });
	idle = bridge.idle;
}
if (emits) {
	const { event, stored } = bus.emit("order.paid", { total: 4_200 });
	say("emitted", event.id);
	await stored;
	say("stored", event.id);
}
await idle();
say("drained");
process.exit();
