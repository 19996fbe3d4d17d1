import { type Clock, unref } from "../../internal/clock.ts";
import type { Connection } from "./connection.ts";
import type { Writer } from "./writer.ts";

/**
 * One process delivers: with several, claims of SQLite took up to 2.6 s, since a lock is not handed on in turn. It leads
 * as long as it has claims; then whoever finds something due is next.
 */
export interface Leader {
	/** Inside a write: whether this store may claim. It takes over from a leader that is gone. */
	lead(nowMs: number): boolean;
	/** Whether this store leads, or no other does. */
	mayLead(nowMs: number): boolean;
	/** Whether a leader is gone that did not resign: what it had claimed is due, whatever its leases. */
	isOrphaned(nowMs: number): boolean;
	/** It holds a claim until its lease ends: it goes on leading while there are any. */
	hold(token: string, leaseEndsAtMs: number): void;
	/** Inside a write: claims have ended. With the last of them it leads no more. */
	letGo(tokens: readonly string[]): void;
	/** How long until another process may lead, where one leads now. */
	othersLeadForMs(): number;
	/** Lets another process lead at once. */
	resign(): void;
}

interface LeaderRow {
	readonly isOwn: boolean;
	readonly hasResigned: boolean;
	readonly leaseLeftMs: number;
	/** How much longer another store leads. */
	readonly otherForMs: number;
}

/** `isAlone`: no other process can have the file open. */
export function createLeader(
	connection: Connection,
	writer: Writer,
	clock: Clock,
	{
		leaseMs,
		isAlone,
		owner,
	}: { readonly leaseMs: number; readonly isAlone: boolean; readonly owner: string },
): Leader {
	/** Its claims, and when their leases end. */
	const held = new Map<string, number>();
	let timer: unknown;
	let hasRevoked = false;

	function readLeader(nowMs: number): LeaderRow {
		const [row] = connection.all("SELECT owner, until, lease_ms FROM callhook_leader");
		const { until, lease_ms } = row as Record<"until" | "lease_ms", number>;
		const leaseLeftMs = until - nowMs;
		const isOwn = row?.owner === owner;
		// A lease that ends later than it was long was given by a clock that was ahead.
		const isOver = isOwn || leaseLeftMs <= 0 || leaseLeftMs > lease_ms;
		return { isOwn, hasResigned: row?.owner === "", leaseLeftMs, otherForMs: isOver ? 0 : leaseLeftMs };
	}

	function renew(): void {
		const until = clock.now() + leaseMs;
		connection.run("UPDATE callhook_leader SET owner = ?, until = ?, lease_ms = ?", owner, until, leaseMs);
	}

	function resign(): void {
		connection.run("UPDATE callhook_leader SET owner = '', until = 0 WHERE owner = ?", owner);
	}

	/** What a leader that is gone had claimed need not wait for the end of its leases. */
	function revoke(): void {
		connection.run(
			`UPDATE callhook_delivery SET state = 'waiting', stage = 0, crashes = crashes + 1, due_at = min(due_at, ?)
			WHERE stage = 1 AND state = 'in_flight'`,
			clock.now(),
		);
	}

	function keepLeading(): void {
		timer ??= clock.setTimeout(() => {
			timer = undefined;
			const nowMs = clock.now();
			// Nobody said what became of them, and the next claim takes them.
			for (const [token, endsAtMs] of held) if (endsAtMs <= nowMs) held.delete(token);
			const goOn = (): void => {
				if (!readLeader(nowMs).isOwn) return;
				if (held.size > 0) renew();
				else resign();
			};
			const again = (): void => {
				if (held.size > 0) keepLeading();
			};
			// What it still leads for must be its own: a failed renewal is no more than a leader that is slow.
			writer.write(goOn).then(again, again);
		}, leaseMs / 3);
		// What runs keeps the process alive, or need not be waited for.
		unref(timer);
	}

	return {
		hold: (token, leaseEndsAtMs) => void held.set(token, leaseEndsAtMs),
		letGo(tokens) {
			const had = held.size;
			for (const token of tokens) held.delete(token);
			if (had > 0 && held.size === 0 && !isAlone) resign();
		},
		mayLead: (nowMs) => isAlone || readLeader(nowMs).otherForMs === 0,
		isOrphaned(nowMs) {
			const { isOwn, hasResigned, otherForMs } = readLeader(nowMs);
			return !isOwn && !hasResigned && otherForMs === 0;
		},
		lead(nowMs) {
			if (isAlone) {
				if (!hasRevoked) revoke();
				hasRevoked = true;
				return true;
			}
			const leader = readLeader(nowMs);
			if (leader.otherForMs > 0) return false;
			if (!leader.isOwn && !leader.hasResigned) revoke();
			if (!leader.isOwn || leader.leaseLeftMs < (leaseMs * 2) / 3) renew();
			keepLeading();
			return true;
		},
		othersLeadForMs: () => (isAlone ? 0 : readLeader(clock.now()).otherForMs),
		resign() {
			clock.clearTimeout(timer);
			if (isAlone) return;
			try {
				resign();
			} catch {
				// Its lease ends by itself.
			}
		},
	};
}
