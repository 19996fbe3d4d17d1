// Until an event is on disk: SQLite with one fsync a commit (synchronous = FULL), events of 1 kB, 1,000 in flight.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBus } from "callhook";
import { sqliteStore } from "callhook/sqlite";
import Database from "libsql";
import { measure, type Subject } from "./harness.ts";

const data = { orderId: "o_1", note: "x".repeat(950) };
const inFlight = 1_000;

const path = (): string => join(mkdtempSync(join(tmpdir(), "callhook-bench-")), "outbox.db");

/** The table and the index that a hand-written outbox has at least. */
function openByHand(): { insert(): void; exec(sql: string): void } {
	const database = new Database(path());
	database.exec("PRAGMA journal_mode = WAL");
	database.exec("PRAGMA synchronous = FULL");
	database.exec(`
		CREATE TABLE outbox (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, data TEXT NOT NULL, status INTEGER, due_at INTEGER);
		CREATE INDEX outbox_due ON outbox (status, due_at)`);
	const statement = database.prepare("INSERT INTO outbox (id, data, status, due_at) VALUES (?, ?, 0, ?)");
	let count = 0;
	return {
		insert: () => void statement.run(`evt_${count++}`, JSON.stringify(data), Date.now()),
		exec: (sql) => void database.exec(sql),
	};
}

const oneByOne: Subject = {
	name: "inserts by hand, one by one",
	create() {
		const { insert } = openByHand();
		return (operations) => {
			for (let i = 0; i < operations; i++) insert();
		};
	},
};

const inTransactions: Subject = {
	name: "inserts by hand, 100 in a transaction",
	create() {
		const { insert, exec } = openByHand();
		return (operations) => {
			for (let i = 0; i < operations; i += 100) {
				exec("BEGIN IMMEDIATE");
				for (let row = i; row < Math.min(i + 100, operations); row++) insert();
				exec("COMMIT");
			}
		};
	},
};

/** Each event has a delivery, which waits: another process would make it. */
const callhook: Subject = {
	name: "callhook, await emission.stored",
	create() {
		const bus = createBus<{ "order.paid": typeof data }>({
			...{ store: sqliteStore({ path: path(), driver: "libsql" }), outbox: { deliver: false } },
		});
		bus.handle("order.paid", () => undefined, { name: "receipts", durable: true });
		return async (operations) => {
			let left = operations;
			const producer = async (): Promise<void> => {
				while (left-- > 0) await bus.emit("order.paid", data).stored;
			};
			await Promise.all(Array.from({ length: inFlight }, producer));
		};
	},
};

await measure([
	{
		name: `emission.stored on SQLite, synchronous = FULL, ${inFlight.toLocaleString("en")} in flight`,
		baseline: oneByOne.name,
		operations: 10_000,
		rounds: 7,
		subjects: [oneByOne, inTransactions, callhook],
	},
]);
