import type { Claim, ClaimRequest } from "../../outbox/ports.ts";
import type { DeliveryRow, Tables, TargetQueue } from "./tables.ts";

/** Leases due deliveries: one of each target in turn, until the limit or every target's capacity is reached. */
export function claim(tables: Tables, request: ClaimRequest): Claim[] {
	tables.queueDue();
	const claims: Claim[] = [];
	for (const group of request.groups) {
		const active = tables.active.get(group);
		if (active === undefined) continue;
		const taken = new Map<TargetQueue, number>();
		const saturated: TargetQueue[] = [];
		while (claims.length < request.limit) {
			const [queue] = active.values();
			if (queue === undefined) break;
			// Out now, and in again at the end: whose turn it was goes last.
			active.delete(queue.target);
			const count = taken.get(queue) ?? 0;
			if (count >= (request.capacity.get(queue.target) ?? request.limitPerTarget)) {
				saturated.push(queue);
				continue;
			}
			const row = tables.peekReady(queue);
			if (row !== undefined) {
				queue.ready.shift();
				taken.set(queue, count + 1);
				claims.push(lease(tables, row, request.leaseMs));
			}
			if (queue.ready.size > 0) active.set(queue.target, queue);
		}
		for (const queue of saturated) active.set(queue.target, queue);
	}
	return claims;
}

function lease(tables: Tables, row: DeliveryRow, leaseMs: number): Claim {
	const token = `tok_${++tables.claimCount}`;
	row.token = token;
	row.state = "in_flight";
	row.attemptCount++;
	row.dueAtMs = tables.clock.now() + leaseMs;
	tables.claims.set(token, row);
	return {
		token,
		deliveryId: row.id,
		group: row.group,
		target: row.target,
		attempt: row.attemptCount,
		event: row.event.event,
	};
}
