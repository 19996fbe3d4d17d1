import { type BusEvent, copyEvent } from "../event/index.ts";
import type { OpenWork } from "./open-work.ts";
import type { QueuedEvent } from "./plan.ts";

/** An event that a handler gets again: no emission waits for it, but the bus has work until it ends. */
export function createReplayedEvent(event: BusEvent, work: OpenWork): QueuedEvent {
	const end = (): void => work.end();
	// Not enumerable: whoever prints or copies the event sees its fields only.
	return Object.defineProperties(copyEvent(event), {
		beginHandler: { value: () => work.begin() },
		completeHandler: { value: end },
		failHandler: { value: end },
		dropHandler: { value: end },
		blockHandler: { value: () => undefined },
		unblockHandler: { value: () => undefined },
		refuseHandler: { value: () => undefined },
	}) as QueuedEvent;
}
