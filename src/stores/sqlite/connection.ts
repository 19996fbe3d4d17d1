import {
	isInTransaction,
	type SqliteDatabase,
	type SqliteStatement,
	type SqlRow,
	type SqlValue,
} from "./driver.ts";
import { toStoreError } from "./sqlite-error.ts";

/** One connection with its prepared statements. Tables stand in SQL under their default names. */
export class Connection {
	readonly #database: SqliteDatabase;
	readonly #prefix: string;
	readonly #statements = new Map<string, SqliteStatement>();

	constructor(database: SqliteDatabase, prefix: string) {
		this.#database = database;
		this.#prefix = prefix;
	}

	/** Runs a statement that answers with rows. */
	all(sql: string, ...values: SqlValue[]): SqlRow[] {
		try {
			return this.#prepare(sql).all(...values) as SqlRow[];
		} catch (error) {
			throw toStoreError(error);
		}
	}

	/** Runs a statement that answers with none; returns how many rows it changed. */
	run(sql: string, ...values: SqlValue[]): number {
		try {
			return Number(this.#prepare(sql).run(...values).changes);
		} catch (error) {
			throw toStoreError(error);
		}
	}

	exec(sql: string): void {
		try {
			this.#database.exec(this.#rename(sql));
		} catch (error) {
			throw toStoreError(error);
		}
	}

	/** Whether a transaction is open, of the application's own perhaps; `undefined` where the driver does not say. */
	get isInTransaction(): boolean | undefined {
		return isInTransaction(this.#database);
	}

	/** Reads a pragma with one value. */
	pragma(text: string): SqlValue | undefined {
		const [row] = this.all(`PRAGMA ${text}`);
		return row === undefined ? undefined : Object.values(row)[0];
	}

	/**
	 * Closes the database. Statements of libsql keep it open until they are collected, and with it the lock of an
	 * exclusive connection, which can be given up only outside of WAL: https://sqlite.org/pragma.html#pragma_locking_mode
	 */
	close({ isAlone }: { readonly isAlone: boolean }): void {
		this.#statements.clear();
		try {
			if (isAlone) {
				this.#database.exec(
					"PRAGMA journal_mode = delete; PRAGMA locking_mode = normal; BEGIN IMMEDIATE; COMMIT",
				);
			}
		} catch {
			// On a full disk, say: what was committed stays in the log, where the next one finds it.
		}
		this.#database.close();
	}

	#prepare(sql: string): SqliteStatement {
		let statement = this.#statements.get(sql);
		if (statement === undefined) {
			statement = this.#database.prepare(this.#rename(sql));
			this.#statements.set(sql, statement);
		}
		return statement;
	}

	#rename(sql: string): string {
		return sql.replaceAll("callhook_", this.#prefix);
	}
}
