// `node:sqlite` came with Node 22.13: where this Node is older, the tests of the SQLite store run once more on Node 24.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { findNodeWithSqlite } from "../faults/support/node24.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const isHere = process.getBuiltinModule("node:sqlite") !== undefined;

test.skipIf(isHere)(
	"sqliteStore() on node:sqlite passes on Node 24 what it passes here on libsql",
	async ({ skip }) => {
		const { node, text } = await findNodeWithSqlite();
		console.log(`sqliteStore() on node:sqlite: ${text}`);
		if (node === undefined) return skip();
		const files = ["test/contract/sqlite-store.test.ts", "src/stores/sqlite"];
		const args = [
			...["node_modules/vitest/vitest.mjs", "run", "--config", ".vitest.config.ts", ...files],
			...["--reporter=default", "--no-typecheck"],
		];
		// What the runner of this test has set is not for that one.
		const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
		const env = { ...Object.fromEntries(inherited), NO_COLOR: "1" };
		// A failure rejects, with all that was printed.
		const { stdout } = await promisify(execFile)(node, args, { cwd: root, env, maxBuffer: 2 ** 26 });
		const [, passed] = /^ *Tests +(\d+) passed \(\d+\)$/mu.exec(stdout) ?? [];
		expect(Number(passed), stdout).toBeGreaterThan(300);
	},
	120_000,
);
