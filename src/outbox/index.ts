export {
	createOutbox,
	type EventPayload,
	type Outbox,
	type OutboxDoor,
	type RegisteredTarget,
	serialize,
	type TargetRegistration,
} from "./outbox.ts";
