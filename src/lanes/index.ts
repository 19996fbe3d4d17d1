export { createGate, type Gate } from "./gate.ts";
export { createLanes, type LaneJob, type Lanes, type RunVerdict } from "./lanes.ts";
