import { z } from "zod";
import { didYouMean } from "../internal/did-you-mean.ts";
import { describe, isPlainObject } from "../internal/options.ts";
import type { Where } from "./where-type.ts";

const combinators = ["and", "or", "not"];
/** What a path may begin with; only `data` and `metadata` go on. */
const envelopeFields = ["type", "key", "subject", "source", "time"];
const roots = ["data", "metadata", ...envelopeFields];

const operandChecks: Readonly<Record<string, (operand: unknown) => string | undefined>> = {
	eq: checkScalar,
	ne: checkScalar,
	gt: checkOrdered,
	gte: checkOrdered,
	lt: checkOrdered,
	lte: checkOrdered,
	in: checkList,
	nin: checkList,
	prefix: checkText,
	suffix: checkText,
	exists: (operand) =>
		typeof operand === "boolean" ? undefined : `expected true or false, got ${describe(operand)}`,
};
const operators = Object.keys(operandChecks);

const maxDepth = 8;
const maxConditions = 100;
const maxListLength = 1_000;
const maxTextLength = 1_000;
const maxPathLength = 500;

/** One reading of a filter. */
interface Reading {
	/** Conditions met so far; a filter that says nothing counts as one. */
	conditions: number;
	issue(path: readonly string[], message: string): void;
}

/**
 * Checks a {@link Where} and copies it. Each fault is an issue at its path. At most 8 filters inside each other, 100
 * conditions in all, 1,000 values in a list and 1,000 characters in a text.
 */
export const whereSchema: z.ZodType<Where> = z.unknown().transform((value, context) => {
	const reading: Reading = {
		conditions: 0,
		issue: (path, message) => void context.addIssue({ code: "custom", path: [...path], message }),
	};
	const where = readWhere(value, [], 1, reading);
	if (reading.conditions > maxConditions) reading.issue([], `more than ${maxConditions} conditions`);
	return where as Where;
});

function readWhere(value: unknown, path: readonly string[], depth: number, reading: Reading): object {
	const where: Record<string, unknown> = {};
	if (!isPlainObject(value)) {
		reading.conditions++;
		reading.issue(path, `expected an object of paths and conditions, got ${describe(value)}`);
		return where;
	}
	if (depth > maxDepth) {
		reading.conditions++;
		reading.issue(path, `more than ${maxDepth} filters inside each other`);
		return where;
	}
	const entries = Object.entries(value);
	if (entries.length === 0) {
		reading.conditions++;
		reading.issue(path, "expected at least one condition");
	}
	for (const [key, content] of entries) {
		// One issue says so; what is behind is not looked at.
		if (reading.conditions > maxConditions) break;
		const here = [...path, key];
		if (key === "not") where.not = readWhere(content, here, depth + 1, reading);
		else if (key === "and" || key === "or") where[key] = readList(content, here, depth + 1, reading);
		else readPath(where, key, content, here, reading);
	}
	return where;
}

function readList(value: unknown, path: readonly string[], depth: number, reading: Reading): object[] {
	if (!Array.isArray(value) || value.length === 0) {
		reading.conditions++;
		reading.issue(
			path,
			`expected a list with at least one filter, got ${Array.isArray(value) ? "an empty one" : describe(value)}`,
		);
		return [];
	}
	// Each has a condition at least.
	if (value.length > maxConditions) {
		reading.conditions = maxConditions + 1;
		return [];
	}
	const filters: object[] = [];
	for (const [index, each] of value.entries()) {
		if (reading.conditions > maxConditions) break;
		filters.push(readWhere(each, [...path, String(index)], depth, reading));
	}
	return filters;
}

function readPath(
	where: Record<string, unknown>,
	key: string,
	condition: unknown,
	path: readonly string[],
	reading: Reading,
): void {
	reading.conditions++;
	const fault = faultOfPath(key);
	if (fault !== undefined) reading.issue(path, fault);
	else if (isPlainObject(condition)) where[key] = readOperators(key, condition, path, reading);
	else {
		const faultOfValue = checkScalar(condition);
		if (faultOfValue !== undefined) reading.issue(path, `${faultOfValue}, or an object of operators`);
		where[key] = condition;
	}
}

function readOperators(key: string, condition: object, path: readonly string[], reading: Reading): object {
	const read: Record<string, unknown> = {};
	const entries = Object.entries(condition);
	if (entries.length === 0) reading.issue(path, "expected at least one operator");
	for (const [operator, given] of entries) {
		const operand: unknown = Array.isArray(given) ? given.slice(0, maxListLength + 1) : given;
		const isKnown = Object.hasOwn(operandChecks, operator);
		const fault = isKnown ? operandChecks[operator]?.(operand) : unknownOperator(key, operator);
		if (fault === undefined) read[operator] = operand;
		else reading.issue([...path, operator], fault);
		// Of many, the first says what is wrong.
		if (!isKnown) break;
	}
	return read;
}

function faultOfPath(path: string): string | undefined {
	if (path.length > maxPathLength) return `expected a path of at most ${maxPathLength} characters`;
	const [root = "", ...names] = path.split(".");
	if (!roots.includes(root)) {
		const known = `a path begins with data. or metadata., or is ${listOf(envelopeFields)}`;
		return `unknown path; ${known}${didYouMean(root, [...roots, ...combinators])}`;
	}
	if (names.includes("")) return "expected a path whose names are separated by single dots";
	if (root === "metadata" && names.length === 0) return 'expected "metadata." and a name';
	if (envelopeFields.includes(root) && names.length > 0) return `unknown path; "${root}" has nothing inside`;
	return undefined;
}

function unknownOperator(path: string, operator: string): string {
	const inside =
		path === "data" || /^(data|metadata)\./.test(path) ? `; a field inside is written "${path}.…"` : "";
	return `unknown operator; the operators are ${listOf(operators)}${inside}${didYouMean(operator, operators)}`;
}

function checkScalar(value: unknown): string | undefined {
	if (value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) {
		return undefined;
	}
	if (typeof value === "string") return checkText(value);
	return `expected a text, a finite number, true, false or null, got ${describe(value)}`;
}

function checkOrdered(value: unknown): string | undefined {
	if (typeof value === "number" && Number.isFinite(value)) return undefined;
	if (typeof value === "string") return checkText(value);
	return `expected a finite number or a text, got ${describe(value)}`;
}

function checkText(value: unknown): string | undefined {
	if (typeof value !== "string") return `expected a text, got ${describe(value)}`;
	if (value.length <= maxTextLength) return undefined;
	return `expected a text of at most ${maxTextLength} characters, got ${value.length}`;
}

function checkList(value: unknown): string | undefined {
	if (!Array.isArray(value)) return `expected a list of scalars, got ${describe(value)}`;
	if (value.length > maxListLength) return `expected at most ${maxListLength} values, got more`;
	// By index: the methods of a list skip its holes.
	for (let index = 0; index < value.length; index++) {
		const fault = checkScalar(value[index]);
		if (fault !== undefined) return `value ${index}: ${fault}`;
	}
	return undefined;
}

function listOf(names: readonly string[]): string {
	return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
