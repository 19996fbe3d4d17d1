import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SqliteDriver, sqliteStore } from "../../src/stores/sqlite/index.ts";
import type { FakeClock, StoreHarness } from "../../src/testing/index.ts";
import { fakeClock } from "../../src/testing/index.ts";

/** The drivers this Node can use: it has `node:sqlite` from 22.13 on. */
export const drivers: readonly SqliteDriver[] =
	process.getBuiltinModule("node:sqlite") === undefined ? ["libsql"] : ["node:sqlite", "libsql"];

/** A folder of its own for a database. */
export async function openFolder(): Promise<{ readonly path: string; dispose(): Promise<void> }> {
	const folder = await mkdtemp(join(tmpdir(), "callhook-"));
	return { path: join(folder, "outbox.db"), dispose: () => rm(folder, { recursive: true, force: true }) };
}

/** A store on a fresh file, which may be opened again, and by another store where the driver allows it. */
export async function openSqliteHarness(
	driver: SqliteDriver,
	clock: FakeClock = fakeClock(),
): Promise<StoreHarness> {
	const { path, dispose } = await openFolder();
	const open = () => sqliteStore({ path, driver, clock });
	const shared = driver === "libsql" ? {} : { openAnother: async () => open() };
	return { store: open(), advance: clock.advance, reopen: async () => open(), dispose, ...shared };
}
