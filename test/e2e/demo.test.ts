// `npm start` as a user runs it: its counts against the input, its exit codes, and what a Ctrl-C leaves behind.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, onTestFinished, test } from "vitest";

interface Example {
	readonly name: string;
	readonly examples: readonly { readonly action?: string }[];
}

/** Starts the demo as the leader of a process group of its own, as a shell does. */
function startDemo(
	...flags: readonly string[]
): ChildProcess & { output: { stdout: string; stderr: string } } {
	const child = spawn(
		process.execPath,
		["--import", "tsx", "examples/00-github-webhooks/main.ts", ...flags],
		{
			detached: true,
			stdio: ["ignore", "pipe", "pipe"],
		},
	);
	const output = { stdout: "", stderr: "" };
	child.stdout?.on("data", (chunk) => {
		output.stdout += chunk;
	});
	child.stderr?.on("data", (chunk) => {
		output.stderr += chunk;
	});
	onTestFinished(() => {
		if (isGroupAlive(child)) process.kill(-(child.pid as number), "SIGKILL");
	});
	return Object.assign(child, { output });
}

/** Whether any process of the demo's group is left. */
function isGroupAlive({ pid }: ChildProcess): boolean {
	try {
		return process.kill(-(pid as number), 0);
	} catch {
		return false;
	}
}

/** What the input demands, worked out here from the package's own file and nothing of the demo. */
function demandedCounts() {
	const file = createRequire(import.meta.url).resolve("@octokit/webhooks-examples/api.github.com/index.json");
	const events = JSON.parse(readFileSync(file, "utf8")) as readonly Example[];
	const types = events.flatMap(({ name, examples }) =>
		examples.map(({ action }) => (action === undefined ? `github.${name}` : `github.${name}.${action}`)),
	);
	const forwarded = types.filter((type) =>
		/^github\.(push|(issues|pull_request|release)\.[^.]+)$/.test(type),
	).length;
	const retried = Math.floor(forwarded / 10);
	return {
		...{ emitted: types.length, handled: types.length, forwarded, retried },
		...{ attempts: forwarded + retried, delivered: forwarded, verified: forwarded },
	};
}

describe("npm start", () => {
	test("counts what the input demands and exits 0", async () => {
		const demo = startDemo("--json");
		const [code] = await once(demo, "close");
		expect(demo.output.stderr, "plain progress lines only").not.toMatch(/error/i);
		const report = JSON.parse(demo.output.stdout);
		expect(report.counts).toMatchObject(demandedCounts());
		expect(demandedCounts()).toMatchObject({ emitted: 329, forwarded: 78 });
		expect(report).toMatchObject({ ok: true, disagreements: [] });
		expect(code).toBe(0);
		await expect.poll(() => isGroupAlive(demo), { timeout: 5_000 }).toBe(false);
	});

	test("an unknown flag is a clear error with exit code 2", async () => {
		const demo = startDemo("--bogus");
		const [code] = await once(demo, "close");
		expect(code).toBe(2);
		expect(demo.output.stderr).toContain("--bogus");
		expect(demo.output.stdout).toBe("");
	});

	test("Ctrl-C in the middle drains, exits 130 and leaves no process behind", async () => {
		const demo = startDemo("--times", "100");
		while (!demo.output.stderr.includes("%")) await once(demo.stderr as NodeJS.ReadableStream, "data");
		process.kill(-(demo.pid as number), "SIGINT");
		const [code] = await once(demo, "close");
		expect(code).toBe(130);
		await expect.poll(() => isGroupAlive(demo), { timeout: 5_000 }).toBe(false);
	});
});
