export {
	createOutbox,
	type OutboxDoor,
	type RegisteredTarget,
	serialize,
	type TargetRegistration,
} from "./outbox.ts";
