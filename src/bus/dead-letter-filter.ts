import { checkFunction, checkOptions, invalidOption, readTime } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import type { DeadLetter, DeadLetterFilter } from "./dead-letter.ts";

export const knownFilters: readonly (keyof DeadLetterFilter)[] = [
	"ids",
	"handler",
	"type",
	"since",
	"until",
	"where",
];

/** Checks a filter and makes the function that answers whether a letter agrees with it. */
export function readFilter(filter: DeadLetterFilter): (letter: DeadLetter) => boolean {
	checkOptions("deadLetters", filter, knownFilters);
	const { ids, handler, type, where } = filter;
	if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "string"))) {
		throw invalidOption("ids", "an array of strings", ids);
	}
	for (const [option, text] of Object.entries({ handler, type })) {
		if (text !== undefined && typeof text !== "string") throw invalidOption(option, "a string", text);
	}
	checkFunction("where", where);
	const since = readTime("since", filter.since);
	const until = readTime("until", filter.until);
	return (letter) =>
		(ids === undefined || ids.includes(letter.id)) &&
		(handler === undefined || letter.handler === handler) &&
		(type === undefined || letter.event.type === type) &&
		(since === undefined || letter.deadAt >= since) &&
		(until === undefined || letter.deadAt < until) &&
		(where === undefined || checkSynchronous("where", where(letter)));
}
