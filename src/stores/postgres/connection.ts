import { setTimeout as sleep } from "node:timers/promises";
import type { PostgresClient, PostgresPool, SqlRow, SqlValue } from "./driver.ts";
import { isConflict, toStoreError } from "./postgres-error.ts";

// Two transactions that wait for each other: PostgreSQL ends one of them, which may try again.
const conflictDelaysMs = [2, 10, 30, 100];

/** SQL with the names of a schema: it is written for the schema `callhook` and the channel `callhook_channel`. */
export function renameIn(schema: string, sql: string): string {
	return sql.replaceAll("callhook.", `"${schema}".`).replaceAll("callhook_channel", channelOf(schema));
}

/** Where the stores of a schema tell each other of news. */
export function channelOf(schema: string): string {
	return `callhook_${schema}`;
}

const ignore = (): void => undefined;

/**
 * A connection of its own. Its error event would end the process where nobody listens, and may come with the answer that
 * it is connected: too soon for whoever awaits a promise. Its next query rejects as well.
 */
export function takeClient(pool: PostgresPool): Promise<PostgresClient> {
	return new Promise((resolve, reject) => {
		pool.connect((error, client) => {
			client?.on?.("error", ignore);
			if (client === undefined) reject(error ?? new Error("Connection terminated"));
			else resolve(client);
		});
	});
}

/** Gives it back as it was; a broken one is closed. */
export function giveBack(client: PostgresClient, isBroken: boolean): void {
	if (!isBroken) client.removeListener?.("error", ignore);
	client.release(isBroken);
}

/** Runs a statement without values in SQL for the schema `callhook`. */
export type Run = (sql: string) => Promise<readonly SqlRow[]>;

/** How the tables come to be: tables.ts. */
export interface Tables {
	readVersion(run: Run, schema: string): Promise<boolean>;
	migrate(run: Run, schema: string): Promise<void>;
}

/** The pool, with the tables made before the first statement. */
export class Connection {
	readonly #pool: PostgresPool;
	readonly #schema: string;
	readonly #tables: Tables;
	#ready: Promise<void> | undefined;
	#isReady = false;
	#isReadCommitted = true;

	constructor(pool: PostgresPool, schema: string, tables: Tables) {
		this.#pool = pool;
		this.#schema = schema;
		this.#tables = tables;
	}

	/** Runs one statement in a transaction of its own, again where it lost a conflict. */
	async all(sql: string, ...values: SqlValue[]): Promise<SqlRow[]> {
		await this.ready();
		const text = renameIn(this.#schema, sql);
		for (const delayMs of [...conflictDelaysMs, undefined]) {
			try {
				const { rows } = this.#isReadCommitted
					? await this.#pool.query(text, values)
					: await this.#transaction((client) => client.query(text, values));
				return rows as SqlRow[];
			} catch (error) {
				if (delayMs === undefined || !isConflict(error)) throw toStoreError(error);
				await sleep(delayMs * (0.5 + Math.random()));
			}
		}
		/* v8 ignore next -- the last try returns or throws */
		return [];
	}

	/** Resolves once the tables are there; a failure is tried again by the next call. */
	async ready(): Promise<void> {
		this.#ready ??= this.#prepare().then(
			() => {
				this.#isReady = true;
			},
			(error: unknown) => {
				this.#ready = undefined;
				throw toStoreError(error);
			},
		);
		return this.#ready;
	}

	/**
	 * The same for a caller who holds a connection: where the tables are there already it asks for no other one, and waits for
	 * nobody who does. A pool whose connections are all held so could not give it.
	 */
	async readyFor(query: (sql: string) => Promise<readonly SqlRow[]>): Promise<void> {
		if (!this.#isReady) {
			const isCurrent = await this.#tables.readVersion(
				(sql) => query(renameIn(this.#schema, sql)),
				this.#schema,
			);
			if (isCurrent) return;
		}
		return this.ready();
	}

	async #prepare(): Promise<void> {
		const { rows } = await this.#pool.query(
			"SELECT current_setting('default_transaction_isolation') AS level",
		);
		this.#isReadCommitted = (rows[0] as { readonly level: string }).level === "read committed";
		const query = async (client: Pick<PostgresClient, "query">, sql: string) =>
			(await client.query(renameIn(this.#schema, sql))).rows as SqlRow[];
		if (await this.#tables.readVersion((sql) => query(this.#pool, sql), this.#schema)) return;
		await this.#transaction((client) => this.#tables.migrate((sql) => query(client, sql), this.#schema));
	}

	/** What waits for a lock must see what was committed meanwhile, so this level and no other. */
	async #transaction<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
		const client = await takeClient(this.#pool);
		let isBroken = true;
		try {
			await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
			const result = await work(client);
			await client.query("COMMIT");
			isBroken = false;
			return result;
		} catch (error) {
			await client.query("ROLLBACK").then(
				() => {
					isBroken = false;
				},
				() => undefined,
			);
			throw error;
		} finally {
			giveBack(client, isBroken);
		}
	}
}
