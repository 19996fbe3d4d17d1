import { CallhookError } from "../../errors.ts";
import { appendFunctions } from "./append.ts";
import { claimFunctions } from "./claim.ts";
import type { Run } from "./connection.ts";
import { endpointFunctions } from "./endpoints.ts";
import { eventFunctions } from "./events.ts";
import { historyFunctions } from "./history.ts";
import { laneFunctions } from "./lanes.ts";
import { settleFunctions } from "./settle.ts";

/**
 * Where a delivery stands for the indexes of a claim; `state` says the same to people, and more. An ordered delivery is
 * entering until a claim has seen whether another of its lane is unfinished: lanes.ts.
 *
 * 0 entering, 1 ready, 2 scheduled or in flight, 3 blocked, 4 final
 */
const tables = `
	-- One row of numbers for events, deliveries and their turns, so that later ones are higher.
	CREATE SEQUENCE callhook.number;

	CREATE TABLE callhook.event (
		seq bigint PRIMARY KEY,
		id text COLLATE "C" NOT NULL UNIQUE,
		type text COLLATE "C" NOT NULL,
		version bigint,
		time text NOT NULL,
		source text NOT NULL,
		-- Text, not jsonb: a payload is signed byte by byte.
		data text NOT NULL,
		metadata text NOT NULL,
		key text,
		subject text,
		correlation_id text,
		causation_id text,
		traceparent text,
		idempotency_key text COLLATE "C",
		added_at timestamptz NOT NULL,
		bare_at timestamptz
	);
	CREATE UNIQUE INDEX event_idempotency_key ON callhook.event (idempotency_key) WHERE idempotency_key IS NOT NULL;
	-- Events that no delivery needs.
	CREATE INDEX event_bare ON callhook.event (bare_at) WHERE bare_at IS NOT NULL;

	-- No foreign keys: looking them up would cost append a third of its speed, and only the functions here write.
	CREATE TABLE callhook.delivery (
		seq bigint PRIMARY KEY,
		event bigint NOT NULL,
		grp text COLLATE "C" NOT NULL,
		target text COLLATE "C" NOT NULL,
		lane text COLLATE "C",
		turn bigint NOT NULL,
		state text COLLATE "C" NOT NULL
			CHECK (state IN ('pending', 'in_flight', 'waiting', 'delivered', 'dead', 'cancelled')),
		stage smallint NOT NULL CHECK (stage BETWEEN 0 AND 4),
		attempts integer NOT NULL DEFAULT 0,
		claims bigint NOT NULL DEFAULT 0,
		crashes integer NOT NULL DEFAULT 0,
		due_at timestamptz NOT NULL,
		added_at timestamptz NOT NULL,
		ended_at timestamptz,
		UNIQUE (event, grp, target)
	) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.5);
	CREATE INDEX delivery_entering ON callhook.delivery (grp, turn) WHERE stage = 0;
	CREATE INDEX delivery_ready ON callhook.delivery (grp, target, turn, seq) WHERE stage = 1;
	CREATE INDEX delivery_due ON callhook.delivery (grp, due_at) WHERE stage = 2;
	-- That one of a lane is open and no more, the server sees to.
	CREATE UNIQUE INDEX delivery_open ON callhook.delivery (grp, target, lane)
		WHERE lane IS NOT NULL AND stage IN (1, 2);
	CREATE INDEX delivery_blocked ON callhook.delivery (grp, target, lane, turn, seq) WHERE stage = 3;
	CREATE INDEX delivery_ended ON callhook.delivery (ended_at, seq) WHERE stage = 4;
	CREATE INDEX delivery_dead ON callhook.delivery (seq) WHERE state = 'dead';
	CREATE INDEX delivery_target ON callhook.delivery (target, seq);

	CREATE TABLE callhook.attempt (
		seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		delivery bigint NOT NULL,
		record text NOT NULL
	);
	CREATE INDEX attempt_delivery ON callhook.attempt (delivery);

	CREATE TABLE callhook.endpoint (
		seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		id text COLLATE "C" NOT NULL UNIQUE,
		tenant text COLLATE "C",
		-- NULL: it was deleted, which other processes have to hear of.
		document text,
		revision bigint NOT NULL
	);
	CREATE INDEX endpoint_revision ON callhook.endpoint (revision);
	CREATE INDEX endpoint_tenant ON callhook.endpoint (tenant, seq) WHERE tenant IS NOT NULL;

	-- The last revision of an endpoint. Whoever takes one holds the row until the commit, so that none is overtaken.
	CREATE TABLE callhook.endpoint_counter (value bigint NOT NULL);
	INSERT INTO callhook.endpoint_counter VALUES (0);

	-- Messages that came in; without a token they are done.
	CREATE TABLE callhook.receipt (
		key text COLLATE "C" PRIMARY KEY,
		token text COLLATE "C",
		until timestamptz NOT NULL
	);
	CREATE INDEX receipt_until ON callhook.receipt (until);

	-- While ANALYZE looks at a table, what claims have left behind cannot be cleared from the indexes, and claims walk over
	-- it. The functions need no statistics, so a small sample is enough.
	DO $$
	DECLARE
		col record;
	BEGIN
		FOR col IN
			SELECT a.attrelid::regclass AS rel, a.attname AS name FROM pg_attribute a
			WHERE a.attrelid IN ('callhook.event'::regclass, 'callhook.delivery'::regclass) AND a.attnum > 0
		LOOP
			EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 10', col.rel, col.name);
		END LOOP;
	END $$;

	-- The one clock that decides, to the millisecond: what is shown is what is compared.
	CREATE FUNCTION callhook.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS 'SELECT date_trunc(''milliseconds'', clock_timestamp())';
	`;

