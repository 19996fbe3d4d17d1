// Makes docs/reference/api.md from the interfaces of what the bus and its methods give, and their comments:
// `node docs/reference/generate-api.mjs`. With --print it writes the page to stdout instead.
import ts from "typescript";
import { findDeclaration, readComment, readTag, writePage } from "./typescript-source.mjs";

const intro = `# The bus and what it gives

<!-- Made by docs/reference/generate-api.mjs from the interfaces in src/bus/ and src/event/envelope.ts: edit the comments
     there, then run it. -->

The members of a bus, and of the objects that its methods return and that callbacks, handlers and \`onError\` get. The
signatures are simplified: type parameters are left out, and a pattern's events are \`BusEvent\`; your editor shows the
types in full. All fields are read-only. What each \`options\` may hold is in [options](options.md).
`;

// In the order of the page. `of` is the interface, `also` one that it extends, `without` a member of that which it leaves
// out, `note` a sentence to add, `meanings` what the comments do not say.
const sections = [
	{
		...{ path: "bus/bus.ts", of: "Bus" },
		meanings: { stats: "What is registered and what is open now." },
	},
	{ path: "event/envelope.ts", of: "BusEvent" },
	{
		...{ path: "bus/emission.ts", of: "Emission" },
		note: "It is no promise itself: await one of its promises.",
		meanings: { event: "The event that was emitted." },
	},
	{ path: "bus/report.ts", of: "EmissionReport", meanings: { event: "The event that was emitted." } },
	{
		...{ path: "bus/report.ts", of: "ConsumerOutcome" },
		meanings: {
			fulfilled: "What the function returned.",
			rejected: "What it threw or rejected with, in the last attempt.",
		},
	},
	{
		...{ path: "bus/subscription.ts", of: "Unsubscribe", as: "unsubscribe" },
		meanings: { unsubscribe: "Ends the subscription.", "[Symbol.dispose]": "The same." },
	},
	{
		...{ path: "bus/handler-subscription.ts", of: "HandlerSubscription" },
		meanings: {
			name: "Its `name` option, or what stands for it.",
			resume: "Starts attempts again.",
			stats: "What it has done so far.",
		},
	},
	{ path: "bus/handler-queue.ts", of: "HandlerStats", meanings: { succeeded: "Events that it has done." } },
	{ path: "bus/attempt.ts", of: "HandlerContext" },
	{
		...{ path: "bus/attempt.ts", of: "BatchContext" },
		also: { path: "bus/attempt.ts", of: "HandlerContext", without: "event" },
	},
	{
		...{ path: "bus/stream.ts", of: "EventStream" },
		note: "An async iterator: read it with `for await`, or with `next()`.",
		meanings: { return: "Ends the stream and forgets what is in its buffer, as leaving the loop does." },
	},
	{ path: "bus/hold.ts", of: "Held" },
	{
		...{ path: "bus/pipe.ts", of: "Pipe", as: "pipe" },
		also: { path: "bus/subscription.ts", of: "Unsubscribe" },
		meanings: { pipe: "Ends it; calling it again does nothing.", "[Symbol.dispose]": "The same." },
	},
	{ path: "bus/dead-letter.ts", of: "DeadLetters" },
	{
		...{ path: "bus/dead-letter.ts", of: "DeadLetter" },
		meanings: { handler: "The name of the handler.", attempts: "How often it was tried." },
	},
	{ path: "bus/dead-letter.ts", of: "AttemptFailure" },
	{ path: "internal/page.ts", of: "Page" },
	{
		...{ path: "bus/core.ts", of: "ErrorContext" },
		meanings: { source: "Who failed.", event: "The event it was about, if it was about one." },
	},
	{
		...{ path: "bus/bus.ts", of: "BusStats" },
		note: "What `bus.stats()` returns.",
		meanings: { handlers: "The stats of each handler, with its name." },
	},
	{ path: "bus/drain.ts", of: "DrainReport" },
];

/** Generic types of which the page shows the arguments. */
const shownGenerics = ["Promise", "AsyncIterable", "IteratorResult", "Page", "Readonly", "Record"];

/** A type as a reader wants it: without `readonly`, without type parameters, and an event as `BusEvent`. */
function showType(type) {
	if (ts.isTypeReferenceNode(type)) return showReference(type);
	if (ts.isTypeOperatorNode(type)) return showType(type.type);
	if (ts.isArrayTypeNode(type)) return `${showType(type.elementType)}[]`;
	if (ts.isParenthesizedTypeNode(type)) return `(${showType(type.type)})`;
	if (ts.isUnionTypeNode(type)) return type.types.map(showType).join(" | ");
	if (ts.isIntersectionTypeNode(type)) return type.types.map(showType).join(" & ");
	if (ts.isFunctionTypeNode(type)) return `(${showParameters(type)}) => ${showType(type.type)}`;
	return type.getText().replace(/\breadonly |\n\s*/g, "");
}

function showReference(type) {
	const name = type.typeName.getText();
	if (name === "EventOf") return "BusEvent";
	const constraint = findConstraint(type, name);
	if (constraint !== undefined) return showType(constraint);
	if (!shownGenerics.includes(name) || type.typeArguments === undefined) return name;
	return `${name}<${type.typeArguments.map(showType).join(", ")}>`;
}

