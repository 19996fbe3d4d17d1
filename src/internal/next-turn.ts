type Schedule = (callback: () => void) => unknown;

// Node has setImmediate; elsewhere a timer of no length is a turn too, if a slower one.
const schedule: Schedule =
	(globalThis as { setImmediate?: Schedule }).setImmediate ?? ((callback) => setTimeout(callback, 0));

/** Resolves in the next turn of the event loop, when what this turn has brought is done. */
export function nextTurn(): Promise<void> {
	return new Promise(schedule);
}
