import type { OutboxStore } from "../../../src/outbox/ports.ts";
import { sqliteStore } from "../../../src/stores/sqlite/index.ts";
import type { StorePlace } from "../support/store-place.ts";

export interface OpenedStore {
	readonly store: OutboxStore;
	close(): Promise<void>;
}

/** Opens a store as an application does. What it does not need is not loaded: a program starts a thousand times. */
export async function openStore(place: StorePlace): Promise<OpenedStore> {
	if (place.driver !== "postgres") {
		const { path, driver, leaderLeaseMs = 100 } = place;
		const store = sqliteStore({ path, driver, leaderLeaseMs });
		return { store, close: () => store.close() };
	}
	const { default: pg } = await import("pg");
	const { postgresStore } = await import("../../../src/stores/postgres/index.ts");
	const pool = new pg.Pool({ ...place.server, max: 4 });
	const store = postgresStore({ pool, schema: place.schema, pollMs: 50 });
	return {
		store,
		async close() {
			await store.close();
			await pool.end();
		},
	};
}
