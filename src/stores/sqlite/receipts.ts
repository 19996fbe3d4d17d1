import { createId } from "../../internal/id.ts";
import type { Receipt, ReceiptClaim } from "../../outbox/ports.ts";
import type { Connection } from "./connection.ts";

/** Inside a write, so that of two processes one claims. */
export function claimReceipt(
	connection: Connection,
	key: string,
	leaseMs: number,
	nowMs: number,
): ReceiptClaim {
	const token = createId("rcp");
	const claimed = connection.run(
		`INSERT INTO callhook_receipt (key, token, until) VALUES (?, ?, ?) ON CONFLICT (key)
			DO UPDATE SET token = excluded.token, until = excluded.until WHERE callhook_receipt.until <= ?`,
		...[key, token, nowMs + leaseMs, nowMs],
	);
	if (claimed > 0) return { state: "claimed", receipt: { key, token } };
	const [row] = connection.all(
		"SELECT token IS NULL AS is_done, until FROM callhook_receipt WHERE key = ?",
		key,
	);
	if (row?.is_done === 1) return { state: "done" };
	return { state: "busy", freeInMs: Math.max(0, Number(row?.until) - nowMs) };
}

export function extendReceipt(
	connection: Connection,
	{ key, token }: Receipt,
	leaseMs: number,
	nowMs: number,
): boolean {
	const sql = "UPDATE callhook_receipt SET until = ? WHERE key = ? AND token = ?";
	return connection.run(sql, nowMs + leaseMs, key, token) > 0;
}

export function confirmReceipt(
	connection: Connection,
	{ key, token }: Receipt,
	keepForMs: number,
	nowMs: number,
): boolean {
	const sql = "UPDATE callhook_receipt SET token = NULL, until = ? WHERE key = ? AND token = ?";
	return connection.run(sql, nowMs + keepForMs, key, token) > 0;
}

export function releaseReceipt(connection: Connection, { key, token }: Receipt): boolean {
	return connection.run("DELETE FROM callhook_receipt WHERE key = ? AND token = ?", key, token) > 0;
}

export function pruneReceipts(connection: Connection, limit: number, nowMs: number): number {
	return connection.run(
		`DELETE FROM callhook_receipt WHERE key IN
			(SELECT key FROM callhook_receipt WHERE until <= ? ORDER BY until LIMIT ?)`,
		...[nowMs, limit],
	);
}
