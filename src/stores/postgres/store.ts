import { CallhookError } from "../../errors.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { appendSql, readResults, writeBatch } from "./append.ts";
import { claim, nextDueInMs, type Turns } from "./claim.ts";
import { Connection } from "./connection.ts";
import { deleteEndpoint, getEndpoint, listChanges, listEndpoints, putEndpoint } from "./endpoints.ts";
import { addDeliveries, getEvents, listEvents } from "./events.ts";
import { cancel, prune, pruneEvents, replay } from "./history.ts";
import { type PostgresStoreOptions, readPostgresOptions } from "./options.ts";
import { countByTarget, query } from "./query.ts";
import { claimReceipt, confirmReceipt, extendReceipt, pruneReceipts, releaseReceipt } from "./receipts.ts";
import { extend, release, settle } from "./settle.ts";
import { migrate, readVersion } from "./tables.ts";
import { appendInTransaction, listChangesInTransaction } from "./transaction.ts";
import { createWake } from "./wake.ts";

/**
 * An outbox store in PostgreSQL, on the application's own pool: many processes may append and deliver at once. The
 * server's clock decides. The tables are made before the first call, which rejects where that fails; a later call tries
 * again.
 *
 * What is stored survives the loss of power as far as the server does: with `fsync` and `synchronous_commit` on, as
 * they are by default.
 *
 * Throws ERR_CALLHOOK_INVALID_OPTION; its calls reject with ERR_CALLHOOK_STORE_UNAVAILABLE,
 * ERR_CALLHOOK_STORE_VERSION, ERR_CALLHOOK_STORE_DAMAGED or ERR_CALLHOOK_CLOSED.
 *
 * @example
 * ```ts
 * const bus = createBus({ store: postgresStore({ pool: new Pool() }) });
 * ```
 */
export function postgresStore(options: PostgresStoreOptions): OutboxStore {
	const { pool, schema, pollMs } = readPostgresOptions(options);
	const connection = new Connection(pool, schema, { migrate, readVersion });
	const wake = createWake(pool, schema, pollMs);
	const turns: Turns = new Map();
	const running = new Set<Promise<unknown>>();
	let closing: Promise<void> | undefined;

	// A connection that breaks while it is idle is an event of the pool, which would end the process where nobody listens.
	// Whoever needs the next one finds out.
	const ignore = (): void => undefined;
	pool.on?.("error", ignore);

	/** Runs a call; with `isNews` it lets the listeners look for work behind it. */
	async function run<Result>(call: () => Promise<Result>, isNews = false): Promise<Result> {
		if (closing !== undefined) {
			throw new CallhookError("ERR_CALLHOOK_CLOSED", "The PostgreSQL store is closed", { what: "store" });
		}
		const result = call();
		running.add(result);
		try {
			return await result;
		} finally {
			running.delete(result);
			if (isNews) wake.tell();
		}
	}

	return {
		capabilities: { durability: "power", transactions: true, sharing: "full" },
		append(events, { tx } = {}) {
			// Of the caller's transaction the listeners hear with its commit.
			if (tx !== undefined) return run(() => appendInTransaction(connection, schema, tx, events));
			return run(async () => {
				if (events.length === 0) return [];
				return readResults(events, await connection.all(appendSql, writeBatch(events)));
			}, true);
		},
		claim: (groups, leaseMs) => run(() => claim(connection, turns, groups, leaseMs)),
		extend: (tokens, leaseMs) => run(() => extend(connection, tokens, leaseMs)),
		settle: (settlements) => run(() => settle(connection, settlements, wake.tell)),
		release: (tokens, delayMs = 0) => run(() => release(connection, tokens, delayMs), true),
		query: (filter, page) => run(() => query(connection, filter, page)),
		replay: (filter) => run(() => replay(connection, filter), true),
		cancel: (filter) => run(() => cancel(connection, filter), true),
		getEvents: (ids) => run(() => getEvents(connection, ids)),
		listEvents: (filter, page) => run(() => listEvents(connection, filter, page)),
		addDeliveries: (added) => run(() => addDeliveries(connection, added), true),
		prune: (request) => run(() => prune(connection, request)),
		pruneEvents: (request) => run(() => pruneEvents(connection, request)),
		stats: () => run(async () => ({ targets: await countByTarget(connection) })),
		nextDueInMs: (groups) => run(() => nextDueInMs(connection, groups)),
		onWake: (listener) => (closing === undefined ? wake.onWake(listener) : ignore),
		endpoints: {
			put: (record, ifRevision) => run(() => putEndpoint(connection, record, ifRevision)),
			get: (id) => run(() => getEndpoint(connection, id)),
			list: (page) => run(() => listEndpoints(connection, page)),
			delete: (id) => run(() => deleteEndpoint(connection, id), true),
			changes: (since, limit, { tx } = {}) =>
				run(() =>
					tx === undefined
						? listChanges(connection, since, limit)
						: listChangesInTransaction(connection, schema, tx, since, limit),
				),
		},
		receipts: {
			claim: (key, leaseMs) => run(() => claimReceipt(connection, key, leaseMs)),
			extend: (receipt, leaseMs) => run(() => extendReceipt(connection, receipt, leaseMs)),
			confirm: (receipt, keepForMs) => run(() => confirmReceipt(connection, receipt, keepForMs)),
			release: (receipt) => run(() => releaseReceipt(connection, receipt)),
			prune: (limit) => run(() => pruneReceipts(connection, limit)),
		},
		close() {
			closing ??= (async () => {
				await wake.close();
				await Promise.allSettled(running);
				pool.removeListener?.("error", ignore);
			})();
			return closing;
		},
	};
}
