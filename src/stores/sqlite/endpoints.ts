import type {
	EndpointChange,
	EndpointRecord,
	NewEndpointRecord,
	Page,
	PageRequest,
} from "../../outbox/ports.ts";
import { runSteps, takeNumbers } from "./append.ts";
import { asBytes, textOf } from "./bytes.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";

const columns = `revision, tenant IS NULL AS is_nobodys, document IS NULL AS is_gone,
	${["id", "tenant", "document"].map(asBytes).join()}`;

/** Inside a write, so that revisions are in the order of commits. */
export function putEndpoint(
	connection: Connection,
	{ id, tenant, document }: NewEndpointRecord,
	ifRevision: number | undefined,
): number | undefined {
	if (ifRevision !== undefined && ifRevision !== (getEndpoint(connection, id)?.revision ?? 0))
		return undefined;
	const revision = runSteps(connection, takeNumbers(1));
	connection.run(
		`INSERT INTO callhook_endpoint (id, tenant, document, revision) VALUES (?, ?, ?, ?) ON CONFLICT (id)
			DO UPDATE SET tenant = excluded.tenant, document = excluded.document, revision = excluded.revision`,
		...[id, tenant ?? null, document, revision],
	);
	return revision;
}

export function getEndpoint(connection: Connection, id: string): EndpointRecord | undefined {
	const [row] = connection.all(
		`SELECT ${columns} FROM callhook_endpoint WHERE id = ? AND document IS NOT NULL`,
		id,
	);
	return row && showEndpoint(row);
}

/** Oldest first; the cursor is a place in the table, which the endpoint may have left. */
export function listEndpoints(
	connection: Connection,
	{ limit = 50, cursor, tenant }: PageRequest & { readonly tenant?: string | undefined },
): Page<EndpointRecord> {
	const ofTenant = tenant === undefined ? [] : [tenant];
	const rows = connection.all(
		`SELECT seq, ${columns} FROM callhook_endpoint
		WHERE seq > ? AND document IS NOT NULL ${ofTenant.map(() => "AND tenant = ?").join()} ORDER BY seq LIMIT ?`,
		...[Number(cursor ?? 0), ...ofTenant, limit + 1],
	);
	const shown = rows.slice(0, limit);
	const items = shown.map(showEndpoint);
	return rows.length > limit ? { items, cursor: String(Number(shown.at(-1)?.seq)) } : { items };
}

export function deleteEndpoint(connection: Connection, id: string): boolean {
	return (
		connection.run(
			"UPDATE callhook_endpoint SET tenant = NULL, document = NULL, revision = ? WHERE id = ? AND document IS NOT NULL",
			...[runSteps(connection, takeNumbers(1)), id],
		) > 0
	);
}

export function listChanges(connection: Connection, since: number, limit: number): EndpointChange[] {
	const sql = `SELECT ${columns} FROM callhook_endpoint WHERE revision > ? ORDER BY revision LIMIT ?`;
	return connection.all(sql, since, limit).map((row) => ({
		id: textOf(row.id),
		revision: row.revision as number,
		record: row.is_gone === 1 ? undefined : showEndpoint(row),
	}));
}

function showEndpoint({ id, tenant, is_nobodys, document, revision }: SqlRow): EndpointRecord {
	return {
		id: textOf(id),
		tenant: is_nobodys === 1 ? undefined : textOf(tenant),
		document: textOf(document),
		revision: revision as number,
	};
}
