export { type BatchBounds, type BatchOptions, type Collector, createCollector } from "./collector.ts";
export { createGate, type Gate } from "./gate.ts";
export {
	createIntake,
	type Intake,
	type Overflow,
	overflows,
	type QueueBounds,
	type QueueOptions,
} from "./intake.ts";
export { createLanes, type LaneJob, type Lanes, type RunVerdict } from "./lanes.ts";
export type { RateLimit } from "./pace.ts";