/** What the type parameter of this name may stand for, in the interface around it. */
function findConstraint(type, name) {
	const { typeParameters } = ts.findAncestor(type, ts.isInterfaceDeclaration) ?? {};
	return typeParameters?.find((parameter) => parameter.name.getText() === name)?.constraint;
}

function showParameters({ parameters }) {
	return parameters.map(showParameter).join(", ");
}

/** Its name, and its type where that is short: a simple one, or the arguments of a function. */
function showParameter(parameter) {
	const { name, type, dotDotDotToken, questionToken, initializer } = parameter;
	const isOptional = questionToken !== undefined || initializer !== undefined;
	const shown = `${dotDotDotToken === undefined ? "" : "..."}${name.getText()}${isOptional ? "?" : ""}`;
	if (type !== undefined && ts.isFunctionTypeNode(type)) return `${shown}: (${showParameters(type)}) => …`;
	const simple = [ts.SyntaxKind.StringKeyword, ts.SyntaxKind.NumberKeyword, ts.SyntaxKind.BooleanKeyword];
	return simple.includes(type?.kind) ? `${shown}: ${type.getText()}` : shown;
}

/** What stands between the backticks; `as` is the name of an object that is itself a function. */
function showMember(member, as) {
	const isOptional = member.questionToken !== undefined;
	const name = member.name === undefined ? as : `${member.name.getText()}${isOptional ? "?" : ""}`;
	if (ts.isPropertySignature(member)) return `${name}: ${showPropertyType(member.type, isOptional)}`;
	return `${name}(${showParameters(member)}): ${showType(member.type)}`;
}

/** The type of an optional property has no `undefined`, which all of them admit. */
function showPropertyType(type, isOptional) {
	const parts = ts.isUnionTypeNode(type) ? [...type.types] : [type];
	const given = parts.filter(({ kind }) => !isOptional || kind !== ts.SyntaxKind.UndefinedKeyword);
	return given.map(showType).join(" | ");
}

/** The members of an interface, or of a type made of literals; each alternative of a union is one list of members. */
function membersOf(declaration) {
	if (ts.isInterfaceDeclaration(declaration)) return declaration.members.map((member) => [member]);
	return membersOfType(declaration.type);
}

function membersOfType(type) {
	if (ts.isTypeLiteralNode(type)) return type.members.map((member) => [member]);
	if (ts.isIntersectionTypeNode(type)) return type.types.flatMap(membersOfType);
	if (ts.isParenthesizedTypeNode(type)) return membersOfType(type.type);
	if (ts.isUnionTypeNode(type)) return type.types.map(({ members }) => [...members]);
	throw new Error(`Cannot list the members of ${type.getText()}`);
}

/** The members of a section, those that it inherits last; not those that only carry types. */
function listMembers({ path, of, also }) {
	const inherited = also === undefined ? [] : membersOf(findDeclaration(also.path, also.of));
	return [
		...membersOf(findDeclaration(path, of)),
		...inherited.filter(([member]) => member.name === undefined || member.name.getText() !== also.without),
	].filter(([member]) => readTag(member, "internal") === undefined);
}

/** The comment of a member, or what stands for one; of an alternative, the comment above it. */
function readMeaning([member], { meanings = {}, as }) {
	const alternative = member.parent;
	if (ts.isUnionTypeNode(alternative.parent)) {
		return readCommentAbove(alternative) || (meanings[JSON.parse(member.type.getText())] ?? "");
	}
	return readComment(member) || (meanings[member.name?.getText() ?? as] ?? "");
}

/** The comment in front of the `|` of an alternative, where the compiler keeps none. */
function readCommentAbove(alternative) {
	const source = alternative.getSourceFile().text;
	const { types } = alternative.parent;
	const before = types[types.indexOf(alternative) - 1]?.end ?? alternative.pos;
	const comments = ts.getLeadingCommentRanges(source, before) ?? [];
	const [text = ""] = comments.map(({ pos, end }) => source.slice(pos, end));
	return text.replace(/^\/\*\*|\*\/$/g, "").trim();
}

/** Overloads of a method stand together, under the comment of the first. */
function makeItems(section) {
	const items = [];
	for (const members of listMembers(section)) {
		const name = members[0].name?.getText();
		const shown = members.map((member) => `\`${showMember(member, section.as)}\``);
		const meaning = readMeaning(members, section);
		const last = items.at(-1);
		if (last !== undefined && last.name === name && meaning === "") last.shown.push(...shown);
		else items.push({ name, shown, meaning });
	}
	return items.map(({ shown, meaning }) => `- ${shown.join(", ")}${meaning === "" ? "" : `: ${meaning}`}`);
}

/** The comment of a type, without what it says of the type parameter that no page shows. */
function readAbout({ path, of, note = "" }) {
	const comment = readComment(findDeclaration(path, of));
	return `${comment.replace(/ `Result` is .*/, "")} ${note}`.trim();
}

function makeSection(section) {
	return `## ${section.of}\n\n${readAbout(section)}\n\n${makeItems(section).join("\n")}\n`;
}

const contents = `${sections.map(({ of }) => `[${of}](#${of.toLowerCase()})`).join(" · ")}\n`;

writePage("api.md", [intro, contents, ...sections.map(makeSection)].join("\n"));
