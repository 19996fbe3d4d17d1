import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const errors = "src/errors.ts";

function readSources(): string {
	return readdirSync("src", { recursive: true, encoding: "utf8" })
		.map((path) => join("src", path))
		.filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && path !== errors)
		.map((path) => readFileSync(path, "utf8"))
		.join("\n");
}

function findAll(text: string, pattern: RegExp): string[] {
	return [...new Set([...text.matchAll(pattern)].map(([, code]) => code as string))].sort();
}

describe("table of errors in src/errors.ts", () => {
	const table = findAll(readFileSync(errors, "utf8"), /^\t(ERR_CALLHOOK_\w+):/gm);
	const sources = readSources();

	test("has every code that the sources name, in code or comments", () => {
		const named = findAll(sources, /\b(ERR_CALLHOOK_\w+)/g);
		expect(named.filter((code) => !table.includes(code))).toEqual([]);
	});

	test("has no code that is never thrown", () => {
		const thrown = findAll(sources, /new CallhookError\(\s*"(ERR_CALLHOOK_\w+)"/g);
		expect(table.filter((code) => !thrown.includes(code))).toEqual([]);
	});
});

describe("docs/reference/errors.md", () => {
	test("is what generate-errors.mjs makes of the table", () => {
		const made = execFileSync(process.execPath, ["docs/reference/generate-errors.mjs", "--print"], {
			encoding: "utf8",
		});
		const page = readFileSync("docs/reference/errors.md", "utf8");
		expect(page, "run: node docs/reference/generate-errors.mjs").toBe(made);
	});
});
