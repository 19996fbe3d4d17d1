/**
 * Callhook: one `emit`, two ways out: callbacks and handlers inside your process, webhooks outside it.
 *
 * @module
 */
export {
	type Bus,
	type BusOptions,
	type BusStats,
	type Callback,
	type ConsumerOutcome,
	createBus,
	type DrainReport,
	type Emission,
	type EmissionReport,
	type Emitter,
	type ErrorContext,
	type HandleOptions,
	type Handler,
	type HandlerContext,
	type HandlerStats,
	type HandlerSubscription,
	type LifecycleSignals,
	type OnOptions,
	type RetryOptions,
	type Unsubscribe,
} from "./bus/index.ts";
export {
	CallhookError,
	type CallhookErrorCode,
	type CallhookErrorDetails,
	type DataIssue,
	isCallhookError,
} from "./errors.ts";
export {
	type BusEvent,
	type Catalog,
	defineEvents,
	type EmitOptions,
	type EventDefinition,
	type EventOf,
	type EventType,
	type MatchingType,
	type Schema,
} from "./event/index.ts";
export type { Clock } from "./internal/clock.ts";
export type { OutboxDoor, RegisteredTarget, TargetRegistration } from "./outbox/index.ts";
export type * from "./outbox/ports.ts";
export { type MemoryStoreOptions, memoryStore } from "./stores/memory/index.ts";
