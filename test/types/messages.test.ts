import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const snippetPath = `${root}test/types/snippet.ts`;
const prelude = `
	import { createBus } from "callhook";
	const bus = createBus<{ "order.paid": { total: number }; "order.shipped": { carrier: string } }>();
	const noop = () => undefined;
`;

/** What the compiler says of each line, compiled as the project is. */
function compile(lines: readonly string[]): string[][] {
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
	const messages: string[][] = lines.map(() => []);
	const firstLine = prelude.split("\n").length;
	for (const diagnostic of program.getSemanticDiagnostics(program.getSourceFile(snippetPath))) {
		const { line } = diagnostic.file!.getLineAndCharacterOfPosition(diagnostic.start!);
		const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
		(messages[line - firstLine] ?? []).push(message);
	}
	return messages;
}

describe("the compiler's message", () => {
	const cases: [line: string, message: string | undefined][] = [
		['bus.on("order.payd", noop);', 'No event type matches \\"order.payd\\"'],
		['bus.once("order.payd", noop);', 'No event type matches \\"order.payd\\"'],
		['bus.off("order.payd", noop);', 'No event type matches \\"order.payd\\"'],
		['bus.handle("order.payd", noop);', 'No event type matches \\"order.payd\\"'],
		['bus.on("orders.*", noop);', 'No event type matches \\"orders.*\\"'],
		['bus.emit("order.payd", { total: 1 });', "'\"order.payd\"' is not assignable to parameter"],
		['bus.emit("order.paid", { total: "1" });', "Type 'string' is not assignable to type 'number'"],
		['bus.observe("handler:retried", noop);', "'\"handler:retried\"' is not assignable to parameter"],
		['bus.on("order.*", noop);', undefined],
		['bus.emit("order.paid", { total: 1 });', undefined],
	];
	const messages = compile(cases.map(([line]) => line));

	test.each(cases.map(([line, expected], index) => [line, expected, index] as const))(
		"for %s",
		(_, expected, at) => {
			if (expected === undefined) return expect(messages[at]).toEqual([]);
			expect(messages[at]).toHaveLength(1);
			expect(messages[at]?.[0]).toContain(expected);
		},
	);
});
