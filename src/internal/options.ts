import { CallhookError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { didYouMean } from "./did-you-mean.ts";
import { parseTime } from "./iso-time.ts";

/** A short description of a value for messages: its kind, and the value itself where it is short and plain. */
export function describe(value: unknown): string {
	if (value === null || value === undefined) return String(value);
	if (typeof value === "string")
		return value.length <= 60 ? `"${value}"` : `a string of ${value.length} characters`;
	if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") {
		return `${typeof value} ${String(value)}`;
	}
	return Array.isArray(value) ? "an array" : `${/^[aeiou]/.test(typeof value) ? "an" : "a"} ${typeof value}`;
}

/** The error for an option with a value that cannot work. */
export function invalidOption(option: string, expected: string, value: unknown): CallhookError {
	const received = describe(value);
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_OPTION",
		`Option "${option}" must be ${expected}, but got ${received}`,
		{ option, expected, received },
	);
}

/** Checks a number option against its bounds; `undefined` passes, since every option has a default. */
export function checkNumber(
	option: string,
	value: unknown,
	bounds: { min: number; max?: number; integer?: boolean; infinity?: boolean },
): void {
	if (value === undefined || (bounds.infinity === true && value === Number.POSITIVE_INFINITY)) return;
	const { min, max = Number.MAX_SAFE_INTEGER, integer = true } = bounds;
	const fits =
		typeof value === "number" &&
		value >= min &&
		value <= max &&
		(integer ? Number.isSafeInteger(value) : Number.isFinite(value));
	if (fits) return;
	const range = bounds.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
	const kind = integer ? "a whole number" : "a number";
	throw invalidOption(option, `${kind} ${range}${bounds.infinity === true ? ", or Infinity" : ""}`, value);
}

/** Checks a delay: whole or fractional milliseconds, up to the 24.8 days that timers can hold. */
export function checkDelayMs(option: string, value: unknown, min = 0): void {
	checkNumber(option, value, { min, max: 2_147_483_647, integer: false });
}

/** Checks an option that must be true or false when it is given. */
export function checkBoolean(option: string, value: unknown): void {
	if (value !== undefined && typeof value !== "boolean") throw invalidOption(option, "a boolean", value);
}

/** Checks an option that must be a function when it is given. */
export function checkFunction(option: string, value: unknown): void {
	if (value !== undefined && typeof value !== "function") throw invalidOption(option, "a function", value);
}

/**
 * Checks that options are an object with no other keys than the known ones: a misspelt option is never ignored. `note`
 * says what is often passed in their place.
 */
export function checkOptions(name: string, options: unknown, known: readonly string[], note = ""): void {
	if (options === undefined) return;
	const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
	if (!isPlainObject(options) && !(isObject && known.some((key) => key in options))) {
		throw invalidOption(name, `a plain object${note}`, options);
	}
	for (const key of Object.keys(options)) {
		if (known.includes(key)) continue;
		const expected = `one of ${known.join(", ")}`;
		throw new CallhookError(
			"ERR_CALLHOOK_INVALID_OPTION",
			`${name} has no option "${key}"; it takes ${known.join(", ")}${note}${didYouMean(key, known)}`,
			{ option: `${name}.${key}`, expected, received: "an unknown option" },
		);
	}
}

/** Whether it is no instance of a class. */
export function isPlainObject(value: unknown): value is object {
	if (typeof value !== "object" || value === null) return false;
	const prototype: unknown = Object.getPrototypeOf(value);
	// The root of any realm, as of a vm or an iframe, has no prototype.
	return prototype === null || (Object.getPrototypeOf(prototype) === null && !Array.isArray(value));
}

/** Reads a time that was given as a Date or a text, as RFC 3339 in UTC. */
export function readTime(option: string, time: string | Date | undefined): string | undefined {
	if (time === undefined) return undefined;
	const ms = typeof time === "string" ? parseTime(time) : time instanceof Date ? time.getTime() : Number.NaN;
	if (Number.isNaN(ms))
		throw invalidOption(option, "a Date or a time in RFC 3339, with its offset from UTC", time);
	return new Date(ms).toISOString();
}

/** Checks an option that must be an AbortSignal when it is given. */
export function checkSignal(option: string, value: unknown): void {
	if (value === undefined) return;
	const { addEventListener } = (value ?? {}) as Partial<AbortSignal>;
	if (typeof addEventListener !== "function") throw invalidOption(option, "an AbortSignal", value);
}

/** Checks that an option is a clock. */
export function checkClock(value: unknown): void {
	const { now, setTimeout, clearTimeout } = (value ?? {}) as Partial<Clock>;
	if ([now, setTimeout, clearTimeout].every((member) => typeof member === "function")) return;
	throw invalidOption("clock", "a clock with now, setTimeout and clearTimeout", value);
}
