import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const snippetPath = `${root}test/types/snippet.ts`;
const prelude = `
	import { EventEmitter } from "node:events";
	import { createBus, defineEvents } from "callhook";
	import { createTestBus } from "callhook/testing";
	import type { WhereOf } from "callhook/webhook";
	import { z } from "zod";
	const events = defineEvents({ "order.paid": z.object({ total: z.number() }), "day.ended": z.undefined() });
	const bus = createBus<{ "order.paid": { total: number }; "order.shipped": { carrier: string } }>();
	const noop = () => undefined;
	const where = (filter: WhereOf<{ total: number; status: "open" | "paid" }>) => filter;
`;

/** Lines behind the prelude, compiled as the project is. */
function createProgram(lines: readonly string[]): { program: ts.Program; file: ts.SourceFile } {
	const config = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile) as { config: unknown };
	const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
	const host = ts.createCompilerHost(options);
	const text = `${prelude}\n${lines.join("\n")}\n`;
	const isSnippet = (path: string) => path === snippetPath;
	const { fileExists, readFile, getSourceFile } = host;
	host.fileExists = (path) => isSnippet(path) || fileExists(path);
	host.readFile = (path) => (isSnippet(path) ? text : readFile(path));
	host.getSourceFile = (path, language, ...rest) =>
		isSnippet(path) ? ts.createSourceFile(path, text, language) : getSourceFile(path, language, ...rest);
	const program = ts.createProgram([snippetPath], options, host);
	return { program, file: program.getSourceFile(snippetPath)! };
}

/** What the compiler says of each line. */
function compile(lines: readonly string[]): string[][] {
	const { program, file } = createProgram(lines);
	const messages: string[][] = lines.map(() => []);
	const firstLine = prelude.split("\n").length;
	for (const diagnostic of program.getSemanticDiagnostics(file)) {
		const { line } = diagnostic.file!.getLineAndCharacterOfPosition(diagnostic.start!);
		const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
		(messages[line - firstLine] ?? []).push(message);
	}
	return messages;
}

describe("the compiler's message", () => {
	const knownTypes = 'is not assignable to parameter of type \'"order.paid" | "order.shipped"\'.';
	const cases: [line: string, message: string | undefined][] = [
		['bus.on("order.payd", noop);', knownTypes],
		['bus.once("order.payd", noop);', knownTypes],
		['bus.off("order.payd", noop);', knownTypes],
		['bus.handle("order.payd", noop);', knownTypes],
		['bus.handle("order.payd", (list) => list.length, { batch: { size: 2 } });', knownTypes],
		['await bus.waitFor("order.payd");', knownTypes],
		['bus.stream("order.payd");', knownTypes],
		[
			'bus.handle("order.paid", ({ sum }) => sum);',
			"Property 'sum' does not exist on type '{ total: number; }'",
		],
		['bus.handle("order.paid", noop, { retries: 3 });', "'retries' does not exist in type 'HandleOptions<"],
		['bus.on("orders.*", noop);', 'No event type matches \\"orders.*\\"'],
		['bus.emit("order.payd", { total: 1 });', knownTypes],
		['bus.emit("order.paid");', '\\"order.paid\\" needs data'],
		['bus.emitter("order.paid")();', "Expected 1-2 arguments, but got 0"],
		["createBus({ events, onEror() {} });", "but 'onEror' does not exist in type 'BusOptions<"],
		["createBus<{ a: 1 }>({ onEror() {} });", "but 'onEror' does not exist in type 'BusOptions<"],
		["createTestBus({ events, onEror() {} });", "but 'onEror' does not exist in type 'TestBusOptions<"],
		['bus.pipeFrom(new EventEmitter(), { paid: "order.payd" });', "Did you mean '\"order.paid\"'?"],
		[
			'bus.pipeFrom(new EventEmitter(), { paid: { type: "order.payd", data: () => ({ total: 1 }) } });',
			"Did you mean '\"order.paid\"'?",
		],
		[
			'bus.pipeFrom({} as AsyncIterable<{ total: number }>, "order.payd");',
			'of type \'"order.paid" | "order.shipped" | Readonly<Record<string, PipeTarget<',
		],
		['bus.emit("order.paid", { total: "1" });', "Type 'string' is not assignable to type 'number'"],
		['bus.observe("handler:retried", noop);', "'\"handler:retried\"' is not assignable to parameter"],
		['where({ "data.totl": 1 });', "'\"data.totl\"' does not exist in type 'WhereOf<"],
		['where({ "data.total": "1" });', "Type 'string' is not assignable to type 'WhereCondition<number>'"],
		['where({ "data.total": { gte: "1" } });', "Type 'string' is not assignable to type 'number'"],
		['where({ "data.total": { gtee: 1 } });', "Did you mean to write 'gte'?"],
		['where({ "data.status": "payd" });', 'to type \'WhereCondition<"open" | "paid">\''],
		['bus.on("order.*", noop);', undefined],
		['createBus({ events }).emit("day.ended");', undefined],
		['createBus({ events }).hold().emit("day.ended");', undefined],
		['createBus({ events }).emitter("day.ended")();', undefined],
		['createBus().emit("day.ended");', undefined],
		['bus.emit("order.paid", { total: 1 });', undefined],
	];
	const messages = compile(cases.map(([line]) => line));

	test.each(cases.map(([line, expected], index) => [line, expected, index] as const))(
		"for %s",
		(_, expected, at) => {
			if (expected === undefined) return expect(messages[at]).toEqual([]);
			expect(messages[at]).toHaveLength(1);
			expect(messages[at]?.[0]).toContain(expected);
			expect(messages[at]?.[0]?.split("\n")).toHaveLength(1);
		},
	);
});

describe("an editor shows", () => {
	/** The type of the last parameter of the function in a line. */
	function showLastParameter(line: string): string {
		const { program, file } = createProgram([line]);
		let last: ts.ParameterDeclaration | undefined;
		const visit = (node: ts.Node): void => {
			if (ts.isParameter(node)) last = node;
			ts.forEachChild(node, visit);
		};
		visit(file);
		const checker = program.getTypeChecker();
		return checker.typeToString(checker.getTypeAtLocation(last!));
	}

	test("the types first of the event under a pattern", () => {
		expect(showLastParameter('bus.on("order.*", (data, event) => undefined);')).toMatch(
			/^EventOf<"order.paid" \| "order.shipped", \{/,
		);
	});
});
