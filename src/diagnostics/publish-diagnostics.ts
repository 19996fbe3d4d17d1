import { channel } from "node:diagnostics_channel";
import { type Bus, createUnsubscribe, signalNames, type Unsubscribe } from "../bus/index.ts";

/** The part of a bus that is published; every `Bus` has it. */
export type DiagnosableBus = Pick<Bus, "observe">;

/**
 * Publishes every lifecycle signal of a bus to the channel `callhook:` and the signal's name, with the information that
 * observers get. What a subscriber of a channel throws is Node's business: it becomes an uncaught exception.
 *
 * @example
 * ```ts
 * import { subscribe } from "node:diagnostics_channel";
 * publishDiagnostics(bus);
 * subscribe("callhook:handler:failed", (info) => console.log(info));
 * ```
 */
export function publishDiagnostics(bus: DiagnosableBus): Unsubscribe {
	const ends = signalNames.map((name) => {
		const published = channel(`callhook:${name}`);
		return bus.observe(name, (info) => {
			if (published.hasSubscribers) published.publish(info);
		});
	});
	return createUnsubscribe(() => {
		for (const end of ends) end();
	});
}
