export type { Retention } from "./housekeeping.ts";
export { leaveToNewer } from "./newer-process.ts";
export {
	createOutbox,
	type HeldEvent,
	type Outbox,
	type OutboxDoor,
	type RegisteredTarget,
	storeRequired,
	type TargetRegistration,
} from "./outbox.ts";
export { type OutboxOptions, readOutboxOptions } from "./outbox-options.ts";
export type { DeliveryInfo, DisabledReason, EndpointInfo, OutboxSignals } from "./signals.ts";
export { type EventPayload, readStoredEvent, serialize } from "./stored-event.ts";
export { storeGraceMs, waitForStore } from "./wait-for-store.ts";
