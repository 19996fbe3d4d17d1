// The code blocks of README.md, CHANGELOG.md, CONTRIBUTING.md, docs/ and examples/, and those of the comments in src/.
//
// Every `ts` block is type-checked, all in one program, as a module of its own beside its page. Names it uses without
// importing them stand in a comment of its page, which readers do not see and which counts for all blocks of the page:
//
//     <!-- prelude
//     declare const bus: import("callhook").Bus<{ "order.paid": { orderId: string } }>;
//     -->
//
// A `ts` block with a `text` block right behind it is run as well, and must print that text. Where it says port 8080, it
// gets a free one.
//
// On a page with the comment `<!-- steps -->` each `ts` block goes on where the one before ended, and so does each output.
//
// A file of src/ is a page, too: the lines of its comments without their `*`. There, everything that the package exports
// is in scope, and so are the names of tsdoc-names.txt, unless a block declares them itself.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

interface Block {
	readonly language: string;
	/** The line of its first line of code, counted from 1. */
	readonly line: number;
	/** What stands before it in the same file. */
	readonly head: string;
	readonly code: string;
}

interface Page {
	readonly path: string;
	readonly text: string;
	readonly prelude: string;
	readonly blocks: readonly Block[];
}

/** A `ts` block as a file of the program. */
interface Module {
	readonly path: string;
	readonly text: string;
	/** What to add to a line of the file to get the line of the page. */
	readonly lineShift: number;
}

const pages = [
	"README.md",
	"CHANGELOG.md",
	"CONTRIBUTING.md",
	...listFiles("docs", ".md"),
	...listFiles("examples", ".md"),
].map((path) => readPage(path, readFileSync(path, "utf8")));

const sources = listFiles("src", ".ts")
	.map((path) => readPage(path, readComments(readFileSync(path, "utf8"))))
	.filter(({ text }) => text.includes("```") || text.includes("@example"));

function listFiles(folder: string, ending: string): string[] {
	return readdirSync(folder, { recursive: true, encoding: "utf8" })
		.filter((path) => path.endsWith(ending))
		.map((path) => join(folder, path))
		.sort();
}

/** The text of block comments, each line where it was. */
function readComments(source: string): string {
	return source.replace(/^[ \t]*\* ?(.*)$|^.*$/gm, "$1");
}

function readPage(path: string, text: string): Page {
	const prelude = [...text.matchAll(/^<!-- prelude\n(.*?)^-->$/gms)].map(([, code]) => code).join("");
	const isInSteps = /^<!-- steps -->$/m.test(text);
	const before: Record<string, string> = {};
	const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map((match) => {
		const [, language = "", code = ""] = match;
		const line = text.slice(0, match.index).split("\n").length + 1;
		const head = before[language] ?? "";
		if (isInSteps) before[language] = head + code;
		return { language, line, head, code };
	});
	return { path, text, prelude, blocks };
}

function modulesOf({ path, prelude, blocks }: Page): Module[] {
	return blocks
		.filter(({ language }) => language === "ts")
		.map(({ line, head, code }) => {
			const before = `${prelude}export {};\n${head}`;
			return {
				path: resolve(`${path}.${line}.ts`),
				text: before + code,
				lineShift: line - before.split("\n").length,
			};
		});
}

/** Declares as globals, which a block may shadow, what the package exports and the names of tsdoc-names.txt. */
async function declareNames(): Promise<Module> {
	const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: object };
	const entries = Object.keys(exports)
		.filter((entry) => !entry.endsWith(".json"))
		.map((entry) => entry.replace(".", "callhook"));
	const names = new Map<string, string>();
	for (const entry of entries) {
		const module = (await import(entry)) as object;
		for (const name of Object.keys(module)) names.set(name, `typeof import("${entry}").${name}`);
	}
	const exported = [...names].map(([name, type]) => `const ${name}: ${type};\n`);
	const given = readFileSync("test/package/tsdoc-names.txt", "utf8");
	const text = `export {};\ndeclare global {\n${exported.join("")}${given}}\n`;
	return { path: resolve("tsdoc-names.ts"), text, lineShift: -exported.length - 2 };
}

