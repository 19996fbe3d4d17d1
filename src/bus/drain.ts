import type { Clock } from "../internal/clock.ts";
import { checkDelayMs, checkOptions } from "../internal/options.ts";
import type { Outbox } from "../outbox/index.ts";
import type { HandlerStats } from "./handler-queue.ts";
import type { OpenWork } from "./open-work.ts";

/** What `drain` found when it ended. */
export interface DrainReport {
	/** Whether everything in this process ended in time. */
	readonly isDrained: boolean;
	/**
	 * Callbacks and appends to the outbox that had not settled, events that handlers had not finished, and events that
	 * were delayed or held; the last are cancelled.
	 */
	readonly left: number;
	/** The handlers that had not finished, with what they still had. */
	readonly handlers: readonly (HandlerStats & { readonly name: string })[];
	/**
	 * Deliveries, such as webhooks, that the store keeps for later and that a memory store loses when the process
	 * ends: `await bridge.idle()` before draining makes them first. 0 without a store, or when it cannot say.
	 */
	readonly deliveries: number;
}

/** What a bus has to wait for and to end. */
export interface DrainParts {
	readonly work: OpenWork;
	readonly clock: Clock;
	readonly outbox: Outbox | undefined;
	/** Starts what only waits for more to come. */
	flush(): void;
	closeIntake(): void;
	/** Takes back what is delayed or held. */
	cancelWaiting(): void;
	handlerStats(): DrainReport["handlers"];
}

const longestTimerMs = 2_147_483_647;

export async function drain(
	options: { readonly timeoutMs?: number | undefined },
	parts: DrainParts,
): Promise<DrainReport> {
	checkOptions("drain", options, ["timeoutMs"]);
	const { timeoutMs } = options;
	checkDelayMs("timeoutMs", timeoutMs);
	const { work, clock, outbox } = parts;
	let timer: unknown;
	let isLate = false;
	const timeout = new Promise<void>((resolve) => {
		if (timeoutMs === undefined) return;
		timer = clock.setTimeout(() => {
			isLate = true;
			resolve();
		}, timeoutMs);
	});
	const startedMs = clock.now();
	// Again when who awaited the last emission has emitted anew meanwhile.
	while (work.count > 0 && !isLate) {
		parts.flush();
		await Promise.race([timeout, work.idle()]);
	}
	clock.clearTimeout(timer);
	const left = work.count;
	parts.closeIntake();
	parts.cancelWaiting();
	const leftMs =
		timeoutMs === undefined ? longestTimerMs : Math.max(0, timeoutMs - (clock.now() - startedMs));
	await outbox?.close(leftMs);
	return {
		isDrained: left === 0,
		left,
		handlers: parts.handlerStats().filter(({ running, queued }) => running + queued > 0),
		deliveries: (await outbox?.countUnfinished()) ?? 0,
	};
}
