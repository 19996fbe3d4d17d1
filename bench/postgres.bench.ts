// PostgreSQL, events of 1 kB: 100 in an append, 100 in a claim and its settlement, beside queries written by hand.
import type { GroupRequests, NewEvent } from "callhook";
import { postgresStore } from "callhook/postgres";
import { Pool } from "pg";
import { measure, type Subject } from "./harness.ts";

const dataJson = JSON.stringify({ orderId: "o_1", note: "x".repeat(950) });
const batch = 100;
const workers = 4;
const pool = new Pool({
	...{ host: process.env.PGHOST ?? "127.0.0.1", user: process.env.PGUSER ?? "postgres" },
	...{ database: process.env.PGDATABASE ?? "test", max: workers + 1 },
});
const schema = `callhook_bench_${process.pid}`;
const groups: GroupRequests = new Map([
	["webhooks", { limit: batch, limitPerTarget: batch, capacity: new Map() }],
]);

/** Runs `work` for `batch` rows at a time, several at once. */
async function inBatches(operations: number, work: () => Promise<unknown>): Promise<void> {
	let left = operations / batch;
	const worker = async (): Promise<void> => {
		while (left-- > 0) await work();
	};
	await Promise.all(Array.from({ length: workers }, worker));
}

/** One table with a unique key and an index on what is due: the least an outbox has. */
function openByHand(): { append(): Promise<unknown>; claimAndSettle(): Promise<void> } {
	const ready = (async () => {
		await pool.query(`CREATE SCHEMA ${schema}_hand`);
		await pool.query(`CREATE TABLE ${schema}_hand.outbox (
			seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, data text NOT NULL,
			status text NOT NULL, due_at timestamptz NOT NULL)`);
		await pool.query(`CREATE INDEX ON ${schema}_hand.outbox (status, due_at)`);
	})();
	let count = 0;
	return {
		async append() {
			await ready;
			const ids = Array.from({ length: batch }, () => `evt_${count++}`);
			const datas = ids.map(() => dataJson);
			await pool.query(
				`INSERT INTO ${schema}_hand.outbox (id, data, status, due_at)
				SELECT id, data, 'pending', now() FROM unnest($1::text[], $2::text[]) AS new (id, data)`,
				[ids, datas],
			);
		},
		async claimAndSettle() {
			const { rows } = await pool.query<{ seq: string }>(
				`UPDATE ${schema}_hand.outbox SET status = 'claimed' WHERE seq IN (
					SELECT seq FROM ${schema}_hand.outbox WHERE status = 'pending' AND due_at <= now()
					ORDER BY due_at LIMIT ${batch} FOR UPDATE SKIP LOCKED
				) RETURNING seq, id, data`,
			);
			await pool.query(`UPDATE ${schema}_hand.outbox SET status = 'done' WHERE seq = ANY ($1)`, [
				rows.map(({ seq }) => seq),
			]);
		},
	};
}

function openCallhook(): { append(): Promise<unknown>; claimAndSettle(): Promise<void> } {
	const store = postgresStore({ pool, schema });
	let count = 0;
	const makeEvent = (): NewEvent => ({
		event: {
			...{ id: `evt_${count++}`, type: "order.paid", time: "2026-01-01T00:00:00.000Z", source: "/" },
			...{ dataJson, metadataJson: "{}" },
		},
		deliveries: [{ group: "webhooks", target: "ep_1" }],
	});
	return {
		append: () => store.append(Array.from({ length: batch }, makeEvent)),
		async claimAndSettle() {
			const claims = await store.claim(groups, 60_000);
			await store.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" } })));
		},
	};
}

function appending(name: string, open: typeof openByHand): Subject {
	return {
		name,
		create() {
			const { append } = open();
			return (operations) => inBatches(operations, append);
		},
	};
}

function claiming(name: string, open: typeof openByHand): Subject {
	return {
		name,
		create() {
			const { append, claimAndSettle } = open();
			return async (operations) => {
				await inBatches(operations, append);
				const startedAt = performance.now();
				await inBatches(operations, claimAndSettle);
				const perSecond = Math.round((operations / (performance.now() - startedAt)) * 1_000);
				console.log(`  ${name}: ${perSecond.toLocaleString("en")} claims and settlements a second`);
			};
		},
	};
}

// Each subject is a process of its own, and leaves its schema when that ends.
if (process.env.BENCH_SUBJECT === undefined) {
	const { rows } = await pool.query<{ nspname: string }>(
		"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'callhook_bench_%'",
	);
	for (const { nspname } of rows) await pool.query(`DROP SCHEMA "${nspname}" CASCADE`);
}
await measure([
	{
		name: `PostgreSQL: append, ${batch} at a time, ${workers} at once`,
		baseline: "by hand",
		operations: 10_000,
		rounds: 5,
		subjects: [appending("by hand", openByHand), appending("callhook", openCallhook)],
	},
	{
		name: `PostgreSQL: append, claim and settle, ${batch} at a time, ${workers} at once`,
		baseline: "by hand",
		operations: 10_000,
		rounds: 5,
		subjects: [claiming("by hand", openByHand), claiming("callhook", openCallhook)],
	},
]);
if (process.env.BENCH_SUBJECT === undefined) await pool.end();
