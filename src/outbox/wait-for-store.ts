import { CallhookError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";

/** How much longer than what it waits for the store may take to write down its end. */
export const storeGraceMs = 5_000;

/** Waits for what the store has to do, at most so long: one that never answers must not keep a process from ending. */
export async function waitForStore(
	ended: Promise<unknown>,
	ms: number,
	{ clock, report }: { readonly clock: Clock; report(error: unknown, activity: string): void },
): Promise<void> {
	let timer: unknown;
	const late = new Promise<void>((resolve) => {
		timer = clock.setTimeout(() => {
			const message = `The store did not answer for ${storeGraceMs} ms while the outbox stopped: what it has is left to its leases`;
			report(new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs: storeGraceMs }), "stop");
			resolve();
		}, ms);
	});
	try {
		await Promise.race([ended, late]);
	} finally {
		clock.clearTimeout(timer);
	}
}
