import { isBuiltin } from "node:module";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

// DESIGN decision 13 asks for 8 kB. Raised, here and in .size-limit.mjs, only in the commit that needs it, with the
// reason: the entry holds the memory store (2.8 kB) and, for every bus, the outbox with its relay (2.3 kB); each option
// is checked with a message of its own; and all that issue 3 asks of the bus are methods of one object, which no bundler
// can leave out: bounded queues, batches, rates, dead letters, middleware, waitFor, stream, hold, delays, replay, pipes
// and the two facades (10 kB). Issue 4 added durable handlers with their dead letters (2 kB), upcasts, and an outbox that
// outlives its store's failures and keeps house (2 kB); checks of what user functions return and of middleware (1 kB); what
// killed its process runs alone, and messages say which name was meant (0.8 kB). Issue 5: targets that are slow, paced or
// closed take no places of others, endpoints have revisions, types have examples (1.2 kB). A backlog without jobs, and thousands of subscriptions or blocked events that end
// at once in linear time, took 0.4 kB, reading a received event of an older version 0.2 kB. What an application pays that has
// no store is measured beside it.
const coreCeilingBytes = 35_000;
const busCeilingBytes = 31_500;

/** Bundles what is exported from an entry for the browser; packages and node: modules stay imports. */
async function bundle(entry: string, names = "*"): Promise<{ gzippedBytes: number; imports: string[] }> {
	const { outputFiles, metafile } = await build({
		stdin: { contents: `export ${names} from "./${entry}";`, resolveDir: ".", loader: "ts" },
		bundle: true,
		packages: "external",
		platform: "browser",
		format: "esm",
		minify: true,
		metafile: true,
		write: false,
	});
	const code = outputFiles.map((file) => file.text).join("");
	const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
	return { gzippedBytes: gzipSync(code, { level: 9 }).length, imports: [...new Set(imports)].sort() };
}

describe("bundle of callhook", async () => {
	const core = await bundle("src/index.ts");

	test("imports its three dependencies and no node: module", () => {
		expect(core.imports).toEqual(["eventemitter3", "p-queue", "uuid"]);
	});

	test("stays under its ceiling without its dependencies", () => {
		expect(core.gzippedBytes).toBeLessThanOrEqual(coreCeilingBytes);
	});

	test("stays under its ceiling where only a bus and a catalog are used", async () => {
		const { gzippedBytes } = await bundle("src/index.ts", "{ createBus, defineEvents }");
		expect(gzippedBytes).toBeLessThanOrEqual(busCeilingBytes);
	});
});

describe("bundle of callhook/receiver", async () => {
	const receiver = await bundle("src/receiver/index.ts");

	test("imports no node: module", () => {
		expect(receiver.imports.filter((path) => isBuiltin(path))).toEqual([]);
	});
});
