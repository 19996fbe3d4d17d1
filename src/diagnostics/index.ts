/**
 * The lifecycle signals of a bus on channels of `node:diagnostics_channel`, for tools that watch a process.
 *
 * @module
 */
export { type DiagnosableBus, publishDiagnostics } from "./publish-diagnostics.ts";
