import { CallhookError } from "../errors.ts";
import { describe } from "../internal/options.ts";

/** A subscription pattern, ready to match. */
export interface Pattern {
	readonly text: string;
	/** Whether it has no wildcard and so matches one type only. */
	readonly isExact: boolean;
	matches(type: string): boolean;
}

const namedSegment = /^[A-Za-z0-9_-]+$/;

/** Whether a text is a well-formed event type: dotted segments of letters, digits, `_` and `-`. */
export function isEventType(text: string): boolean {
	return text.split(".").every((segment) => namedSegment.test(segment));
}

/**
 * Reads a pattern: an event type in which `*` stands for exactly one segment and `**` for any number, none included.
 * Throws ERR_CALLHOOK_MISSING_NAME or ERR_CALLHOOK_INVALID_PATTERN.
 */
export function createPattern(text: string, where: string): Pattern {
	checkName(text, where);
	// Two `**` in a row mean the same as one, and would only make matching slower.
	const segments = text
		.split(".")
		.filter((segment, index, all) => segment !== "**" || all[index - 1] !== "**");
	for (const segment of segments) {
		if (segment === "*" || segment === "**" || namedSegment.test(segment)) continue;
		const reason = segment.includes("*")
			? "a wildcard must be a whole segment, as in `order.*`"
			: "segments are letters, digits, `_` and `-`, separated by single dots";
		throw invalidPattern(text, where, reason);
	}
	const isExact = !text.includes("*");
	return {
		text,
		isExact,
		matches: isExact ? (type) => type === text : (type) => matchSegments(segments, type.split(".")),
	};
}

/** Whether a type is matched by at least one of these patterns. */
export function matchAny(patterns: readonly Pattern[]): (type: string) => boolean {
	return (type) => patterns.some((pattern) => pattern.matches(type));
}

export function invalidPattern(pattern: string, where: string, reason: string): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_PATTERN",
		`${where} got pattern "${pattern}", which cannot be used: ${reason}`,
		{ pattern, reason },
	);
}

/** Throws ERR_CALLHOOK_MISSING_NAME unless the name of an event type or pattern is a non-empty string. */
export function checkName(name: unknown, where: string, what = "event type"): asserts name is string {
	if (typeof name === "string" && name !== "") return;
	throw new CallhookError(
		"ERR_CALLHOOK_MISSING_NAME",
		`The ${what} of ${where} must be a non-empty string, but got ${describe(name)}`,
		{ what, where },
	);
}

/** Greedy matching that goes back to the last `**` only, so it takes at most pattern × type steps. */
function matchSegments(pattern: readonly string[], type: readonly string[]): boolean {
	let p = 0;
	let t = 0;
	let restartPattern = -1;
	let restartType = -1;
	while (t < type.length) {
		if (pattern[p] === "**") {
			restartPattern = ++p;
			restartType = t;
		} else if (p < pattern.length && (pattern[p] === "*" || pattern[p] === type[t])) {
			p++;
			t++;
		} else if (restartPattern >= 0) {
			p = restartPattern;
			t = ++restartType;
		} else {
			return false;
		}
	}
	while (pattern[p] === "**") p++;
	return p === pattern.length;
}

/** Whether `Pattern` matches `Type`, decided by the compiler as {@link createPattern} does at run time. */
export type Matches<Type extends string, Text extends string> = Text extends "**" | Type
	? true
	: Text extends `**.${infer Rest}`
		? Matches<Type, Rest> extends true
			? true
			: Type extends `${string}.${infer TypeRest}`
				? Matches<TypeRest, Text>
				: false
		: Text extends `${infer Head}.${infer Rest}`
			? Type extends `${infer TypeHead}.${infer TypeRest}`
				? Head extends "*" | TypeHead
					? Matches<TypeRest, Rest>
					: false
				: Rest extends "**"
					? Matches<Type, Head>
					: false
			: Text extends "*"
				? Type extends `${string}.${string}`
					? false
					: true
				: false;
