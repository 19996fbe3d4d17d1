import { createRequire } from "node:module";
import { expect, onTestFinished } from "vitest";
import type { OutboxStore, StoreStats } from "../../../src/outbox/ports.ts";
import { postgresStore } from "../../../src/stores/postgres/index.ts";
import type { SqliteDatabase } from "../../../src/stores/sqlite/index.ts";
import { dropSchema, findServer, freshSchema, serverPool } from "../../support/postgres.ts";
import { openFolder } from "../../support/sqlite.ts";
import { findNodeWithSqlite } from "./node24.ts";
import type { StorePlace } from "./store-place.ts";

/** A kind of store that outlives the programs which use it. */
export interface StoreKind {
	/** With the word why it is skipped. */
	readonly name: string;
	readonly isThere: boolean;
	/** What its programs run on; this Node when undefined. */
	readonly node: string | undefined;
	/** A fresh store, which goes with the test. */
	open(): Promise<StoreAtRest>;
}

/** What is left of a store when no program uses it. */
export interface StoreAtRest {
	readonly place: StorePlace;
	/** How many deliveries are in each state. */
	countStates(): Promise<Record<string, number>>;
	/** Looks for damage that the store itself does not see. */
	checkIntegrity(): Promise<void>;
}

const found = await findNodeWithSqlite();
const server = await findServer();

const libsql: StoreKind = {
	...{ name: "SQLite on libsql", isThere: true, node: undefined },
	open: () => openFile("libsql"),
};
export const nodeSqlite: StoreKind = {
	name: `SQLite on node:sqlite, ${found.text}`,
	isThere: found.node !== undefined,
	node: found.node,
	open: () => openFile("node:sqlite"),
};
export const postgres: StoreKind = {
	name: server ?? "PostgreSQL, skipped: no server answers",
	isThere: server !== undefined,
	node: undefined,
	open: openSchema,
};

export const sqliteKinds: readonly StoreKind[] = [libsql, nodeSqlite];
export const storeKinds: readonly StoreKind[] = [...sqliteKinds, postgres];

/** The driver of SQLite that every Node has here. */
export const LibsqlDatabase = createRequire(import.meta.url)("libsql") as new (
	path: string,
) => SqliteDatabase;

async function openFile(driver: "libsql" | "node:sqlite"): Promise<StoreAtRest> {
	const { path, dispose } = await openFolder();
	onTestFinished(dispose);
	function read<Row>(sql: string): Row[] {
		const database = new LibsqlDatabase(path);
		try {
			return database.prepare(sql).all() as Row[];
		} finally {
			database.close();
		}
	}
	return {
		place: { driver, path },
		countStates: async () =>
			Object.fromEntries(
				read<{ readonly state: string; readonly count: number }>(
					"SELECT state, count(*) AS count FROM callhook_delivery GROUP BY state",
				).map(({ state, count }) => [state, count]),
			),
		async checkIntegrity() {
			expect(read("PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
			expect(read("PRAGMA foreign_key_check")).toEqual([]);
		},
	};
}

async function openSchema(): Promise<StoreAtRest> {
	const schema = freshSchema();
	const pool = serverPool({ max: 2 });
	const store = postgresStore({ pool, schema });
	onTestFinished(async () => {
		await store.close();
		await dropSchema(pool, schema);
		await pool.end();
	});
	const { host, port, user, password, database } = pool.options;
	return {
		place: { driver: "postgres", server: { host, port, user, password, database }, schema },
		countStates: () => countStates(store),
		// What a server's disk holds is the server's business.
		checkIntegrity: async () => undefined,
	};
}

async function countStates(store: OutboxStore): Promise<Record<string, number>> {
	const { targets }: StoreStats = await store.stats();
	const sums: Record<string, number> = {};
	for (const [state, count] of targets.flatMap(({ states }) => Object.entries(states))) {
		if (count > 0) sums[state] = (sums[state] ?? 0) + count;
	}
	return sums;
}
