import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

describe("docs/reference", () => {
	test.each(["api", "options", "signals"])("%s.md is what its generator makes of the sources", (name) => {
		const generator = `docs/reference/generate-${name}.mjs`;
		const made = execFileSync(process.execPath, [generator, "--print"], { encoding: "utf8" });
		const page = readFileSync(`docs/reference/${name}.md`, "utf8");
		expect(page, `run: node ${generator}`).toBe(made);
	});

	test("options.md has every interface of options that an entry exports", () => {
		const exported = readdirSync("src", { recursive: true, encoding: "utf8" })
			.filter((path) => /^(?:(?:webhook|receiver|testing|diagnostics)\/)?index\.ts$/.test(path))
			.flatMap((path) => [...readFileSync(join("src", path), "utf8").matchAll(/\btype (\w+Options)\b/g)])
			.map(([, name]) => name as string);
		const generator = readFileSync("docs/reference/generate-options.mjs", "utf8");
		const missing = exported.filter((name) => !generator.includes(`of: "${name}"`));
		// Those of a test bus are the options of a bus.
		expect(missing).toEqual(["TestBusOptions"]);
	});

	test("the members of every object that a bus gives are in one of them", () => {
		const entry = readFileSync("src/bus/index.ts", "utf8");
		const exported = [...entry.matchAll(/\bexport type \{([^}]+)\}|\btype (\w+)/g)]
			.flatMap(([, list, name]) => list?.match(/\w+/g) ?? [name as string])
			.sort();
		const generators = ["api", "options", "signals"].map((name) =>
			readFileSync(`docs/reference/generate-${name}.mjs`, "utf8"),
		);
		const missing = exported.filter((name) => !generators.some((text) => text.includes(`"${name}"`)));
		// Functions, what a bus is given, and objects that are used as any other of their kind.
		expect(missing).toEqual([
			...["BusCustomEvent", "EmitMiddleware", "Emitter", "EmitterSource", "HandlerMiddleware", "Logger"],
			...["NodeStyleEmitter", "PipeTarget"],
		]);
	});
});
