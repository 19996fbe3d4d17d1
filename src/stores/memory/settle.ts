import type { Settlement } from "../../outbox/ports.ts";
import type { Tables } from "./tables.ts";

/** Writes what became of a claim; `lost` when its lease ended and another claim or nobody owns the delivery. */
export function settle(tables: Tables, { token, to, attempt }: Settlement): "ok" | "lost" {
	const row = tables.claims.get(token);
	if (row === undefined || row.dueAtMs <= tables.clock.now()) return "lost";
	if (attempt !== undefined) row.attempts.push(attempt);
	switch (to.state) {
		case "waiting":
			tables.unclaim(row, "waiting");
			row.dueAtMs = tables.clock.now() + to.retryInMs;
			tables.schedule(row);
			break;
		case "routed":
			tables.replace(row, to.deliveries);
			break;
		case "delivered":
		case "dead":
		case "cancelled":
			tables.finish(row, to.state);
	}
	return "ok";
}

/** Gives a claim back as if it had not been made, unless its lease has ended. */
export function release(tables: Tables, token: string, delayMs: number): void {
	const row = tables.claims.get(token);
	if (row === undefined || row.dueAtMs <= tables.clock.now()) return;
	row.attemptCount--;
	tables.unclaim(row, row.attemptCount === 0 ? "pending" : "waiting");
	row.dueAtMs = tables.clock.now() + delayMs;
	tables.schedule(row);
}
