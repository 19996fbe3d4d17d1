import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { onTestFailed, onTestFinished } from "vitest";
import { createDeferred } from "../../../src/internal/deferred.ts";

/** One line that a program wrote: a word and what belongs to it. */
export type Line = readonly [word: string, ...values: (string | number)[]];

/** A program that runs. */
export interface Program {
	readonly pid: number;
	/** All it said so far. */
	readonly lines: readonly Line[];
	/** Resolves with a line that matches, once there is one; rejects when the program ends without. */
	said(word: string, ...values: readonly (string | number)[]): Promise<Line>;
	/** Resolves once it has said a word so many times; rejects when the program ends before. */
	saidTimes(word: string, times: number): Promise<void>;
	/** Writes a line to its standard input. */
	tell(text: string): void;
	signal(name: NodeJS.Signals): void;
	/** Resolves once it has ended and all it said is read. */
	readonly ended: Promise<Ended>;
}

interface Ended {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

/** What starts a program, fast: it is bundled once, without tsx. */
export interface Launcher {
	/** `onLine` hears each line as it is read. */
	start(input: object, options?: StartOptions): Program;
}

interface StartOptions {
	/** Another Node. */
	readonly node?: string | undefined;
	/** What runs the Node, such as strace with its options. */
	readonly under?: readonly string[] | undefined;
	readonly env?: NodeJS.ProcessEnv | undefined;
	readonly onLine?: ((line: Line) => void) | undefined;
}

/** How many of its last lines a program shows when its test fails. */
const linesOfFailure = 300;

const cache = fileURLToPath(new URL("../../../node_modules/.cache/callhook-faults/", import.meta.url));

/** Bundles test/faults/programs/NAME.ts into a file from which it starts in a tenth of a second. */
export async function prepareProgram(name: string): Promise<Launcher> {
	const folder = `${cache}${name}-${process.pid}`;
	await build({
		entryPoints: [fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url))],
		outdir: folder,
		outExtension: { ".js": ".mjs" },
		bundle: true,
		// What a program does not import when it runs is not even parsed.
		splitting: true,
		platform: "node",
		target: "node20",
		format: "esm",
		minifyWhitespace: true,
		minifySyntax: true,
		external: ["libsql", "pg-native"],
		// Packages in CommonJS ask for it.
		banner: {
			js: 'import { createRequire as bannerRequire } from "node:module"; const require = bannerRequire(import.meta.url);',
		},
		logLevel: "error",
	});
	process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
	return { start: (input, options) => start(`${folder}/${name}.mjs`, input, options) };
}

function start(file: string, input: object, { node, under = [], env, onLine }: StartOptions = {}): Program {
	const [command, ...args] = [...under, node ?? process.execPath, file];
	const child = spawn(command as string, args, {
		stdio: ["pipe", "inherit", "pipe", "pipe"],
		env: { ...process.env, CALLHOOK_PROGRAM: JSON.stringify(input), NODE_OPTIONS: "", ...env },
	});
	// It may be gone when it is told something.
	child.stdin?.on("error", () => undefined);
	let errors = "";
	child.stderr?.setEncoding("utf8").on("data", (text: string) => {
		errors += text;
	});
	const lines: Line[] = [];
	const waiting = new Set<() => void>();
	let hasEnded = false;
	const reader = createInterface({ input: child.stdio[3] as NodeJS.ReadableStream });
	reader.on("line", (text) => {
		const line = JSON.parse(text) as Line;
		lines.push(line);
		onLine?.(line);
		for (const look of waiting) look();
	});
	const ended = end(child, once(reader, "close"), () => {
		hasEnded = true;
		for (const look of waiting) look();
	});
	/** Resolves with a line that matches, the first or a later one; each line is looked at once. */
	function heard(matches: (line: Line) => boolean, what: string, times = 1): Promise<Line> {
		const done = createDeferred<Line>();
		let read = 0;
		let missing = times;
		function look(): void {
			for (let line = lines[read]; line !== undefined; line = lines[++read]) {
				if (!matches(line) || --missing > 0) continue;
				waiting.delete(look);
				done.resolve(line);
				return;
			}
			if (!hasEnded) return;
			waiting.delete(look);
			done.reject(new Error(`the program ended without saying "${what}": ${errors}`));
		}
		waiting.add(look);
		look();
		return done.promise;
	}
	onTestFailed(() => {
		const last = lines.slice(-linesOfFailure).map((line) => line.join(" "));
		console.error(`program ${child.pid} said ${lines.length} lines: ${last.join(", ")}\n${errors}`);
	});
	// A test that failed leaves nothing behind.
	onTestFinished(async () => {
		child.kill("SIGKILL");
		await ended;
	});
	return {
		pid: child.pid as number,
		lines,
		ended,
		said: (word, ...values) =>
			heard((line) => line[0] === word && values.every((value, index) => line[index + 1] === value), word),
		async saidTimes(word, times) {
			await heard((line) => line[0] === word, `${word}, ${times} times`, times);
		},
		tell: (text) => void child.stdin?.write(`${text}\n`),
		signal: (name) => void child.kill(name),
	};
}

async function end(child: ChildProcess, closed: Promise<unknown>, onEnd: () => void): Promise<Ended> {
	const exited = once(child, "exit") as Promise<[Ended["code"], Ended["signal"]]>;
	const [[code, signal]] = await Promise.all([exited, closed]);
	onEnd();
	return { code, signal };
}
