import { CallhookError } from "../../errors.ts";
import { invalidOption } from "../../internal/options.ts";
import type { Connection } from "./connection.ts";
import { damagedStore } from "./sqlite-error.ts";

/**
 * The tables, step by step: a file of any earlier version gets the steps it lacks, in one transaction. A step that
 * was released is never changed.
 *
 * A delivery's `stage` is where it stands for the indexes of a claim: 0 ready, 1 scheduled or in flight, 2 blocked,
 * 3 final; its `state` says the same to people, and more.
 */
const migrations: readonly string[] = [
	`
	CREATE TABLE callhook_event (
		seq INTEGER PRIMARY KEY,
		id TEXT NOT NULL UNIQUE,
		type TEXT NOT NULL,
		envelope TEXT NOT NULL,
		data TEXT NOT NULL,
		checksum INTEGER NOT NULL,
		idempotency_key TEXT,
		added_at INTEGER NOT NULL,
		bare_at INTEGER
	);
	CREATE UNIQUE INDEX callhook_event_idempotency ON callhook_event (idempotency_key)
		WHERE idempotency_key IS NOT NULL;
	-- Events that no delivery needs.
	CREATE INDEX callhook_event_bare ON callhook_event (bare_at) WHERE bare_at IS NOT NULL;

	CREATE TABLE callhook_delivery (
		seq INTEGER PRIMARY KEY,
		event INTEGER NOT NULL REFERENCES callhook_event (seq),
		grp TEXT NOT NULL,
		target TEXT NOT NULL,
		lane TEXT,
		turn INTEGER NOT NULL,
		state TEXT NOT NULL,
		stage INTEGER NOT NULL,
		attempts INTEGER NOT NULL DEFAULT 0,
		claims INTEGER NOT NULL DEFAULT 0,
		crashes INTEGER NOT NULL DEFAULT 0,
		due_at INTEGER NOT NULL,
		added_at INTEGER NOT NULL,
		ended_at INTEGER
	);
	CREATE INDEX callhook_delivery_event ON callhook_delivery (event);
	CREATE INDEX callhook_delivery_ready ON callhook_delivery (grp, target, turn) WHERE stage = 0;
	CREATE INDEX callhook_delivery_due ON callhook_delivery (grp, due_at) WHERE stage = 1;
	CREATE INDEX callhook_delivery_lane ON callhook_delivery (grp, target, lane, turn)
		WHERE lane IS NOT NULL AND stage < 3;
	CREATE INDEX callhook_delivery_ended ON callhook_delivery (state, ended_at) WHERE stage = 3;
	CREATE INDEX callhook_delivery_target ON callhook_delivery (target);

	CREATE TABLE callhook_attempt (
		seq INTEGER PRIMARY KEY,
		delivery INTEGER NOT NULL REFERENCES callhook_delivery (seq),
		record TEXT NOT NULL
	);
	CREATE INDEX callhook_attempt_delivery ON callhook_attempt (delivery);

	CREATE TABLE callhook_endpoint (
		seq INTEGER PRIMARY KEY AUTOINCREMENT,
		id TEXT NOT NULL UNIQUE,
		tenant TEXT,
		-- NULL: it was deleted, which other processes have to hear of.
		document TEXT,
		revision INTEGER NOT NULL
	);
	CREATE INDEX callhook_endpoint_revision ON callhook_endpoint (revision);
	CREATE INDEX callhook_endpoint_tenant ON callhook_endpoint (tenant, seq) WHERE tenant IS NOT NULL;

	-- Messages that came in; without a token they are done.
	CREATE TABLE callhook_receipt (
		key TEXT PRIMARY KEY,
		token TEXT,
		until INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE INDEX callhook_receipt_until ON callhook_receipt (until);

	-- The last number that an event, a delivery or a change of an endpoint got, so that none comes again.
	CREATE TABLE callhook_counter (value INTEGER NOT NULL);
	INSERT INTO callhook_counter VALUES (0);

	-- The one process that delivers, and until when it may.
	CREATE TABLE callhook_leader (owner TEXT NOT NULL, until INTEGER NOT NULL, lease_ms INTEGER NOT NULL);
	INSERT INTO callhook_leader VALUES ('', 0, 0);
	`,
];

/** Makes the tables or brings them up to date. Throws ERR_CALLHOOK_STORE_VERSION for tables of a newer version. */
export function migrate(connection: Connection): void {
	if (readVersion(connection) === migrations.length) return;
	connection.exec("BEGIN IMMEDIATE");
	try {
		checkNames(connection);
		connection.exec("CREATE TABLE IF NOT EXISTS callhook_schema (version INTEGER NOT NULL)");
		// Another process may have been faster.
		const version = readVersion(connection);
		if (version > migrations.length) throw tooNew(version);
		for (const migration of migrations.slice(version)) connection.exec(migration);
		connection.exec("DELETE FROM callhook_schema");
		connection.run("INSERT INTO callhook_schema VALUES (?)", migrations.length);
		connection.exec("COMMIT");
	} catch (error) {
		connection.exec("ROLLBACK");
		throw error;
	}
}

const names = ["schema", "event", "delivery", "attempt", "endpoint", "receipt", "counter", "leader"];

/** Tables of the application that are called as ours are must not be taken for ours. */
function checkNames(connection: Connection): void {
	const ours = names.map((name) => `'callhook_${name}'`).join();
	const sql = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name COLLATE NOCASE IN (${ours})`;
	const found = connection.all(sql).map(({ name }) => name as string);
	if (found.length === 0 || found.length >= names.length) return;
	throw invalidOption("prefix", "one that no table of the application begins with", found.join());
}

function readVersion(connection: Connection): number {
	const [table] = connection.all(
		"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'callhook_schema' COLLATE NOCASE",
	);
	if (table === undefined) return 0;
	const [row] = connection.all("SELECT version FROM callhook_schema");
	const version = row === undefined ? 0 : row.version;
	if (typeof version !== "number") throw damagedStore("the version of its tables cannot be read");
	return version;
}

function tooNew(found: number): CallhookError {
	const supported = migrations.length;
	return new CallhookError(
		"ERR_CALLHOOK_STORE_VERSION",
		`The tables of the SQLite store have version ${found}, made by a newer callhook; this one knows ${supported}. Update callhook`,
		{ found, supported },
	);
}

/** Takes the next so many numbers; answers with the last of them. */
export const takeNumbersSql = "UPDATE callhook_counter SET value = value + ? RETURNING value";
