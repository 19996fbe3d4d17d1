// Runs every benchmark, each in a process of its own, and writes bench/results.json: `npm run bench [-- name …]`.
import { fork } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import type { Comparison } from "./harness.ts";

const folder = new URL(".", import.meta.url);
const resultsFile = new URL("results.json", folder);

interface Results {
	readonly machine: Record<string, string | number>;
	readonly benchmarks: Record<string, readonly Comparison[]>;
}

function runFile(file: string): Promise<readonly Comparison[]> {
	return new Promise((resolve, reject) => {
		const child = fork(fileURLToPath(new URL(file, folder)), {
			execArgv: [...process.execArgv, "--expose-gc"],
		});
		let results: readonly Comparison[] | undefined;
		child.on("message", (message) => {
			results = message as readonly Comparison[];
		});
		child.on("exit", (code) => {
			if (code === 0 && results !== undefined) resolve(results);
			else reject(new Error(`${file} ended with code ${code}`));
		});
	});
}

function readResults(): Results["benchmarks"] {
	try {
		return (JSON.parse(readFileSync(resultsFile, "utf8")) as Results).benchmarks;
	} catch {
		return {};
	}
}

const wanted = process.argv.slice(2);
const files = readdirSync(folder).filter((file) => file.endsWith(".bench.ts"));
const chosen = files.filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)));
if (chosen.length === 0) {
	console.error(`No benchmark is called ${wanted.join(", ")}; there are ${files.join(", ")}`);
	process.exit(2);
}
const benchmarks = { ...readResults() };
for (const file of chosen) {
	console.log(`\n── ${file}`);
	benchmarks[file.replace(".bench.ts", "")] = await runFile(file);
}
const machine = {
	measuredAt: new Date().toISOString(),
	node: process.version,
	v8: process.versions.v8,
	cpu: cpus()[0]?.model ?? "unknown",
	cores: cpus().length,
	memoryGiB: Math.round(totalmem() / 2 ** 30),
};
writeFileSync(resultsFile, `${JSON.stringify({ machine, benchmarks } satisfies Results, null, "\t")}\n`);
