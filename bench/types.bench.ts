// What the types cost the compiler: a catalog of 500 events, each with a schema, a callback, a handler and an emit.
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { measure, type Subject } from "./harness.ts";

const count = 500;
const root = fileURLToPath(new URL("..", import.meta.url));
const path = `${root}bench/generated.ts`;
const numbers = Array.from({ length: count }, (_, index) => index);
const schema = (index: number) => `z.object({ id: z.string(), total${index}: z.number() })`;

const schemasAlone = `
import { z } from "zod";
export const schemas = { ${numbers.map((index) => `"area${index % 20}.event${index}": ${schema(index)}`).join(",\n")} };
${numbers.map((index) => `schemas["area${index % 20}.event${index}"].parse({ id: "", total${index}: 1 }).total${index};`).join("\n")}
`;

const catalog = `
import { createBus, defineEvents } from "callhook";
import { z } from "zod";
const events = defineEvents({ ${numbers.map((index) => `"area${index % 20}.event${index}": ${schema(index)}`).join(",\n")} });
const bus = createBus({ events });
${numbers
	.map(
		(index) => `
bus.on("area${index % 20}.event${index}", (data) => data.total${index});
bus.handle("area${index % 20}.event${index}", async (data, { event }) => [data.total${index}, event.id]);
bus.emit("area${index % 20}.event${index}", { id: "", total${index}: 1 });`,
	)
	.join("\n")}
bus.on("area3.*", (data, event) => [data.id, event.type]);
`;

/** Checks one file as the project is checked; fails on any error, which would be checked faster. */
function check(text: string): void {
	const config = ts.readConfigFile(`${root}tsconfig.json`, (file) => ts.sys.readFile(file)) as {
		config: unknown;
	};
	const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
	const host = ts.createCompilerHost(options);
	const { fileExists, readFile, getSourceFile } = host;
	host.fileExists = (name) => name === path || fileExists(name);
	host.readFile = (name) => (name === path ? text : readFile(name));
	host.getSourceFile = (name, language, ...rest) =>
		name === path ? ts.createSourceFile(name, text, language) : getSourceFile(name, language, ...rest);
	const program = ts.createProgram([path], options, host);
	const errors = program.getSemanticDiagnostics(program.getSourceFile(path));
	const [first] = errors;
	if (first !== undefined) throw new Error(ts.flattenDiagnosticMessageText(first.messageText, "\n"));
}

function checking(name: string, text: string): Subject {
	return { name, create: () => () => check(text) };
}

const baseline = `${count} zod schemas alone`;
await measure([
	{
		name: `type check, ${count} events`,
		baseline,
		operations: 1,
		rounds: 3,
		subjects: [
			checking(baseline, schemasAlone),
			checking("with a catalog, on, handle and emit for each", catalog),
		],
	},
]);
