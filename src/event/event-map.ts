import type { BusEvent } from "./envelope.ts";
import type { Matches } from "./pattern.ts";

/** The names of the event types in a map from type to data. */
export type EventType<Events> = keyof Events & string;

/**
 * The event types a pattern matches; `never` when there is none. A type is its own pattern and compared with no other:
 * with 500 types, each `on` took the compiler 40 ms before.
 */
export type MatchingType<Events, Text extends string> =
	string extends EventType<Events>
		? ComparedType<Events, Text>
		: Text extends EventType<Events>
			? Text
			: ComparedType<Events, Text>;

type ComparedType<Events, Text extends string> = {
	[Type in EventType<Events>]: string extends Type ? Type : true extends Matches<Type, Text> ? Type : never;
}[EventType<Events>];

/** A pattern as it is, or a sentence that says why it cannot be used, for the compiler's message. */
export type CheckedPattern<Events, Text extends string> = Text extends unknown
	? [MatchingType<Events, Text>] extends [never]
		? `No event type matches "${Text}"`
		: Text
	: never;

/** The events of the given types: a union that narrows on `event.type`. */
export type EventOf<Events, Type extends EventType<Events>> = {
	[Key in Type]: BusEvent<Key, Events[Key]>;
}[Type];
