import type { RegisteredTarget } from "../outbox/index.ts";
import type { DurableHandler } from "./durable-handler.ts";
import type { HandlerStats } from "./handler-queue.ts";
import { asyncDispose, type HandlerSubscription } from "./handler-subscription.ts";

const longestTimerMs = 2_147_483_647;

/** What the user of a durable handler holds: what waits is in the store, so it counts what this process has claimed. */
export function createDurableSubscription(
	handler: DurableHandler,
	target: RegisteredTarget,
	unsubscribe: () => void,
): HandlerSubscription {
	const stats = (): HandlerStats => {
		const counts = handler.stats();
		return { ...counts, queued: Math.max(0, target.inFlight() - counts.running) };
	};
	async function stop(): Promise<void> {
		unsubscribe();
		await target.remove(longestTimerMs);
	}
	return {
		name: handler.name,
		get size() {
			return stats().queued;
		},
		get pending() {
			return stats().running;
		},
		pause: target.pause,
		resume: target.resume,
		idle: target.idle,
		stop,
		stats,
		[asyncDispose]: stop,
	};
}
