import { checkDelayMs, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { Retention } from "./housekeeping.ts";

/** How the outbox of a bus works. */
export interface OutboxOptions {
	/**
	 * Whether this process makes deliveries and runs durable handlers; with `false` it only stores events for other
	 * processes. Default true.
	 */
	readonly deliver?: boolean | undefined;
	/** How long after a process died another one runs again what it was running. Default 30,000. */
	readonly leaseMs?: number | undefined;
	/**
	 * What becomes of an event while the store is unavailable: `reject` rejects `emission.stored`; `wait` keeps the event
	 * in memory, in order, until the store is back. Callbacks and other handlers run either way. Default `reject`.
	 */
	readonly whenUnavailable?: "reject" | "wait" | undefined;
	/** How long the store remembers what has ended. */
	readonly retention?: Partial<Retention> | undefined;
}

/** Outbox options that were checked and have their defaults. */
export interface OutboxSettings extends Required<Omit<OutboxOptions, "retention">> {
	readonly deliver: boolean;
	readonly leaseMs: number;
	readonly whenUnavailable: "reject" | "wait";
	readonly retention: Retention;
}

const dayMs = 86_400_000;

/** Checks outbox options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readOutboxOptions(options: OutboxOptions | undefined): OutboxSettings {
	checkOptions("outbox", options, ["deliver", "leaseMs", "whenUnavailable", "retention"]);
	const { deliver = true, leaseMs = 30_000, whenUnavailable = "reject", retention = {} } = options ?? {};
	if (typeof deliver !== "boolean") throw invalidOption("outbox.deliver", "a boolean", deliver);
	checkDelayMs("outbox.leaseMs", leaseMs, 100);
	if (whenUnavailable !== "reject" && whenUnavailable !== "wait") {
		throw invalidOption("outbox.whenUnavailable", "reject or wait", whenUnavailable);
	}
	checkOptions("outbox.retention", retention, ["deliveredForMs", "maxDelivered", "deadForMs"]);
	const { deliveredForMs = 7 * dayMs, maxDelivered = 100_000, deadForMs = 30 * dayMs } = retention;
	checkNumber("outbox.retention.deliveredForMs", deliveredForMs, { min: 0, integer: false, infinity: true });
	checkNumber("outbox.retention.maxDelivered", maxDelivered, { min: 0, infinity: true });
	checkNumber("outbox.retention.deadForMs", deadForMs, { min: 0, integer: false, infinity: true });
	return { deliver, leaseMs, whenUnavailable, retention: { deliveredForMs, maxDelivered, deadForMs } };
}
