import { constants } from "node:os";

/** Watches for Ctrl-C (SIGINT) and SIGTERM. */
export interface Interrupts {
	/** Aborted by the first of them. */
	readonly signal: AbortSignal;
	/** What a process ends with after the signal it got: 130 or 143; 0 when there was none. */
	exitCode(): number;
}

/** One Ctrl-C can arrive several times: from the terminal, and passed on by npm and by tsx. */
const SAME_INTERRUPT_MS = 500;

/** Makes the first interrupt abort a signal, and the second one end the process at once. */
export function watchInterrupts(): Interrupts {
	const controller = new AbortController();
	let exitCode = 0;
	let firstAt = 0;
	for (const name of ["SIGINT", "SIGTERM"] as const) {
		process.on(name, () => {
			if (controller.signal.aborted) {
				if (performance.now() - firstAt > SAME_INTERRUPT_MS) process.exit(128 + constants.signals[name]);
				return;
			}
			firstAt = performance.now();
			exitCode = 128 + constants.signals[name];
			controller.abort();
		});
	}
	return { signal: controller.signal, exitCode: () => exitCode };
}
