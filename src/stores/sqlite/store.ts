import { CallhookError } from "../../errors.ts";
import { createId } from "../../internal/id.ts";
import { nextTurn } from "../../internal/next-turn.ts";
import type { DeliveryFilter, GroupRequests, OutboxStore } from "../../outbox/ports.ts";
import { appendSteps, runSteps } from "./append.ts";
import { claim, type Turns } from "./claim.ts";
import { deleteEndpoint, getEndpoint, listChanges, listEndpoints, putEndpoint } from "./endpoints.ts";
import { addDeliveries, getEvents, listEvents } from "./events.ts";
import { cancel, type Piece, prune, pruneEvents, replay } from "./history.ts";
import { createLeader } from "./leader.ts";
import { open } from "./open.ts";
import { readSqliteOptions, type SqliteStoreOptions } from "./options.ts";
import { conditionOf, countByTarget, nextDueAtMs, query } from "./query.ts";
import { claimReceipt, confirmReceipt, extendReceipt, pruneReceipts, releaseReceipt } from "./receipts.ts";
import { extend, release, settle } from "./settle.ts";
import { createAppendInTransaction } from "./transaction.ts";
import { createWake } from "./wake.ts";
import { createWriter } from "./writer.ts";

/**
 * An outbox store in a SQLite file: what is stored survives the end of the process and the loss of power. Many
 * processes may append to it; one at a time delivers.
 *
 * Throws ERR_CALLHOOK_DRIVER_MISSING, ERR_CALLHOOK_STORE_UNSAFE, ERR_CALLHOOK_STORE_IN_USE,
 * ERR_CALLHOOK_STORE_VERSION, ERR_CALLHOOK_STORE_DAMAGED, ERR_CALLHOOK_STORE_UNAVAILABLE or
 * ERR_CALLHOOK_INVALID_OPTION.
 *
 * @example
 * ```ts
 * const bus = createBus({ store: sqliteStore({ path: "outbox.db" }) });
 * ```
 */
