import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** Every module that loading one brings in: follows the imports that are left when types are erased. */
function loadedBy(url: URL, seen = new Set<string>()): Set<string> {
	if (seen.has(url.href)) return seen;
	seen.add(url.href);
	const statement = /^(?:import|export)\s(?!type\s)[^;]*?from "([^"]+)"/gm;
	for (const [, specifier = ""] of readFileSync(url, "utf8").matchAll(statement)) {
		if (specifier.startsWith(".")) loadedBy(new URL(specifier, url), seen);
		else seen.add(specifier);
	}
	return seen;
}

test("the receiver loads no node: module and no package, so that it runs on workers, Bun and Deno", () => {
	const loaded = [...loadedBy(new URL("./index.ts", import.meta.url))];
	expect(loaded.some((module) => module.endsWith("/signature/verify.ts"))).toBe(true);
	expect(loaded.filter((module) => !module.startsWith("file:"))).toEqual([]);
	const outgoing = loadedBy(new URL("../signature/index.ts", import.meta.url));
	expect(outgoing, "the check itself sees node: modules").toContain("node:crypto");
});
