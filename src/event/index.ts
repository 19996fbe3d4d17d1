export {
	type Catalog,
	defineEvents,
	type EventDefinition,
	invalidEventType,
	listTypes,
	readBack,
	readNull,
	unknownEventType,
	upcastData,
	validate,
} from "./catalog.ts";
export { type BusEvent, copyEvent, type EmitOptions } from "./envelope.ts";
export type { CheckedPattern, DatalessType, EventOf, EventType, MatchingType } from "./event-map.ts";
export { copyMetadata } from "./metadata.ts";
export { checkName, createPattern, invalidPattern, isEventType, matchAny, type Pattern } from "./pattern.ts";
export type { Schema } from "./schema.ts";
