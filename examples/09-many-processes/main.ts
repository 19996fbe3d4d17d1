import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CUSTOMERS, ORDERS, openOrders } from "./orders.ts";

const schema = `callhook_example_${randomBytes(6).toString("hex")}`;
const invoices = `"${schema}_invoices"`;
// This process emits, and leaves the work to others.
const { pool, bus, stop } = openOrders({ schema, deliver: false });
const workers: ChildProcess[] = [];

try {
	await pool.query(`CREATE TABLE ${invoices} (
		event text PRIMARY KEY, "order" int NOT NULL, customer int NOT NULL, worker int NOT NULL, n serial)`);

	const emissions = Array.from({ length: ORDERS }, (_, order) =>
		bus.emit("order.placed", { order, customer: order % CUSTOMERS }),
	);
	await Promise.all(emissions.map(({ stored }) => stored));
	console.log(`${ORDERS} orders of ${CUSTOMERS} customers are stored`);

	for (let count = 0; count < 3; count++) {
		const program = fileURLToPath(new URL("worker.ts", import.meta.url));
		workers.push(fork(program, [schema], { execArgv: ["--import", "tsx"] }));
	}
	// Kill the first that has done something while it is at more.
	const killed = await until(async () => {
		const { rows } = await pool.query(`SELECT worker FROM ${invoices} LIMIT 1`);
		return workers.find(({ pid }) => pid === rows[0]?.worker);
	});
	const died = once(killed, "exit");
	killed.kill("SIGKILL");
	const [, signal] = await died;
	const before = await countInvoices();
	assert(before < ORDERS, "The worker died too late to prove anything");
	console.log(`three workers are at it; one of them is ended by ${signal}`);

	await until(async () => (await countInvoices()) === ORDERS);
	console.log(`the other two do the rest: ${ORDERS} invoices, one for each order`);

	const { rows: disordered } = await pool.query(`
		SELECT * FROM (SELECT "order", lag("order") OVER (PARTITION BY customer ORDER BY n) AS before FROM ${invoices}) pairs
		WHERE before > "order"`);
	assert.deepEqual(disordered, []);
	console.log("each customer's invoices are in the order of the orders");

	const { rows } = await pool.query(`SELECT count(DISTINCT worker)::int AS workers FROM ${invoices}`);
	assert(rows[0].workers >= 2, `${rows[0].workers} workers`);
} finally {
	await Promise.all(
		workers.map(async (worker) => {
			if (worker.exitCode !== null || worker.signalCode !== null) return;
			const ended = once(worker, "exit");
			if (worker.connected) worker.disconnect();
			await ended;
		}),
	);
	await stop();
	await pool.query(`DROP TABLE IF EXISTS ${invoices}; DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
	await pool.end();
}

async function countInvoices(): Promise<number> {
	const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${invoices}`);
	return rows[0].count;
}

/** Asks again and again until there is an answer. */
async function until<Answer>(ask: () => Promise<Answer>): Promise<NonNullable<Answer>> {
	for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20)) {
		const answer = await ask();
		if (answer) return answer;
	}
	throw new Error("Half a minute was not enough");
}
