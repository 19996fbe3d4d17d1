import type {
	EndpointChange,
	EndpointRecord,
	NewEndpointRecord,
	Page,
	PageRequest,
} from "../../outbox/ports.ts";
import { toText } from "./append.ts";
import type { Connection } from "./connection.ts";
import type { SqlRow } from "./driver.ts";
import { planning } from "./lanes.ts";

export const endpointFunctions: readonly string[] = [
	// Nothing, where the endpoint has another revision than was expected.
	`CREATE OR REPLACE FUNCTION callhook.put_endpoint(named text, owner text, content text, expected bigint) RETURNS bigint
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		given bigint;
	BEGIN
		UPDATE callhook.endpoint_counter r SET value = r.value + 1 RETURNING r.value INTO given;
		IF expected IS NOT NULL AND expected <> coalesce(
			(SELECT e.revision FROM callhook.endpoint e WHERE e.id = named AND e.document IS NOT NULL), 0
		) THEN
			RETURN NULL;
		END IF;
		INSERT INTO callhook.endpoint (id, tenant, document, revision) VALUES (named, owner, content, given)
		ON CONFLICT (id) DO UPDATE
			SET tenant = excluded.tenant, document = excluded.document, revision = excluded.revision;
		PERFORM pg_notify('callhook_channel', '');
		RETURN given;
	END $$`,

	// With all its unfinished deliveries in one commit. None of its lanes goes on, so none has to be opened; but whoever
	// places what was appended meanwhile must see either all of them or none.
	`CREATE OR REPLACE FUNCTION callhook.delete_endpoint(named text) RETURNS boolean
	LANGUAGE plpgsql ${planning} AS $$
	DECLARE
		everything CONSTANT bigint := hashtextextended('callhook_channel', 0);
		at timestamptz;
		given bigint;
	BEGIN
		UPDATE callhook.endpoint_counter r SET value = r.value + 1 RETURNING r.value INTO given;
		UPDATE callhook.endpoint e SET tenant = NULL, document = NULL, revision = given
		WHERE e.id = named AND e.document IS NOT NULL;
		IF NOT FOUND THEN RETURN false; END IF;
		PERFORM pg_advisory_xact_lock(everything);
		at := callhook.clock();
		WITH held AS MATERIALIZED (
			SELECT d.seq FROM callhook.delivery d WHERE d.target = named AND d.stage < 4 ORDER BY d.seq FOR UPDATE
		)
		UPDATE callhook.delivery d SET state = 'cancelled', stage = 4, ended_at = at
		FROM held WHERE d.seq = held.seq;
		PERFORM pg_notify('callhook_channel', '');
		RETURN true;
	END $$`,
];

export async function putEndpoint(
	connection: Connection,
	{ id, tenant, document }: NewEndpointRecord,
	ifRevision: number | undefined,
): Promise<number | undefined> {
	const [row] = await connection.all(
		"SELECT callhook.put_endpoint($1::text, $2::text, $3::text, $4::text::bigint)::text AS revision",
		...[
			toText(id),
			toText(tenant) ?? null,
			toText(document),
			ifRevision === undefined ? null : String(ifRevision),
		],
	);
	return typeof row?.revision === "string" ? Number(row.revision) : undefined;
}

const columns = "id, tenant, document, revision::text AS revision";

export async function getEndpoint(connection: Connection, id: string): Promise<EndpointRecord | undefined> {
	const sql = `SELECT ${columns} FROM callhook.endpoint WHERE id = $1::text AND document IS NOT NULL`;
	const [row] = await connection.all(sql, toText(id));
	return row && showEndpoint(row);
}

/** Oldest first; the cursor is a place in the table, which the endpoint may have left. */
export async function listEndpoints(
	connection: Connection,
	{ limit = 50, cursor, tenant }: PageRequest & { readonly tenant?: string | undefined },
): Promise<Page<EndpointRecord>> {
	const rows = await connection.all(
		`SELECT seq::text AS seq, ${columns} FROM callhook.endpoint
		WHERE seq > $1::text::bigint AND document IS NOT NULL ${tenant === undefined ? "" : "AND tenant = $3::text"}
		ORDER BY seq LIMIT $2::text::bigint`,
		...[/^\d{1,15}$/u.test(cursor ?? "") ? (cursor as string) : "0", String(limit + 1)],
		...(tenant === undefined ? [] : [toText(tenant)]),
	);
	const shown = rows.slice(0, limit);
	const items = shown.map(showEndpoint);
	return rows.length > limit ? { items, cursor: shown.at(-1)?.seq as string } : { items };
}

/** Behind a revision, at most so many. */
export const changesSql: string = `SELECT ${columns} FROM callhook.endpoint WHERE revision > $1::text::bigint
	ORDER BY revision LIMIT $2::text::bigint`;

export async function listChanges(
	connection: Connection,
	since: number,
	limit: number,
): Promise<EndpointChange[]> {
	return readChanges(await connection.all(changesSql, String(since), String(limit)));
}

export function readChanges(rows: readonly SqlRow[]): EndpointChange[] {
	return rows.map((row) => ({
		id: row.id as string,
		revision: Number(row.revision),
		record: row.document === null ? undefined : showEndpoint(row),
	}));
}

export async function deleteEndpoint(connection: Connection, id: string): Promise<boolean> {
	const [row] = await connection.all(
		"SELECT callhook.delete_endpoint($1::text)::text AS deleted",
		toText(id),
	);
	return row?.deleted === "true";
}

function showEndpoint({ id, tenant, document, revision }: SqlRow): EndpointRecord {
	return {
		id: id as string,
		tenant: (tenant as string | null) ?? undefined,
		document: document as string,
		revision: Number(revision),
	};
}
