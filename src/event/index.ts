export {
	type Catalog,
	defineEvents,
	type EventDefinition,
	invalidEventType,
	unknownEventType,
	validate,
} from "./catalog.ts";
export { type BusEvent, copyEvent, type EmitOptions } from "./envelope.ts";
export type { CheckedPattern, EventOf, EventType, MatchingType } from "./event-map.ts";
export { checkName, createPattern, invalidPattern, isEventType, matchAny, type Pattern } from "./pattern.ts";
export type { Schema } from "./schema.ts";
