import type { Clock } from "../internal/clock.ts";
import type { OutboxStore } from "./ports.ts";

export interface LeasesOptions {
	readonly store: OutboxStore;
	readonly clock: Clock;
	readonly leaseMs: number;
	/** The claims that are held. */
	tokens(): readonly string[];
	report(error: unknown, activity: string): void;
}

/** Renews the leases of claims, at a third of their length, as long as there are any. */
export interface Leases {
	/** There may be claims. */
	renew(): void;
	stop(): void;
}

export function createLeases({ store, clock, leaseMs, tokens, report }: LeasesOptions): Leases {
	let timer: unknown;

	function renew(): void {
		timer ??= clock.setTimeout(() => void extend(), leaseMs / 3);
	}

	async function extend(): Promise<void> {
		timer = undefined;
		const held = tokens();
		if (held.length === 0) return;
		renew();
		try {
			await store.extend(held, leaseMs);
		} catch (error) {
			report(error, "extend");
		}
	}

	return {
		renew,
		stop() {
			clock.clearTimeout(timer);
			timer = undefined;
		},
	};
}