export function sqliteStore(options: SqliteStoreOptions): OutboxStore {
	const settings = readSqliteOptions(options);
	const { clock, busyTimeoutMs, leaderLeaseMs, durability } = settings;
	const { connection, isAlone, file, isOwn } = open(settings);
	const wake = createWake(connection, isAlone ? undefined : file);
	const writer = createWriter(connection, { clock, busyTimeoutMs, isOwn, onCommit: wake.tell });
	const leader = createLeader(connection, writer, clock, {
		...{ leaseMs: leaderLeaseMs, isAlone, owner: createId("own") },
	});
	const appendInTransaction = createAppendInTransaction(settings.prefix);
	const turns: Turns = new Map();
	let closing: Promise<void> | undefined;

	function checkOpen(): void {
		if (closing === undefined) return;
		throw new CallhookError("ERR_CALLHOOK_CLOSED", "The SQLite store is closed", { what: "store" });
	}

	/** Runs `work` in the next transaction. */
	async function write<Result>(work: (nowMs: number) => Result): Promise<Result> {
		checkOpen();
		return writer.write(() => work(clock.now()));
	}

	/**
	 * Who has nothing to claim now does not keep others from leading, nor wake them: to lead is a commit, and to resign
	 * another one.
	 */
	function hasToLead(groups: GroupRequests, nowMs: number): boolean {
		if (!leader.mayLead(nowMs)) return false;
		const dueAtMs = nextDueAtMs(connection, groups, nowMs);
		return dueAtMs !== undefined && (dueAtMs <= nowMs || leader.isOrphaned(nowMs));
	}

	async function inPieces(filter: DeliveryFilter, change: typeof cancel): Promise<number> {
		const condition = conditionOf(filter);
		let changed = 0;
		for (let from: number | undefined = 0; from !== undefined; ) {
			const start: number = from;
			const piece: Piece = await write((nowMs) => {
				wake.note();
				return change(connection, condition, start, nowMs);
			});
			changed += piece.changed;
			from = piece.next;
		}
		return changed;
	}

	return {
		capabilities: {
			durability: file === undefined ? "memory" : durability,
			transactions: true,
			sharing: isAlone ? "none" : "append",
		},
		async append(events, { tx } = {}) {
			checkOpen();
			if (tx !== undefined) {
				// Of other connections' commits the file tells.
				if (tx === settings.database) wake.follow();
				return appendInTransaction(tx, events, clock.now());
			}
			return write((nowMs) => {
				wake.note();
				return runSteps(connection, appendSteps(events, nowMs));
			});
		},
		claim: (groups, leaseMs) =>
			write((nowMs) => {
				if (!isAlone && !hasToLead(groups, nowMs)) return [];
				if (!leader.lead(nowMs)) return [];
				const claims = claim(connection, turns, groups, leaseMs, nowMs);
				for (const { token } of claims) leader.hold(token, nowMs + leaseMs);
				return claims;
			}),
		extend: (tokens, leaseMs) =>
			write((nowMs) => {
				const valid = tokens.filter((token) => extend(connection, token, leaseMs, nowMs));
				for (const token of valid) leader.hold(token, nowMs + leaseMs);
				return valid;
			}),
		settle: (settlements) =>
			write((nowMs) => {
				const results = settle(connection, settlements, nowMs, wake.note);
				leader.letGo(settlements.map(({ token }) => token));
				return results;
			}),
		release: (tokens, delayMs = 0) =>
			write((nowMs) => {
				for (const token of tokens) release(connection, token, delayMs, nowMs);
				leader.letGo(tokens);
				wake.note();
			}),
		async query(filter, page) {
			checkOpen();
			return query(connection, filter, page);
		},
		replay: (filter) => inPieces(filter, replay),
		cancel: (filter) => inPieces(filter, cancel),
		async getEvents(ids) {
			checkOpen();
			return getEvents(connection, ids);
		},
		async listEvents(filter, page) {
			checkOpen();
			return listEvents(connection, filter, page);
		},
		addDeliveries: (added) =>
			write((nowMs) => {
				wake.note();
				return addDeliveries(connection, added, nowMs);
			}),
		prune: (request) => write((nowMs) => prune(connection, request, nowMs)),
		pruneEvents: (request) => write((nowMs) => pruneEvents(connection, request, nowMs)),
		async stats() {
			checkOpen();
			const counting = countByTarget(connection);
			for (let step = counting.next(); ; step = counting.next()) {
				if (step.done === true) return { targets: step.value };
				await nextTurn();
				checkOpen();
			}
		},
		async nextDueInMs(groups) {
			checkOpen();
			const nowMs = clock.now();
			const dueAtMs = nextDueAtMs(connection, groups, nowMs);
			if (dueAtMs === undefined) return undefined;
			// What another process has in flight is due when that one is gone, whatever its leases.
			const othersForMs = leader.othersLeadForMs();
			return othersForMs > 0 ? othersForMs : Math.max(0, dueAtMs - nowMs);
		},
		onWake: (listener) => (closing === undefined ? wake.onWake(listener) : () => undefined),
		endpoints: {
			put: (record, ifRevision) =>
				write(() => {
					wake.note();
					return putEndpoint(connection, record, ifRevision);
				}),
			async get(id) {
				checkOpen();
				return getEndpoint(connection, id);
			},
			async list(page) {
				checkOpen();
				return listEndpoints(connection, page);
			},
			delete: (id) =>
				write((nowMs) => {
					if (!deleteEndpoint(connection, id)) return false;
					const condition = conditionOf({ target: id });
					for (let from: number | undefined = 0; from !== undefined; ) {
						from = cancel(connection, condition, from, nowMs).next;
					}
					wake.note();
					return true;
				}),
			async changes(since, limit) {
				checkOpen();
				return listChanges(connection, since, limit);
			},
		},
		receipts: {
			claim: (key, leaseMs) => write((nowMs) => claimReceipt(connection, key, leaseMs, nowMs)),
			extend: (receipt, leaseMs) => write((nowMs) => extendReceipt(connection, receipt, leaseMs, nowMs)),
			confirm: (receipt, keepForMs) =>
				write((nowMs) => confirmReceipt(connection, receipt, keepForMs, nowMs)),
			release: (receipt) => write(() => releaseReceipt(connection, receipt)),
			prune: (limit) => write((nowMs) => pruneReceipts(connection, limit, nowMs)),
		},
		close() {
			closing ??= (async () => {
				wake.close();
				await writer.idle();
				leader.resign();
				if (isOwn) connection.close({ isAlone });
			})();
			return closing;
		},
	};
}
