let lastMs = Number.NaN;
let lastText = "";

/** A moment in RFC 3339, UTC. Events come many to a millisecond, and writing one down costs more than emitting it. */
export function isoTime(ms: number): string {
	if (ms !== lastMs) {
		lastText = new Date(ms).toISOString();
		lastMs = ms;
	}
	return lastText;
}

const rfc3339 = /^(\d{4}-\d\d-(\d\d))T([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** The milliseconds of a moment in RFC 3339, with its offset from UTC and a day that its month has; else NaN. */
export function parseTime(text: string): number {
	const [, date, day] = rfc3339.exec(text) ?? [];
	// JavaScript takes the 30th of February for the 2nd of March.
	const ms = new Date(`${date}T00:00:00Z`).getUTCDate() === Number(day) ? Date.parse(text) : Number.NaN;
	// Its offset may carry it out of the years 0 to 9999, and in UTC it could not be written.
	return ms >= -62_167_219_200_000 && ms < 253_402_300_800_000 ? ms : Number.NaN;
}
