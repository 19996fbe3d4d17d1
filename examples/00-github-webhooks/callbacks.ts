import type { GithubBus } from "./bus.ts";

/** What the callbacks counted. */
export interface CallbackCounts {
	/** Calls of all callbacks together. */
	calls: number;
	/** Events by type. */
	readonly tally: Record<string, number>;
	/** What the typed callbacks read out of their events. */
	readonly pushedBranches: Set<string>;
	readonly issueNumbers: Set<number>;
	readonly stargazers: Set<string>;
}

/** Registers the callbacks, one for each pattern of plan.ts. They run inside `emit`, in this order. */
export function registerCallbacks(bus: GithubBus): CallbackCounts {
	const counts: CallbackCounts = {
		calls: 0,
		tally: {},
		pushedBranches: new Set(),
		issueNumbers: new Set(),
		stargazers: new Set(),
	};
	bus.on("github.**", (_data, event) => {
		counts.calls++;
		counts.tally[event.type] = (counts.tally[event.type] ?? 0) + 1;
	});
	bus.on("github.push", (data) => {
		counts.calls++;
		counts.pushedBranches.add(data.ref);
	});
	bus.on("github.issues.*", (data) => {
		counts.calls++;
		counts.issueNumbers.add(data.issue.number);
	});
	bus.on("github.star.created", (data) => {
		counts.calls++;
		counts.stargazers.add(data.sender.login);
	});
	return counts;
}
