import type { StoredEvent } from "./ports.ts";

/** How soon it is looked again whether another process has it, at first; later less often. */
const againMs = 30_000;
const agePerAgain = 12;
/** As long as the processes of a rolling deployment may run beside each other. */
const deploymentMs = 3_600_000;

/**
 * What this process cannot deliver may be for a newer one, which is being rolled out beside it: until the event is an hour
 * old, its delivery is given back. `undefined`: nobody is waited for, nor for what dates itself more than an hour ahead, whose
 * sender may have named any time.
 */
export function leaveToNewer({ time }: StoredEvent, nowMs: number): { giveBackMs: number } | undefined {
	const ageMs = nowMs - Date.parse(time);
	if (Math.abs(ageMs) >= deploymentMs) return undefined;
	return { giveBackMs: Math.min(Math.max(againMs, ageMs / agePerAgain), deploymentMs - ageMs) };
}
