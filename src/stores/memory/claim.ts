import type { Claim, GroupRequest, GroupRequests } from "../../outbox/ports.ts";
import type { DeliveryRow, Tables, TargetQueue } from "./tables.ts";

/** Leases due deliveries: of each group one of each target in turn, until a limit or every target's capacity is reached. */
export function claim(tables: Tables, groups: GroupRequests, leaseMs: number): Claim[] {
	tables.queueDue();
	return [...groups].flatMap(([group, request]) => claimInTurn(tables, group, request, leaseMs));
}

function claimInTurn(tables: Tables, group: string, request: GroupRequest, leaseMs: number): Claim[] {
	const claims: Claim[] = [];
	const active = tables.active.get(group);
	if (active === undefined) return claims;
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
			// Now: a delivery that came due again is in the queue twice.
			claims.push(lease(tables, row, leaseMs));
		}
		if (queue.ready.size > 0) active.set(queue.target, queue);
	}
	for (const queue of saturated) active.set(queue.target, queue);
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
		crashes: row.crashes,
		event: row.event.event,
	};
}
