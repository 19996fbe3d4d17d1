// What the generators of this folder share: reading interfaces, their types and TSDoc, and writing a page.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The interface of this name in a file of src/. */
export function findInterface(path, name) {
	const found = openSource(path).statements.find(
		(statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
	);
	if (found === undefined) throw new Error(`src/${path} has no interface ${name}`);
	return found;
}

const sources = new Map();

function openSource(path) {
	const file = fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
	if (!sources.has(path)) {
		const text = readFileSync(file, "utf8");
		sources.set(path, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
	}
	return sources.get(path);
}

/** The comment above a node, as one line of text. A list in it has `separator` before each item. */
export function readComment(node, separator = " - ") {
	const comment = ts.getTextOfJSDocComment(node.jsDoc?.at(-1)?.comment) ?? "";
	return comment
		.replace(/\{@link (\w+)\}/g, "`$1`")
		.replace(/^- /, "")
		.replace(/\n- /g, separator)
		.replace(/\s+/g, " ")
		.trim();
}

/** The text of a tag such as `@defaultValue`, or `undefined`. */
export function readTag(node, name) {
	const tag = node.jsDoc?.at(-1)?.tags?.find(({ tagName }) => tagName.text === name);
	return tag && ts.getTextOfJSDocComment(tag.comment);
}

/** The type of a property, on one line; without the `undefined` that every optional one admits. */
export function readType(member) {
	const { type, questionToken } = member;
	const types =
		questionToken !== undefined && ts.isUnionTypeNode(type)
			? type.types.filter(({ kind }) => kind !== ts.SyntaxKind.UndefinedKeyword)
			: [type];
	const [only] = types;
	const shown = types.length === 1 && ts.isParenthesizedTypeNode(only) ? [only.type] : types;
	return shown.map((part) => part.getText().replace(/\s+/g, " ")).join(" | ");
}

/** Text for the cell of a table. */
export function toCell(text) {
	return text.replaceAll("|", "\\|");
}

/** Writes docs/reference/`name`; with --print it writes the page to stdout instead. */
export function writePage(name, page) {
	if (process.argv.includes("--print")) process.stdout.write(page);
	else writeFileSync(fileURLToPath(new URL(`./${name}`, import.meta.url)), page);
}
