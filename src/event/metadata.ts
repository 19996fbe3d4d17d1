import { invalidOption, isPlainObject } from "../internal/options.ts";
import type { BusEvent } from "./envelope.ts";

/** A frozen copy of metadata; throws ERR_CALLHOOK_INVALID_OPTION for anything but a plain object. */
export function copyMetadata(metadata: unknown): BusEvent["metadata"] {
	if (isPlainObject(metadata)) return Object.freeze({ ...metadata });
	throw invalidOption("metadata", "a plain object", metadata);
}
