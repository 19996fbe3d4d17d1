import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/stores/sqlite/driver.ts";
import { sqliteStore } from "../../src/stores/sqlite/index.ts";

const page = readFileSync(new URL("../../docs/reference/tables.md", import.meta.url), "utf8");

/** The columns that the page names for a table on SQLite. */
function documented(table: string): string[] {
	const [, section = ""] = new RegExp(`^## ${table}$(.*?)(?=^## )`, "msu").exec(page) ?? [];
	const [here = ""] = section.split("| column on PostgreSQL |");
	const cells = [...here.matchAll(/^\| (`[^|]+) \|/gmu)].map(([, cell]) => cell as string);
	return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/gu)].map(([, name]) => name as string));
}

describe("docs/reference/tables.md", () => {
	const { database } = openDatabase(":memory:", "libsql");
	database.exec("PRAGMA synchronous = FULL");
	sqliteStore({ database });

	test.each(["event", "delivery", "attempt", "endpoint", "receipt"])(
		"tells every column of %s, and no other",
		(table) => {
			const rows = database.prepare(`PRAGMA table_info(callhook_${table})`).all() as { name: string }[];
			expect(documented(table).sort()).toEqual(rows.map(({ name }) => name).sort());
		},
	);
});
