import { createBus } from "callhook";
import { postgresStore } from "callhook/postgres";
import { Pool } from "pg";

/** What each process is told: where the tables are, and whether it works or only emits. */
export interface Role {
	readonly schema: string;
	readonly deliver: boolean;
}

export const ORDERS = 60;
export const CUSTOMERS = 6;

/**
 * The same program in every process: an event gets its rows from the handlers that are registered where it is emitted.
 *
 * The server is that of `DATABASE_URL`, else of `PGHOST` and the other variables of libpq.
 */
export function openOrders({ schema, deliver }: Role) {
	const url = process.env.DATABASE_URL;
	const pool = new Pool(
		url === undefined
			? {
					host: process.env.PGHOST ?? "127.0.0.1",
					user: process.env.PGUSER ?? "postgres",
					database: process.env.PGDATABASE ?? "test",
				}
			: { connectionString: url },
	);
	const store = postgresStore({ pool, schema, pollMs: 200 });
	// A second after a process died another one takes up its work; the default is 30.
	const bus = createBus<{ "order.placed": { order: number; customer: number } }>({
		store,
		outbox: { deliver, leaseMs: 1_000 },
	});

	bus.handle(
		"order.placed",
		async ({ order, customer }, { event, signal }) => {
			// The note is the work here: who did it, and once for each event, however often it is tried.
			await new Promise((resolve) => setTimeout(resolve, 25));
			signal.throwIfAborted();
			await pool.query(
				`INSERT INTO "${schema}_invoices" (event, "order", customer, worker) VALUES ($1, $2, $3, $4)
				ON CONFLICT (event) DO NOTHING`,
				[event.id, order, customer, process.pid],
			);
		},
		{
			name: "invoices",
			durable: true,
			concurrency: 2,
			// One at a time for each customer, in order, over all processes.
			key: ({ customer }) => String(customer),
		},
	);

	return {
		pool,
		/** Ends what is being done and gives back the rest; the pool stays open. */
		async stop(): Promise<void> {
			await bus.drain({ timeoutMs: 5_000 });
			await bus.close();
			await store.close();
		},
		bus,
	};
}
