// What a run must count, worked out from the input alone: nothing here asks the library.
import type { GithubPayload } from "./payloads.ts";
import { callbackPatterns, forwardedPatterns, handlerConcurrency, refuseEvery } from "./plan.ts";
import type { DemoCounts, Observations } from "./report.ts";

type CountsByType = Readonly<Record<string, number>>;

/** What the input demands of a run. */
export interface Expected {
	readonly counts: DemoCounts;
	/** Emitted events by type. */
	readonly tally: CountsByType;
	/** Forwarded events by type. */
	readonly forwardedByType: CountsByType;
}

/** Whether an event type is one of those that leave the process. */
export function isForwarded(type: string): boolean {
	return forwardedPatterns.some((pattern) => matches(pattern, type));
}

/** What emitting the payloads the given number of times must lead to. */
export function expectedFrom(payloads: readonly GithubPayload[], times: number): Expected {
	const types = payloads.map((payload) => payload.type);
	const forwardedTypes = types.filter(isForwarded);
	const callbacks = types.flatMap((type) => callbackPatterns.filter((pattern) => matches(pattern, type)));
	const emitted = types.length * times;
	const forwarded = forwardedTypes.length * times;
	const retried = Math.floor(forwarded / refuseEvery);
	return {
		counts: {
			emitted,
			callbacks: callbacks.length * times,
			handled: emitted,
			forwarded,
			attempts: forwarded + retried,
			retried,
			delivered: forwarded,
			verified: forwarded,
		},
		tally: countEach(types, times),
		forwardedByType: countEach(forwardedTypes, times),
	};
}

/** Everything in which a run differs from what its input demands, in sentences; empty when nothing does. */
export function disagreements(expected: Expected, observed: Observations): string[] {
	const found: string[] = [];
	const compare = (what: string, wanted: number, counted: number) => {
		if (wanted !== counted) found.push(`${what}: the input demands ${wanted}, counted ${counted}.`);
	};
	const compareEach = (what: string, wanted: CountsByType, counted: CountsByType) => {
		for (const type of new Set([...Object.keys(wanted), ...Object.keys(counted)])) {
			compare(`${what} ${type}`, wanted[type] ?? 0, counted[type] ?? 0);
		}
	};
	const { counts, handler, receiver } = observed;

	for (const name of Object.keys(expected.counts) as (keyof DemoCounts)[]) {
		compare(name, expected.counts[name], counts[name]);
	}
	// By type only where the total agrees, which may hide a mistake: otherwise the total has said it.
	if (counts.callbacks === expected.counts.callbacks) {
		compareEach("tally of", expected.tally, observed.tally);
	}
	if (counts.verified === expected.counts.verified) {
		compareEach("verified", expected.forwardedByType, receiver.verifiedByType);
	}

	compare("requests at the receiver", expected.counts.attempts, receiver.requests);
	compare("requests it refused with 503", expected.counts.retried, receiver.refused);
	compare("requests it rejected because of their signature", 0, receiver.rejected);
	compare("messages it got again after accepting them", 0, receiver.duplicates);

	if (expected.counts.emitted > 0) {
		compare("most events handled at once", handlerConcurrency, handler.maxRunning);
	}
	compare("overlaps of two events of one repository", 0, handler.overlaps);
	compare("events handled out of their repository's order", 0, handler.outOfOrder);
	if (observed.errors.length > 0) {
		found.push(`Errors the bus reported: ${observed.errors.length}, the first: ${observed.errors[0]}`);
	}
	return found;
}

/** `*` stands for one segment, `**` for any number of them. */
export function matches(pattern: string, type: string): boolean {
	const segments = pattern.split(".").map((segment) => {
		if (segment === "**") return ".+";
		return segment === "*" ? "[^.]+" : segment;
	});
	return new RegExp(`^${segments.join("\\.")}$`).test(type);
}

function countEach(types: readonly string[], times: number): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const type of types) counts[type] = (counts[type] ?? 0) + times;
	return times === 0 ? {} : counts;
}
