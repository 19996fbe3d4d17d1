/** The three forms of RFC 9110 §5.6.7; the last is without a zone and means UTC. */
const httpDate =
	/^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT|((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [\d ]\d \d\d:\d\d:\d\d \d{4}))$/;

/**
 * How long a `Retry-After` asks to wait, in milliseconds: a count of seconds or an HTTP date, at most `maxMs`. 0 for a moment
 * that has passed; `undefined` for anything else, as if there were no header.
 */
export function readRetryAfter(value: string | undefined, nowMs: number, maxMs: number): number | undefined {
	const text = value?.trim() ?? "";
	if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, maxMs);
	const match = httpDate.exec(text);
	if (match === null) return undefined;
	const atMs = Date.parse(match[1] === undefined ? text : `${text} GMT`);
	return Number.isNaN(atMs) ? undefined : Math.min(Math.max(atMs - nowMs, 0), maxMs);
}
