// What the generators of this folder share: reading interfaces, their types and TSDoc, and writing a page.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The interface of this name in a file of src/. */
export function findInterface(path, name) {
	const found = findDeclaration(path, name);
	if (!ts.isInterfaceDeclaration(found)) throw new Error(`${name} in src/${path} is no interface`);
	return found;
}

/** The interface or the type alias of this name in a file of src/. */
export function findDeclaration(path, name) {
	const found = openSource(path).statements.find(
		(statement) =>
			(ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) &&
			statement.name.text === name,
	);
	if (found === undefined) throw new Error(`src/${path} has no interface or type ${name}`);
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
	return escapeTags(comment)
		.replace(/\{@link (\w+)\}/g, "`$1`")
		.replace(/^- /, "")
		.replace(/\n- /g, separator)
		.replace(/\s+/g, " ")
		.trim();
}

/** A `<T>` outside of code is text, and no tag. */
function escapeTags(text) {
	return text.replace(/(`[^`]*`)|<(?=[a-z/!])/gi, (_, code) => code ?? "\\<");
}

/** The text of a tag such as `@defaultValue`, or `undefined`. */
export function readTag(node, name) {
	const tag = node.jsDoc?.at(-1)?.tags?.find(({ tagName }) => tagName.text === name);
	return tag && ts.getTextOfJSDocComment(tag.comment);
}

/** The type of a property, on one line; without the `undefined` that every optional one admits. */
export function readType(member) {
	// Of a type that depends on another option what it is where it may be given at all.
	const type = ts.isConditionalTypeNode(member.type) ? member.type.falseType : member.type;
	const types = partsOf(type).flatMap((part) => partsOf(constraintOf(member, part) ?? part));
	const given = types.filter(
		({ kind }) => member.questionToken === undefined || kind !== ts.SyntaxKind.UndefinedKeyword,
	);
	const [only] = given;
	const shown = given.length === 1 && ts.isParenthesizedTypeNode(only) ? [only.type] : given;
	return shown.map((part) => part.getText().replace(/\s+/g, " ")).join(" | ");
}

function partsOf(type) {
	return ts.isUnionTypeNode(type) ? [...type.types] : [type];
}

/** What a type parameter of the interface may stand for. */
function constraintOf({ parent }, type) {
	return parent.typeParameters?.find(({ name }) => name.getText() === type.getText())?.constraint;
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
