/**
 * Callhook: one `emit`, two ways out: callbacks and handlers inside your process, webhooks outside it.
 *
 * @module
 */
export {
	type AttemptFailure,
	type BatchContext,
	type Bus,
	type BusCustomEvent,
	type BusOptions,
	type BusStats,
	type ConsumerOutcome,
	createBus,
	type DeadLetter,
	type DeadLetterFilter,
	type DeadLetters,
	type DrainReport,
	type Emission,
	type EmissionReport,
	type EmitMiddleware,
	type Emitter,
	type EmitterSource,
	type ErrorContext,
	type EventStream,
	type HandleOptions,
	type HandlerContext,
	type HandlerMiddleware,
	type HandlerStats,
	type HandlerSubscription,
	type Held,
	type LifecycleSignals,
	type Logger,
	type NodeStyleEmitter,
	type OnOptions,
	PermanentError,
	type Pipe,
	type PipeTarget,
	type RetryOptions,
	type StreamOptions,
	type Unsubscribe,
	type WaitForOptions,
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
export type { BatchOptions, Overflow, QueueOptions, RateLimit } from "./lanes/index.ts";
export type {
	OutboxDoor,
	OutboxOptions,
	RegisteredTarget,
	Retention,
	TargetRegistration,
} from "./outbox/index.ts";
export type * from "./outbox/ports.ts";
export { type MemoryStoreOptions, memoryStore } from "./stores/memory/index.ts";
