import { createId } from "../../internal/id.ts";
import type { Receipt, ReceiptClaim } from "../../outbox/ports.ts";
import { toText } from "./append.ts";
import type { Connection } from "./connection.ts";

const soon = "callhook.clock() + $3::text::double precision * interval '1 millisecond'";

/** One statement decides: whoever comes second waits for the first to commit, and finds its row. */
export async function claimReceipt(
	connection: Connection,
	key: string,
	leaseMs: number,
): Promise<ReceiptClaim> {
	const token = createId("rcp");
	const [claimed] = await connection.all(
		`INSERT INTO callhook.receipt AS r (key, token, until) VALUES ($1::text, $2::text, ${soon})
		ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until
		WHERE r.until <= callhook.clock() RETURNING r.token AS token`,
		...[toText(key), token, String(leaseMs)],
	);
	if (claimed !== undefined) return { state: "claimed", receipt: { key, token } };
	const [row] = await connection.all(
		`SELECT (r.token IS NULL)::text AS done,
			(extract(epoch FROM r.until - callhook.clock()) * 1000)::text AS left
		FROM callhook.receipt r WHERE r.key = $1::text`,
		toText(key),
	);
	if (row?.done === "true") return { state: "done" };
	// No row: the other has let it go meanwhile.
	return { state: "busy", freeInMs: Math.max(0, Math.ceil(Number(row?.left ?? 0))) };
}

export function extendReceipt(connection: Connection, receipt: Receipt, leaseMs: number): Promise<boolean> {
	return update(connection, `SET until = ${soon}`, receipt, leaseMs);
}

export function confirmReceipt(
	connection: Connection,
	receipt: Receipt,
	keepForMs: number,
): Promise<boolean> {
	return update(connection, `SET token = NULL, until = ${soon}`, receipt, keepForMs);
}

async function update(
	connection: Connection,
	set: string,
	{ key, token }: Receipt,
	ms: number,
): Promise<boolean> {
	const sql = `UPDATE callhook.receipt r ${set} WHERE r.key = $1::text AND r.token = $2::text RETURNING 1 AS held`;
	return (await connection.all(sql, toText(key), token, String(ms))).length > 0;
}

export async function releaseReceipt(connection: Connection, { key, token }: Receipt): Promise<boolean> {
	const sql =
		"DELETE FROM callhook.receipt r WHERE r.key = $1::text AND r.token = $2::text RETURNING 1 AS held";
	return (await connection.all(sql, toText(key), token)).length > 0;
}

export async function pruneReceipts(connection: Connection, limit: number): Promise<number> {
	const rows = await connection.all(
		`DELETE FROM callhook.receipt r USING (
			SELECT o.key FROM callhook.receipt o WHERE o.until <= callhook.clock()
			ORDER BY o.until LIMIT $1::text::bigint FOR UPDATE SKIP LOCKED
		) old WHERE r.key = old.key RETURNING 1 AS pruned`,
		String(limit),
	);
	return rows.length;
}