/** Checks modules that exist in memory only, under the compiler options of the project. */
function typeCheck(modules: readonly Module[]): (module: Module) => string[] {
	const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile) as { config: object };
	const { options } = ts.parseJsonConfigFileContent(
		{ ...config, include: [], files: [] },
		ts.sys,
		resolve("."),
	);
	// An example may declare something only to show how.
	const compilerOptions = { ...options, noUnusedLocals: false, noUnusedParameters: false };
	const texts = new Map(modules.map(({ path, text }) => [path, text]));
	const host = ts.createCompilerHost(compilerOptions);
	const { fileExists, readFile } = host;
	host.fileExists = (path) => texts.has(path) || fileExists(path);
	host.readFile = (path) => texts.get(path) ?? readFile(path);
	const program = ts.createProgram([...texts.keys()], compilerOptions, host);
	return ({ path, lineShift }) => {
		const file = program.getSourceFile(path);
		return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
			({ start = 0, messageText }) => {
				const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1 + lineShift;
				return `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
			},
		);
	};
}

describe("code blocks", () => {
	const checked = findModules(pages);
	const checkedOfSources = findModules(sources);
	let names: Module;
	let check: ReturnType<typeof typeCheck>;
	let checkOfSources: ReturnType<typeof typeCheck>;

	beforeAll(async () => {
		check = typeCheck(checked.flatMap(({ modules }) => modules));
		// A program of its own, so that no page finds these names.
		names = await declareNames();
		checkOfSources = typeCheck([names, ...checkedOfSources.flatMap(({ modules }) => modules)]);
	}, 120_000);

	test("are all read: none is indented, unclosed or of a language that nobody checks", () => {
		const languages = new Set(["", "ts", "sh", "text", "sql"]);
		const faults = [...pages, ...sources].flatMap(({ path, text, blocks }) => {
			const fences = text.match(/^[ >]*(?:```|~~~)/gm) ?? [];
			const others = blocks.filter(({ language }) => !languages.has(language));
			const unread = fences.length === blocks.length * 2 ? [] : [`${path}: has blocks that are not read`];
			return [...unread, ...others.map(({ line, language }) => `${path}:${line}: is ${language}`)];
		});
		expect(faults).toEqual([]);
	});

	test("follow every @example of the sources", () => {
		const examples = sources.flatMap(({ text }) => text.match(/^@example\b.*\n.*$/gm) ?? []);
		expect(examples.length).toBeGreaterThan(0);
		expect(examples.filter((example) => example !== "@example\n```ts")).toEqual([]);
	});

	test.each(checked)("of $path compile", { timeout: 60_000 }, ({ modules }) => {
		expect(modules.flatMap((module) => check(module))).toEqual([]);
	});

	test.each(checkedOfSources)("of $path compile", { timeout: 60_000 }, ({ modules }) => {
		expect(modules.flatMap((module) => checkOfSources(module))).toEqual([]);
	});

	test("of the sources find the names of tsdoc-names.txt", { timeout: 60_000 }, () => {
		expect(checkOfSources(names)).toEqual([]);
	});
});

function findModules(all: readonly Page[]): { path: string; modules: Module[] }[] {
	return all
		.map((page) => ({ path: page.path, modules: modulesOf(page) }))
		.filter(({ modules }) => modules.length > 0);
}

describe("code blocks with their output", () => {
	let folder: string;

	beforeAll(() => {
		// Inside the project, where imports resolve, and where git does not look.
		mkdirSync(".reports", { recursive: true });
		folder = mkdtempSync(join(".reports", "docs-"));
	});
	afterAll(() => {
		rmSync(folder, { recursive: true });
	});

	const runs = pages.flatMap(({ path, blocks }) =>
		blocks.flatMap(({ language, line, head, code }, index) => {
			const next = blocks[index + 1];
			if (language !== "ts" || next?.language !== "text") return [];
			return [{ path, line, code: head + code, output: next.head + next.code }];
		}),
	);

	test("are there, the README's example among them", () => {
		expect(runs.map(({ path }) => path)).toContain("README.md");
	});

	test.each(runs)("of $path:$line print it", { timeout: 60_000 }, async ({ code, line, output }) => {
		const file = join(folder, `line-${line}.ts`);
		writeFileSync(file, code.replaceAll("8080", String(await findFreePort())));
		const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], {
			timeout: 50_000,
		});
		expect(stdout).toBe(output);
	});
});

async function findFreePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => {
		server.close(resolve);
	});
	return port;
}
