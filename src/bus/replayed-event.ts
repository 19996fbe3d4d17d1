import { type BusEvent, copyEvent } from "../event/index.ts";
import type { Overflow } from "../lanes/index.ts";
import type { OpenWork } from "./open-work.ts";
import type { QueuedEvent } from "./plan.ts";

/**
 * An event that a handler gets again: no emission waits for it, but the bus has work until it ends. `onRefused` is told
 * when the queue does not run it: with the overflow that cost it its place, or without where it was not let in.
 */
export function createReplayedEvent(
	event: BusEvent,
	work: OpenWork,
	onRefused: (overflow?: Overflow) => void,
): QueuedEvent {
	const end = (): void => work.end();
	// Not enumerable: whoever prints or copies the event sees its fields only.
	return Object.defineProperties(copyEvent(event), {
		beginHandler: { value: () => work.begin() },
		completeHandler: { value: end },
		failHandler: { value: end },
		dropHandler: {
			value: (_index: number, overflow: Overflow) => {
				onRefused(overflow);
				end();
			},
		},
		blockHandler: { value: () => undefined },
		unblockHandler: { value: () => undefined },
		refuseHandler: { value: () => onRefused() },
	}) as QueuedEvent;
}
