import { type Clock, systemClock } from "../../internal/clock.ts";
import { checkNumber, checkOptions, invalidOption } from "../../internal/options.ts";
import { paginate } from "../../internal/page.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { claim } from "./claim.ts";
import { addDeliveries, listEvents } from "./events.ts";
import { countByTarget, pick, showDelivery } from "./query.ts";
import { release, settle } from "./settle.ts";
import { type DeliveryRow, type EventRow, isFinal, Tables } from "./tables.ts";

/** How a memory store keeps its past. */
export interface MemoryStoreOptions {
	/** How many finished deliveries stay for queries and replay; older ones are forgotten. Default 1,000. */
	readonly maxFinished?: number | undefined;
	/** Tells the time. Default: the system's clock. */
	readonly clock?: Clock | undefined;
}

/**
 * An outbox store in the memory of this process: for tests, and where deliveries may die with the process.
 * Unfinished deliveries are never dropped, so its size is bounded by what is still to be delivered plus `maxFinished`.
 *
 * @example
 * ```ts
 * const bus = createBus({ store: memoryStore() });
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): OutboxStore {
	checkOptions("memoryStore", options, ["maxFinished", "clock"]);
	const { maxFinished = 1_000, clock = systemClock } = options;
	checkNumber("maxFinished", maxFinished, { min: 0 });
	const tables = new Tables(clock, maxFinished);
	return {
		capabilities: { durability: "memory", transactions: false, sharing: "none" },
		async append(events, { tx } = {}) {
			tables.checkOpen();
			if (tx !== undefined) throw invalidOption("tx", "left out: the memory store has no transactions", tx);
			const results = events.map(({ event, idempotencyKey, deliveries }) => {
				const row = tables.addEvent(event, idempotencyKey);
				if (row === undefined) return "duplicate";
				for (const delivery of deliveries) tables.addDelivery(row, delivery);
				if (deliveries.length === 0) tables.keepFinished(row);
				return "stored";
			});
			tables.wake();
			return results;
		},
		async claim(groups, leaseMs) {
			tables.checkOpen();
			return claim(tables, groups, leaseMs);
		},
		async extend(tokens, leaseMs) {
			tables.checkOpen();
			const now = clock.now();
			return tokens.filter((token) => {
				const row = tables.claims.get(token);
				if (row === undefined || row.dueAtMs <= now) return false;
				row.dueAtMs = now + leaseMs;
				return true;
			});
		},
		async settle(settlements) {
			tables.checkOpen();
			const results = settlements.map((settlement) => settle(tables, settlement));
			tables.wake();
			return results;
		},
		async release(tokens, delayMs = 0) {
			tables.checkOpen();
			for (const token of tokens) release(tables, token, delayMs);
			tables.wake();
		},
		async query(filter, page) {
			tables.checkOpen();
			return paginate(pick(tables, filter).reverse(), page, "falling", (row) => showDelivery(tables, row));
		},
		async replay(filter) {
			tables.checkOpen();
			const rows = pick(tables, filter).filter(isFinal);
			for (const row of rows) tables.revive(row);
			tables.wake();
			return rows.length;
		},
		async cancel(filter) {
			tables.checkOpen();
			const rows = pick(tables, filter).filter((row) => !isFinal(row));
			for (const row of rows) tables.cancel(row);
			tables.wake();
			return rows.length;
		},
		async getEvents(ids) {
			tables.checkOpen();
			return [...new Set(ids)].flatMap((id) => tables.events.get(id)?.event ?? []);
		},
		async listEvents(filter, page) {
			tables.checkOpen();
			return listEvents(tables, filter, page);
		},
		async addDeliveries(added) {
			tables.checkOpen();
			const count = addDeliveries(tables, added);
			tables.wake();
			return count;
		},
		async prune({ filter, olderThanMs = 0, keep = 0, limit }) {
			tables.checkOpen();
			const picked = filter && new Set(pick(tables, filter));
			const beforeMs = clock.now() - olderThanMs;
			const isPicked = (row: DeliveryRow | EventRow): boolean =>
				"id" in row && isFinal(row) && row.endedAtMs <= beforeMs && picked?.has(row) !== false;
			return tables.forgetFinished(isPicked, keep, limit);
		},
		async pruneEvents({ olderThanMs = 0, keep = 0, limit }) {
			tables.checkOpen();
			const beforeMs = clock.now() - olderThanMs;
			const isPicked = (row: DeliveryRow | EventRow): boolean =>
				!("id" in row) && row.targets.size === 0 && row.addedAtMs <= beforeMs;
			return tables.forgetFinished(isPicked, keep, limit);
		},
		async stats() {
			tables.checkOpen();
			return countByTarget(tables);
		},
		async nextDueInMs(groups) {
			tables.checkOpen();
			const dueAtMs = tables.nextDueAtMs(groups);
			return dueAtMs === undefined ? undefined : Math.max(0, dueAtMs - clock.now());
		},
		onWake: (listener) => tables.addListener(listener),
		endpoints: {
			async put(record, ifRevision) {
				tables.checkOpen();
				const revision = tables.endpoints.put(record, ifRevision);
				tables.noteNews();
				tables.wake();
				return revision;
			},
			async get(id) {
				tables.checkOpen();
				return tables.endpoints.get(id);
			},
			async list(page) {
				tables.checkOpen();
				return tables.endpoints.list(page);
			},
			async delete(id) {
				tables.checkOpen();
				if (!tables.endpoints.delete(id)) return false;
				const rows = pick(tables, { target: id }).filter((row) => !isFinal(row));
				for (const row of rows) tables.cancel(row);
				tables.wake();
				return true;
			},
			async changes(since, limit) {
				tables.checkOpen();
				return tables.endpoints.changes(since, limit);
			},
		},
		receipts: {
			async claim(key, leaseMs) {
				tables.checkOpen();
				return tables.receipts.claim(key, leaseMs);
			},
			async extend(receipt, leaseMs) {
				tables.checkOpen();
				return tables.receipts.extend(receipt, leaseMs);
			},
			async confirm(receipt, keepForMs) {
				tables.checkOpen();
				return tables.receipts.confirm(receipt, keepForMs);
			},
			async release(receipt) {
				tables.checkOpen();
				return tables.receipts.release(receipt);
			},
			async prune(limit) {
				tables.checkOpen();
				return tables.receipts.prune(limit);
			},
		},
		async close() {
			tables.close();
		},
	};
}
