import { type Clock, unref } from "../internal/clock.ts";
import { nextTurn } from "../internal/next-turn.ts";
import type { OutboxStore, PruneRequest } from "./ports.ts";

/** How long the store remembers what has ended. An event is remembered as long as one of its deliveries. */
export interface Retention {
	/** Deliveries that were made or cancelled, and events that went nowhere. Default 604,800,000: 7 days. */
	readonly deliveredForMs: number;
	/** By number: the newest so many that were made, and so many events that went nowhere. Default 100,000. */
	readonly maxDelivered: number;
	/** Dead letters. Default 2,592,000,000: 30 days. */
	readonly deadForMs: number;
}

/** Forgets what is old, a little at a time. */
export interface Housekeeping {
	start(): void;
	stop(): void;
}

const everyMs = 60_000;
// So many rows take SQLite some 2 ms; between pieces others have their turn.
const pieceSize = 100;
const restMs = 10;

type Rule = Omit<PruneRequest, "limit">;

/** Without those that keep everything for ever. */
function withEnd(rules: readonly Rule[]): readonly Rule[] {
	return rules.filter(({ olderThanMs = 0, keep = 0 }) => olderThanMs + keep < Number.POSITIVE_INFINITY);
}

export function createHousekeeping(
	store: OutboxStore,
	clock: Clock,
	{ deliveredForMs, maxDelivered, deadForMs }: Retention,
	report: (error: unknown, activity: string) => void,
): Housekeeping {
	const rules = withEnd([
		{ filter: { state: "delivered" }, olderThanMs: deliveredForMs },
		{ filter: { state: "delivered" }, keep: maxDelivered },
		{ filter: { state: "cancelled" }, olderThanMs: deliveredForMs },
		{ filter: { state: "dead" }, olderThanMs: deadForMs },
	]);
	const eventRules = withEnd([{ olderThanMs: deliveredForMs }, { keep: maxDelivered }]);
	let isRunning = false;
	let timer: unknown;

	function plan(): void {
		// It may have been stopped and started again while the store was asked.
		clock.clearTimeout(timer);
		// Processes that were started together need not all do it at once.
		timer = unref(clock.setTimeout(() => void clean(), everyMs * (0.8 + 0.4 * Math.random())));
	}

	async function clean(): Promise<void> {
		try {
			for (const rule of rules) await inPieces((limit) => store.prune({ ...rule, limit }));
			for (const rule of eventRules) await inPieces((limit) => store.pruneEvents({ ...rule, limit }));
		} catch (error) {
			if (isRunning) report(error, "prune");
		}
		if (isRunning) plan();
	}

	async function inPieces(prune: (limit: number) => Promise<number>): Promise<void> {
		while (isRunning && (await prune(pieceSize)) === pieceSize) {
			await new Promise<void>((resolve) => void clock.setTimeout(resolve, restMs));
			await nextTurn();
		}
	}

	return {
		start() {
			if (isRunning) return;
			isRunning = true;
			plan();
		},
		stop() {
			isRunning = false;
			clock.clearTimeout(timer);
		},
	};
}
