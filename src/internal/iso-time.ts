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