/**
 * The tables, step by step: a schema of any earlier version gets the steps it lacks, in one transaction. A step that was
 * released is never changed.
 */
const migrations: readonly string[] = [tables];

/**
 * What runs inside the server. A new version replaces them all, so whoever changes one adds a step above, and keeps
 * what processes of the version before call.
 */
const functions: readonly string[] = [
	...laneFunctions,
	...appendFunctions,
	...claimFunctions,
	...settleFunctions,
	...historyFunctions,
	...eventFunctions,
	...endpointFunctions,
];

/** Makes the tables or brings them up to date, inside a transaction: of ten processes that start at once, one does. */
export async function migrate(run: Run, schema: string): Promise<void> {
	await run(`SELECT pg_advisory_xact_lock(hashtextextended('callhook migration ${schema}', 0))`);
	if (await readVersion(run, schema)) return;
	// Who may not make schemas may be given one.
	const [found] = await run(`SELECT to_regnamespace('"${schema}"')::text AS schema`);
	if (typeof found?.schema !== "string") await run(`CREATE SCHEMA "${schema}"`);
	await run("CREATE TABLE IF NOT EXISTS callhook.version (version integer NOT NULL)");
	const [row] = await run("SELECT version FROM callhook.version");
	for (const migration of migrations.slice(Number(row?.version ?? 0))) await run(migration);
	for (const definition of functions) await run(definition);
	await run("DELETE FROM callhook.version");
	await run(`INSERT INTO callhook.version VALUES (${migrations.length})`);
}

/** Whether the tables are up to date. Throws ERR_CALLHOOK_STORE_VERSION for tables of a newer version. */
export async function readVersion(run: Run, schema: string): Promise<boolean> {
	// A session of the caller would remember of a name that it is unknown, also when another made it since.
	const [found] = await run(
		`SELECT c.relname AS found FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = '${schema}' AND c.relname = 'version'`,
	);
	if (found === undefined) return false;
	const [row] = await run("SELECT version FROM callhook.version");
	const version = Number(row?.version ?? 0);
	if (version > migrations.length) throw tooNew(version);
	return version === migrations.length;
}

function tooNew(found: number): CallhookError {
	const supported = migrations.length;
	return new CallhookError(
		"ERR_CALLHOOK_STORE_VERSION",
		`The tables of the PostgreSQL store have version ${found}, made by a newer callhook; this one knows ${supported}. Update callhook`,
		{ found, supported },
	);
}
