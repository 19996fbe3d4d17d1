// The package as its users get it: packed by `npm pack` and installed by npm into folders outside of this repository. There
// is only what package.json declares, so a dependency or a file that is missing in it fails here.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Webhook } from "standardwebhooks";
import { preview } from "vite";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { findNodeWithSqlite } from "../faults/support/node24.ts";
import { browserMissing, launchBrowser } from "../support/chromium.ts";

const timeout = 120_000;
const { name, version, dependencies, devDependencies, peerDependencies } = packageJson;
const subpaths = Object.keys(packageJson.exports).map((subpath) => subpath.replace(".", name));
const modules = subpaths.filter((subpath) => !subpath.endsWith(".json"));
/** The oldest that reads the types of Node and of pg, too; docs/reference/upgrade-policy.md says so. */
const oldestTypescript = "~5.8.0";
const nodes = [...new Set([process.execPath, (await findNodeWithSqlite()).node ?? process.execPath])];

const root = mkdtempSync(join(tmpdir(), "callhook-scratch-"));
/** Callhook alone. */
const bare = join(root, "bare");
/** Callhook with its peers, a schema library, and types. */
const full = join(root, "full");
let bareInstall = "";

/** Runs a program; resolves to all that it printed, or rejects with it. */
async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
	// That this is a test is no business of Vite's: it would warn of less.
	const env = { ...process.env, NODE_ENV: undefined };
	const { stdout, stderr } = await promisify(execFile)(file, args, { cwd, env, timeout }).catch((error) => {
		throw new Error(`${error.message}\n${error.stdout}`);
	});
	return stdout + stderr;
}

/** Makes a project and installs the packed file in it, with other packages. */
async function install(folder: string, packages: Readonly<Record<string, string>>): Promise<string> {
	mkdirSync(folder);
	writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
	const specs = Object.entries(packages).map(([name, range]) => `${name}@${range}`);
	const file = join(root, `${name}-${version}.tgz`);
	const flags = ["--prefer-offline", "--no-audit", "--no-fund"];
	return run("npm", ["install", ...flags, file, ...specs], folder);
}

beforeAll(async () => {
	await run("npm", ["pack", "--pack-destination", root], resolve("."));
	const { zod } = dependencies;
	const { "@types/node": node, "@types/pg": pg } = devDependencies;
	[bareInstall] = await Promise.all([
		install(bare, {}),
		install(full, {
			...peerDependencies,
			zod,
			typescript: oldestTypescript,
			"@types/node": node,
			"@types/pg": pg,
		}),
	]);
}, timeout);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder in the project with everything, whose files are of a module system. */
function folderIn(type: "module" | "commonjs"): string {
	const folder = mkdtempSync(join(full, "part-"));
	writeFileSync(join(folder, "package.json"), JSON.stringify({ type }));
	return folder;
}

/** Compiles files of a folder, the types of packages too, but not TypeScript's own; rejects with what is wrong. */
async function compile(
	folder: string,
	files: readonly string[],
	options: object,
	compiler = resolve("node_modules/typescript"),
): Promise<void> {
	const compilerOptions = {
		strict: true,
		skipLibCheck: false,
		target: "ES2022",
		types: ["node"],
		...options,
	};
	writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
	await run(process.execPath, [join(compiler, "bin/tsc"), "-p", folder], folder);
}

/** A module that imports what is exported of others. */
function importing(names: readonly string[]): string {
	const imports = names.map((subpath, index) => `import * as module${index} from "${subpath}";\n`);
	return `${imports.join("")}export const all = [${names.map((_, index) => `module${index}`).join()}];\n`;
}

describe("a project with nothing but callhook", { timeout }, () => {
	test("is asked for no peer and warned of nothing", () => {
		expect(bareInstall).not.toMatch(/peer|ERESOLVE|EBADENGINE|deprecated/i);
		const installed = readdirSync(join(bare, "node_modules"));
		expect(installed).toEqual(expect.arrayContaining([name, ...Object.keys(dependencies)]));
		for (const peer of Object.keys(peerDependencies)) expect(installed).not.toContain(peer);
	});

	test.each(nodes)("imports and requires every subpath, by %s", async (node) => {
		const load = (expression: string) => `
			const attributes = (name) => (name.endsWith(".json") ? { with: { type: "json" } } : undefined);
			(async () => {
				const names = {};
				for (const name of ${JSON.stringify(subpaths)}) names[name] = Object.keys(${expression}).sort();
				console.log(JSON.stringify(names));
			})();`;
		writeFileSync(join(bare, "all.mjs"), load("await import(name, attributes(name))"));
		writeFileSync(join(bare, "all.cjs"), load("require(name)"));
		const read = async (file: string): Promise<Record<string, string[]>> =>
			JSON.parse(await run(node, ["--no-warnings", file], bare));
		const [imported, required] = [await read("all.mjs"), await read("all.cjs")];
		for (const subpath of modules) {
			const exported = Object.keys(await import(subpath)).sort();
			expect(imported[subpath], subpath).toEqual(exported);
			expect(required[subpath], subpath).toEqual(exported);
		}
		const manifest = `${name}/package.json`;
		expect(imported[manifest]).toContain("default");
		expect(required[manifest]).toContain("exports");
	});

	test.each([
		["sqlite", 'sqliteStore({ path: "outbox.db" })', "ERR_CALLHOOK_DRIVER_MISSING", "npm install libsql"],
		["sqlite", 'sqliteStore({ path: "a.db", driver: "libsql" })', "ERR_CALLHOOK_DRIVER_MISSING", "libsql"],
		["postgres", "postgresStore({ pool: undefined })", "ERR_CALLHOOK_INVALID_OPTION", "npm install pg"],
	])("is told by callhook/%s what is missing: %s", async (subpath, call, code, fix) => {
		const factory = call.slice(0, call.indexOf("("));
		const source = `import { ${factory} } from "callhook/${subpath}";
			try { ${call} } catch (error) { console.log(error.code, error.message) }`;
		// As in an older Node.
		const flags = process.getBuiltinModule("node:sqlite") === undefined ? [] : ["--no-experimental-sqlite"];
		const args = [...flags, "--input-type=module", "--eval", source];
		const printed = await run(process.execPath, args, bare);
		expect(printed).toMatch(new RegExp(`^${code} .*${fix}`));
	});
});

