import type { Pattern } from "../event/index.ts";
import { isThenable } from "../internal/deferred.ts";
import type { BusCore } from "./core.ts";
import type { EmissionRecord } from "./emission-record.ts";
import type { AnyCallback, Plan } from "./plan.ts";

/** The last events of the types whose definitions say `retain`. */
export interface RetainedEvents {
	add(plan: Plan, emission: EmissionRecord): void;
	/** The last `count` events of the types that a pattern matches, oldest first. */
	last(pattern: Pattern, count: number): readonly EmissionRecord[];
}

export function createRetainedEvents(): RetainedEvents {
	/** By type, each with its place among all. */
	const byType = new Map<string, { readonly order: number; readonly emission: EmissionRecord }[]>();
	let nextOrder = 0;
	return {
		add({ type, definition }, emission) {
			const retain = definition?.retain ?? 0;
			if (retain === 0) return;
			const events = byType.get(type) ?? [];
			byType.set(type, events);
			events.push({ order: nextOrder++, emission });
			if (events.length > retain) events.shift();
		},
		last(pattern, count) {
			return [...byType]
				.filter(([type]) => pattern.matches(type))
				.flatMap(([, events]) => events)
				.sort((a, b) => a.order - b.order)
				.slice(-count)
				.map(({ emission }) => emission);
		},
	};
}

/** Calls a callback for events of the past until it has ended, each spared by the errors of the others. */
export function replayTo(
	callback: AnyCallback,
	events: readonly EmissionRecord[],
	pattern: string,
	core: BusCore,
	hasEnded: () => boolean,
): void {
	const { causes } = core;
	const { onStack } = causes;
	for (const event of events) {
		if (hasEnded()) return;
		const failed = (error: unknown): void => core.report(error, { source: "callback", name: pattern, event });
		causes.onStack = event;
		try {
			const result = callback(event.data, event);
			if (isThenable(result)) Promise.resolve(result).catch(failed);
		} catch (error) {
			failed(error);
		} finally {
			causes.onStack = onStack;
		}
	}
}
