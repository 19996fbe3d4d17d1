import type { GithubBus } from "./bus.ts";

/** Follows forwarded events from `emit` to the 2xx of their webhook, or to the last attempt. */
export interface DeliveryTracker {
	readonly delivered: number;
	/** Given up after the last attempt. */
	readonly dead: number;
	readonly attempts: number;
	/** Failed attempts that were followed by another. */
	readonly retried: number;
	/** An event that will be forwarded was emitted at this time. */
	emitted(eventId: string, startedAt: number): void;
	/** Waits until at most this many webhooks are under way; one wait at a time. Rejects when they stall. */
	atMost(underWay: number): Promise<void>;
	/** Milliseconds from `emit` to 2xx: what the given share of the deliveries did not exceed. */
	latencyMs(share: number): number;
}

export interface DeliveryTrackerOptions {
	/** How long to wait for the next delivery to end before giving up. */
	readonly stallMs: number;
	/** Called when a delivery has ended. */
	readonly onEnd: () => void;
}

/** Follows the deliveries of a bus through its lifecycle signals. */
export function trackDeliveries(bus: GithubBus, { stallMs, onEnd }: DeliveryTrackerOptions): DeliveryTracker {
	const startedAt = new Map<string, number>();
	const latencies: number[] = [];
	let delivered = 0;
	let dead = 0;
	let attempts = 0;
	let retried = 0;
	let checkWait: (() => void) | undefined;

	const end = (delivery: { eventId: string; attempts: number }) => {
		startedAt.delete(delivery.eventId);
		attempts += delivery.attempts;
		checkWait?.();
		onEnd();
	};
	bus.observe("delivery:delivered", (delivery) => {
		const start = startedAt.get(delivery.eventId);
		if (start !== undefined) latencies.push(performance.now() - start);
		delivered++;
		end(delivery);
	});
	bus.observe("delivery:dead", (delivery) => {
		dead++;
		end(delivery);
	});
	bus.observe("attempt:failed", ({ retryInMs }) => {
		if (retryInMs !== undefined) retried++;
	});

	return {
		get delivered() {
			return delivered;
		},
		get dead() {
			return dead;
		},
		get attempts() {
			return attempts;
		},
		get retried() {
			return retried;
		},
		emitted(eventId, time) {
			startedAt.set(eventId, time);
		},
		atMost(underWay) {
			if (startedAt.size <= underWay) return Promise.resolve();
			return new Promise((resolve, reject) => {
				const stalled = setTimeout(() => {
					reject(new Error(`${startedAt.size} webhooks are under way, and none ended for ${stallMs} ms.`));
				}, stallMs);
				checkWait = () => {
					stalled.refresh();
					if (startedAt.size > underWay) return;
					clearTimeout(stalled);
					checkWait = undefined;
					resolve();
				};
			});
		},
		latencyMs(share) {
			const sorted = Float64Array.from(latencies).sort();
			return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
		},
	};
}
