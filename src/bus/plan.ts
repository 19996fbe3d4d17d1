import type { BusEvent, EventDefinition } from "../event/index.ts";
import type { AsyncScope } from "../internal/async-scope.ts";
import type { Overflow } from "../lanes/index.ts";
import type { BusCore } from "./core.ts";

/** A callback as it is called: without types, which the registration has checked. */
export type AnyCallback = (data: unknown, event: unknown) => unknown;

/** All that `emit` needs to know of one event type, worked out once and kept until a subscription changes. */
export interface Plan {
	readonly core: BusCore;
	readonly type: string;
	readonly definition: EventDefinition | undefined;
	/** The callbacks in the order they run; an emit in progress keeps the list it began with. */
	readonly callbacks: readonly AnyCallback[];
	/** The pattern of each callback. */
	readonly patterns: readonly string[];
	/** What the user holds for each callback, then for each handler. */
	readonly subscriptions: readonly object[];
	readonly handlers: readonly EventQueue[];
	/** Who only looks at events, such as streams; never part of a report. */
	readonly taps: readonly Tap[];
	/** The outbox targets that take this type. */
	readonly outboxTargets: readonly string[];
	/** Whether the clock is read during emit. `Date.now()` costs 45 ns, more than all the rest of an emit. */
	readonly isStamped: boolean;
	/** Whether an emit only has to run callbacks that need not know when it was. */
	readonly isPlain: boolean;
}

/** Looks at events as they pass. Must not throw. */
export interface Tap {
	take(event: BusEvent): void;
}

/** Where the events of one handler wait and run. */
export interface EventQueue {
	readonly name: string;
	/** Takes an event; it runs in a later microtask at the earliest, in the scope given. */
	enqueue(event: QueuedEvent, index: number, scope: AsyncScope): void;
}

/** An event that handlers took, as they report back on it; `index` is the handler's place in the plan. */
export interface QueuedEvent extends BusEvent {
	/** It waits for its first handler without a job, so in no lane. */
	readonly lane?: undefined;
	/** Keeps where the first handler will run, for a job that is made only then. */
	keepScope(scope: AsyncScope): void;
	takeScope(): AsyncScope;
	/** A handler took the event: it is unsettled until the handler ends. */
	beginHandler(): void;
	completeHandler(index: number, value: unknown, attempts: number): void;
	failHandler(index: number, error: unknown, attempts: number): void;
	/** A full queue did not keep it. */
	dropHandler(index: number, overflow: Overflow): void;
	/** It waits outside a full queue. */
	blockHandler(): void;
	/** It waits outside no more: it was let in. */
	unblockHandler(): void;
	/** A full queue refuses it, or the bus closed while it waited outside. */
	refuseHandler(error: Error): void;
}
