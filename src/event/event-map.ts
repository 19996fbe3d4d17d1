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

// In a tuple, or editors would show the name of this alias in the place of the types.
type ComparedType<Events, Text extends string> = [
	{
		[Type in EventType<Events>]: string extends Type ? Type : true extends Matches<Type, Text> ? Type : never;
	}[EventType<Events>],
][0];

/** A pattern as it is, or what it should be, for the compiler's message: the types there are, or for a wildcard a sentence. */
export type CheckedPattern<Events, Text extends string> = Text extends unknown
	? [MatchingType<Events, Text>] extends [never]
		? Text extends `${string}*${string}`
			? `No event type matches "${Text}"`
			: // Not by its alias, whose name the message would show.
				keyof Events & string
		: Text
	: never;

/**
 * The events of the given types: a union that narrows on `event.type`. Editors show it by this name, and cut off what is
 * long: the types come first.
 */
export type EventOf<Type extends EventType<Events>, Events> = {
	[Key in Type]: BusEvent<Key, Events[Key]>;
}[Type];

/** An event type that may be emitted without data, or a sentence that says why not. */
export type DatalessType<Inputs, Type extends keyof Inputs & string> = undefined extends Inputs[Type]
	? Type
	: `"${Type}" needs data`;
