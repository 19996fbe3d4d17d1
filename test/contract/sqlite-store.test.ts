import { storeContract } from "callhook/testing";
import { describe, test } from "vitest";
import { drivers, openSqliteHarness } from "../support/sqlite.ts";

describe.each(drivers)("sqliteStore() on %s", (driver) => {
	for (const { name, run } of storeContract(() => openSqliteHarness(driver))) test(name, run);
});
