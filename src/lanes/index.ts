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
export { createLanes, type Lanes } from "./lanes.ts";
export type { LaneJob, RunVerdict, SlowJobs } from "./lanes-options.ts";
export type { RateLimit } from "./pace.ts";
