// `npm run example NAME` as a user runs it: each example prints what its expected.txt says, ends by itself with exit
// code 0, and leaves neither a process nor a file behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { findServer } from "../support/postgres.ts";

const names = readdirSync("examples").filter((name) => existsSync(`examples/${name}/expected.txt`));

/** Arguments that make an example smaller than what a user sees, or end by itself. */
const argumentsOf: Readonly<Record<string, readonly string[]>> = {
	"06-ui-form": ["check"],
	"07-file-chunks": ["48"],
};

/** What an example needs and this machine lacks; CALLHOOK_REQUIRE_POSTGRES=1 makes a missing server a failure. */
const missing: Readonly<Record<string, string | undefined>> = {
	"09-many-processes": (await findServer()) === undefined ? "a PostgreSQL server" : undefined,
};
for (const [name, need] of Object.entries(missing)) {
	if (need !== undefined) console.warn(`The example ${name} is skipped: it needs ${need}`);
}

/** Runs the script of package.json, as the leader of a process group of its own, with an empty folder for its files. */
async function runExample(...args: readonly string[]) {
	const temporary = mkdtempSync(join(tmpdir(), "callhook-examples-"));
	const [command, ...flags] = packageJson.scripts.example.split(" ") as [string, ...string[]];
	expect(command).toBe("node");
	const child = spawn(process.execPath, [...flags, ...args], {
		detached: true,
		env: { ...process.env, TMPDIR: temporary },
		stdio: ["ignore", "pipe", "pipe"],
	});
	const group = -(child.pid as number);
	const isAlive = () => {
		try {
			return process.kill(group, 0);
		} catch {
			return false;
		}
	};
	onTestFinished(() => {
		if (isAlive()) process.kill(group, "SIGKILL");
		rmSync(temporary, { recursive: true, force: true });
	});
	let [stdout, stderr] = ["", ""];
	child.stdout.on("data", (chunk) => {
		stdout += chunk;
	});
	child.stderr.on("data", (chunk) => {
		stderr += chunk;
	});
	const [code, signal] = await once(child, "close");
	// The cache of tsx is not the example's.
	const files = readdirSync(temporary).filter((name) => !name.startsWith("tsx-"));
	return { stdout, stderr, end: signal ?? code, files, isAlive };
}

describe("npm run example", () => {
	test.for(names)("%s prints what its expected.txt says", async (name, context) => {
		const need = missing[name];
		context.skip(need !== undefined, `needs ${need}`);
		const run = await runExample(name, ...(argumentsOf[name] ?? []));
		expect(run.stderr, "stderr holds progress, no errors").not.toMatch(/error|warning/i);
		expect(run.stdout).toBe(readFileSync(`examples/${name}/expected.txt`, "utf8"));
		expect(run.end).toBe(0);
		expect(run.files, "files it left behind").toEqual([]);
		await expect.poll(run.isAlive, { timeout: 5_000 }).toBe(false);
	});

	test("takes a name without its number", async () => {
		const run = await runExample("hello");
		expect(run.stdout).toBe(readFileSync("examples/01-hello/expected.txt", "utf8"));
	});

	test("lists the examples for an unknown name", async () => {
		const run = await runExample("nonesuch");
		expect(run).toMatchObject({ end: 2, stdout: "" });
		expect(run.stderr.split("\n")).toEqual(expect.arrayContaining(["00-github-webhooks", ...names]));
	});
});
