import { invalidOption } from "../internal/options.ts";
import { whereSchema } from "./where-schema.ts";
import type { Where, WhereCondition, WhereScalar } from "./where-type.ts";

/** An event as a content filter sees it: its data and metadata as `JSON.parse` gives them. */
export interface FilteredEvent {
	readonly type: string;
	readonly key?: string | undefined;
	readonly subject?: string | undefined;
	readonly source: string;
	readonly time: string;
	readonly metadata: unknown;
	readonly data: unknown;
}

/** Whether a value satisfies a condition; `undefined` is one that is missing. */
type Test = (value: unknown) => boolean;

type Filter = (event: FilteredEvent) => boolean;

/** How each operator tests a value, once its operand is known. */
const operators: { readonly [operator: string]: (operand: never) => Test } = {
	eq:
		(operand: WhereScalar): Test =>
		(value) =>
			value === operand,
	ne:
		(operand: WhereScalar): Test =>
		(value) =>
			value !== operand,
	gt: (operand: number | string) => ordered(operand, (order) => order > 0),
	gte: (operand: number | string) => ordered(operand, (order) => order >= 0),
	lt: (operand: number | string) => ordered(operand, (order) => order < 0),
	lte: (operand: number | string) => ordered(operand, (order) => order <= 0),
	in(operand: readonly WhereScalar[]): Test {
		const values = new Set<unknown>(operand);
		return (value) => values.has(value);
	},
	nin(operand: readonly WhereScalar[]): Test {
		const values = new Set<unknown>(operand);
		return (value) => !values.has(value);
	},
	prefix:
		(operand: string): Test =>
		(value) =>
			typeof value === "string" && value.startsWith(operand),
	suffix:
		(operand: string): Test =>
		(value) =>
			typeof value === "string" && value.endsWith(operand),
	exists:
		(operand: boolean): Test =>
		(value) =>
			(value !== undefined) === operand,
};

/**
 * Makes a function of a content filter, which says of each event whether it passes. A value that is missing satisfies
 * only `exists: false`, `ne` and `nin`; a value is never converted, and found by own properties only.
 *
 * Throws ERR_CALLHOOK_INVALID_OPTION for what {@link whereSchema} refuses.
 */
export function compileWhere(where: Where): Filter {
	const result = whereSchema.safeParse(where);
	if (result.success) return compile(result.data);
	const [issue] = result.error.issues;
	const path = ["where", ...(issue?.path ?? [])].map(String).join(".");
	throw invalidOption(path, `a content filter (${issue?.message})`, where);
}

function compile(where: Where): Filter {
	return all(Object.entries<unknown>(where).map(([key, content]) => compileKey(key, content)));
}

function compileKey(key: string, content: unknown): Filter {
	switch (key) {
		case "and":
			return all((content as readonly Where[]).map(compile));
		case "or": {
			const filters = (content as readonly Where[]).map(compile);
			return (event) => filters.some((filter) => filter(event));
		}
		case "not": {
			const filter = compile(content as Where);
			return (event) => !filter(event);
		}
		default: {
			const read = createReader(key);
			const test = compileCondition(content as WhereCondition);
			return (event) => test(read(event));
		}
	}
}

function compileCondition(condition: WhereCondition): Test {
	if (typeof condition !== "object" || condition === null) return (value) => value === condition;
	return all(
		Object.entries<unknown>({ ...condition }).map(
			([operator, operand]) => operators[operator]?.(operand as never) as Test,
		),
	);
}

/** One function for several that must all hold; where there is one, no more than that. */
function all<Value>(tests: readonly ((value: Value) => boolean)[]): (value: Value) => boolean {
	const [first] = tests;
	if (first !== undefined && tests.length === 1) return first;
	return (value) => tests.every((test) => test(value));
}

/** Reads the value at a path; `undefined` where there is none. */
function createReader(path: string): (event: FilteredEvent) => unknown {
	const [root, ...names] = path.split(".");
	const field = root as keyof FilteredEvent;
	return (event) => {
		let value: unknown = event[field];
		for (const name of names) {
			if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
			// Of lists, `length` is no part of the JSON.
			if (name === "length" && Array.isArray(value)) return undefined;
			value = (value as Record<string, unknown>)[name];
		}
		return value;
	};
}

function ordered(operand: number | string, holds: (order: number) => boolean): Test {
	if (typeof operand === "number") {
		return (value) => typeof value === "number" && holds(value - operand);
	}
	return (value) => typeof value === "string" && holds(compareTexts(value, operand));
}

/** Orders texts by code points; JavaScript's own operators go by UTF-16 units, which differs beyond U+FFFF. */
function compareTexts(left: string, right: string): number {
	const end = Math.min(left.length, right.length);
	let at = 0;
	while (at < end && left.charCodeAt(at) === right.charCodeAt(at)) at++;
	if (at === end) return left.length - right.length;
	// Where only the second halves of two pairs differ, their code points begin one unit before.
	if (isHighSurrogate(left.charCodeAt(at - 1))) {
		const order = codePointOf(left, at - 1) - codePointOf(right, at - 1);
		if (order !== 0) return order;
	}
	return codePointOf(left, at) - codePointOf(right, at);
}

function isHighSurrogate(unit: number): boolean {
	return unit >= 0xd800 && unit <= 0xdbff;
}

function codePointOf(text: string, at: number): number {
	return text.codePointAt(at) as number;
}