describe("a strict project", { timeout }, () => {
	const expected = [
		"callback o_1",
		"handler 4200",
		"webhook o_1",
		"deliveries delivered",
		"postgres full",
	].sort();

	// The types are the same files for both: once is enough to check them.
	test.each([
		["an ES module", "module", { module: "node16", moduleResolution: "node16" }],
		["CommonJS", "commonjs", { module: "node20", skipLibCheck: true }],
	] as const)("as %s compiles and runs: %j %j", async (_, type, options) => {
		const folder = folderIn(type);
		cpSync("test/package/projects/smoke.ts", join(folder, "smoke.ts"));
		writeFileSync(join(folder, "all.ts"), importing(modules));
		await compile(folder, ["smoke.ts", "all.ts"], options);
		for (const [index, node] of nodes.entries()) {
			const printed = await run(node, ["--no-warnings", "smoke.js", `${index}.db`], folder);
			expect(printed.trim().split("\n").sort()).toEqual(expected);
		}
	});

	const bundler = { module: "preserve", moduleResolution: "bundler", noEmit: true, lib: ["ES2022", "DOM"] };

	test("with a bundler compiles every subpath", async () => {
		const folder = folderIn("module");
		cpSync("test/package/projects/page.ts", join(folder, "page.ts"));
		writeFileSync(join(folder, "all.ts"), importing(modules));
		await compile(folder, ["all.ts", "page.ts"], bundler);
	});

	test("with the oldest TypeScript compiles every subpath", async () => {
		const folder = folderIn("module");
		cpSync("test/package/projects/smoke.ts", join(folder, "smoke.ts"));
		writeFileSync(join(folder, "all.ts"), importing(modules));
		const options = { module: "node16", moduleResolution: "node16", noEmit: true };
		await compile(folder, ["all.ts", "smoke.ts"], options, join(full, "node_modules/typescript"));
	});

	test("without the types of Node compiles all but the bridge and the receiver", async () => {
		const folder = folderIn("module");
		const others = modules.filter((subpath) => !/webhook|receiver/.test(subpath));
		writeFileSync(join(folder, "all.ts"), importing(others));
		await compile(folder, ["all.ts"], { ...bundler, types: [] });
	});
});

describe("a page bundled by Vite", { timeout }, () => {
	/** Builds the page of a folder; resolves to Vite's warnings. */
	function bundle(folder: string): Promise<string> {
		return run(
			process.execPath,
			[resolve("node_modules/vite/bin/vite.js"), "build", "--logLevel", "warn"],
			folder,
		);
	}

	function pageFolder(script?: string): string {
		const folder = folderIn("module");
		cpSync("test/package/projects/index.html", join(folder, "index.html"));
		if (script === undefined) cpSync("test/package/projects/page.ts", join(folder, "page.ts"));
		else writeFileSync(join(folder, "page.ts"), script);
		return folder;
	}

	test("has no warnings, and runs in Chromium", async ({ skip }) => {
		const folder = pageFolder();
		expect(await bundle(folder)).toBe("");
		const missing = browserMissing();
		skip(missing !== undefined, missing);

		const server = await preview({ root: folder, configFile: false, preview: { host: "127.0.0.1" } });
		onTestFinished(() => server.close());
		const browser = await launchBrowser();
		onTestFinished(() => browser.close());
		const page = await browser.newPage();
		const faults: string[] = [];
		page.on("pageerror", (error) => faults.push(error.message));
		page.on("console", (message) => faults.push(message.text()));
		await page.goto(server.resolvedUrls?.local[0] as string);

		const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
		const event = { type: "order.paid", timestamp: new Date().toISOString(), data: { orderId: "o_1" } };
		const body = JSON.stringify(event);
		const now = new Date();
		const headers = {
			"content-type": "application/json",
			"webhook-id": "msg_1",
			"webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
			"webhook-signature": new Webhook(secret).sign("msg_1", now, body),
		};
		const args = [secret, headers, body].map((argument) => JSON.stringify(argument)).join();
		expect(await page.evaluate(`smoke(${args})`)).toEqual({
			seen: ["callback o_1", "handler o_1"],
			statuses: [401, 204],
			code: "ERR_CALLHOOK_INVALID_DATA",
		});
		expect(faults).toEqual([]);
	});

	test.each([
		["webhook", "createWebhookBridge"],
		["sqlite", "sqliteStore"],
	])("is not built with callhook/%s, which needs Node", async (subpath, factory) => {
		const folder = pageFolder(`import { ${factory} } from "callhook/${subpath}"; ${factory}({});`);
		await expect(bundle(folder)).rejects.toThrow(/node-only\.js/);
	});
});
