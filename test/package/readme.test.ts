// The code blocks of README.md, CHANGELOG.md, docs/ and examples/README.md.
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
import { execFile } from "node:child_process";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

interface Block {
	readonly language: string;
	/** The line of its first line of code, counted from 1. */
	readonly line: number;
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
	"examples/README.md",
	...readdirSync("docs", { recursive: true, encoding: "utf8" })
		.filter((path) => path.endsWith(".md"))
		.map((path) => join("docs", path))
		.sort(),
].map(readPage);

function readPage(path: string): Page {
	const text = readFileSync(path, "utf8");
	const prelude = [...text.matchAll(/^<!-- prelude\n(.*?)^-->$/gms)].map(([, code]) => code).join("");
	const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map((match) => ({
		language: match[1] as string,
		line: text.slice(0, match.index).split("\n").length + 1,
		code: match[2] as string,
	}));
	return { path, text, prelude, blocks };
}

function modulesOf({ path, prelude, blocks }: Page): Module[] {
	const head = `${prelude}export {};\n`;
	return blocks
		.filter(({ language }) => language === "ts")
		.map(({ line, code }) => ({
			path: resolve(`${path}.${line}.ts`),
			text: head + code,
			lineShift: line - head.split("\n").length,
		}));
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
	const checked = pages
		.map((page) => ({ path: page.path, modules: modulesOf(page) }))
		.filter(({ modules }) => modules.length > 0);
	let check: ReturnType<typeof typeCheck>;

	beforeAll(() => {
		check = typeCheck(checked.flatMap(({ modules }) => modules));
	}, 120_000);

	test.each(checked)("of $path compile", { timeout: 60_000 }, ({ modules }) => {
		expect(modules.flatMap((module) => check(module))).toEqual([]);
	});
});

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
		blocks.flatMap(({ language, line, code }, index) => {
			const next = blocks[index + 1];
			return language === "ts" && next?.language === "text" ? [{ path, line, code, output: next.code }] : [];
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

describe("links", () => {
	test.each(pages)("of $path lead to files that exist", ({ path, text }) => {
		const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link as string);
		const files = links.filter((link) => !/^(https?:|#)/.test(link)).map((link) => link.replace(/#.*/, ""));
		expect(files.filter((file) => !existsSync(join(dirname(path), file)))).toEqual([]);
	});
});
