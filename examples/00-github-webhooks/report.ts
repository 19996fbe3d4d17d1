import type { ReceiverReport } from "./receiver-inbox.ts";
import type { HandlerReport } from "./repository-work.ts";

/** The counts of the table, each of which the input determines. */
export interface DemoCounts {
	/** Events emitted on the bus. */
	readonly emitted: number;
	/** Calls of callbacks. */
	readonly callbacks: number;
	/** Events the handler finished. */
	readonly handled: number;
	/** Messages that left the process: different webhook ids at the receiver. */
	readonly forwarded: number;
	/** HTTP requests the bridge made. */
	readonly attempts: number;
	/** Attempts that failed and were made again. */
	readonly retried: number;
	/** Messages the bridge got a 2xx for. */
	readonly delivered: number;
	/** Messages the receiver verified with `standardwebhooks` and accepted. */
	readonly verified: number;
}

/** What was counted while the demo ran. */
export interface Observations {
	readonly counts: DemoCounts;
	/** Events by type, as the callback for all of them counted. */
	readonly tally: Readonly<Record<string, number>>;
	readonly handler: HandlerReport;
	readonly receiver: ReceiverReport;
	/** Messages of the errors the bus reported. */
	readonly errors: readonly string[];
}

/** The outcome of a run; `--json` prints it. */
export interface DemoReport extends Observations {
	/** Whether every count agrees with what the input demands. */
	readonly ok: boolean;
	/** What does not agree, in sentences. */
	readonly disagreements: readonly string[];
	readonly expected: DemoCounts;
	/** How often the input was emitted: less than asked for after Ctrl-C. */
	readonly times: number;
	readonly interrupted: boolean;
	readonly latencyMs: { readonly p50: number; readonly p99: number };
	readonly seconds: number;
	readonly eventsPerSecond: number;
}
