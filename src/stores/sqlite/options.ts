import { type Clock, systemClock } from "../../internal/clock.ts";
import { checkClock, checkDelayMs, checkOptions, invalidOption } from "../../internal/options.ts";
import type { SqliteDatabase, SqliteDriver } from "./driver.ts";

/** Where a SQLite store keeps its tables, and how; one of `path` and `database` is required. */
export interface SqliteStoreOptions {
	/** The file; it is made where there is none. */
	readonly path?: string | undefined;
	/**
	 * The application's own open database instead, of `node:sqlite`, `better-sqlite3` or `libsql`. It stays open when the
	 * store is closed.
	 */
	readonly database?: SqliteDatabase | undefined;
	/** What opens `path`. Default: `node:sqlite` where Node has it, else `libsql`. */
	readonly driver?: SqliteDriver | undefined;
	/** What the names of the tables begin with. Default `callhook_`. */
	readonly prefix?: string | undefined;
	/**
	 * What a stored event survives: `power` is one fsync a commit (synchronous = FULL), with `process` the loss of power
	 * may cost the newest commits (NORMAL). Default `power`.
	 */
	readonly durability?: "power" | "process" | undefined;
	/** Keeps other processes out of the file. Always so with `libsql`. Default false. */
	readonly exclusive?: boolean | undefined;
	/** How long a write waits for the lock of another process before it fails. Default 5,000. */
	readonly busyTimeoutMs?: number | undefined;
	/** How long after the delivering process died another one takes over. Default 5,000. */
	readonly leaderLeaseMs?: number | undefined;
	/** Tells the time. Default: the system's clock. */
	readonly clock?: Clock | undefined;
}

/** Options that were checked and have their defaults. */
export type SqliteStoreSettings = Required<Pick<SqliteStoreOptions, "path" | "database" | "driver">> & {
	readonly prefix: string;
	readonly durability: "power" | "process";
	readonly exclusive: boolean;
	readonly busyTimeoutMs: number;
	readonly leaderLeaseMs: number;
	readonly clock: Clock;
};

const knownOptions: readonly (keyof SqliteStoreOptions)[] = [
	...(["path", "database", "driver", "prefix", "durability", "exclusive"] as const),
	...(["busyTimeoutMs", "leaderLeaseMs", "clock"] as const),
];

/** Checks options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readSqliteOptions(options: SqliteStoreOptions): SqliteStoreSettings {
	checkOptions("sqliteStore", options, knownOptions);
	const {
		path,
		database,
		driver,
		prefix = "callhook_",
		durability = "power",
		exclusive = false,
	} = options ?? {};
	const { busyTimeoutMs = 5_000, leaderLeaseMs = 5_000, clock = systemClock } = options ?? {};
	if ((path === undefined) === (database === undefined)) {
		throw invalidOption("path", "given, or else database, but not both", path);
	}
	if (path !== undefined && (typeof path !== "string" || path === "" || path.includes("\0"))) {
		throw invalidOption("path", "the name of a file", path);
	}
	if (database !== undefined && typeof (database as Partial<SqliteDatabase> | null)?.prepare !== "function") {
		throw invalidOption("database", "an open SQLite database with prepare and exec", database);
	}
	if (driver !== undefined && driver !== "node:sqlite" && driver !== "libsql") {
		throw invalidOption("driver", "node:sqlite or libsql", driver);
	}
	if (driver !== undefined && path === undefined) {
		throw invalidOption("driver", "left out with a database, which is open already", driver);
	}
	if (typeof prefix !== "string" || !/^(?!sqlite_)[a-z_][a-z0-9_]{0,39}$/iu.test(prefix)) {
		throw invalidOption(
			"prefix",
			"letters, digits and _ to begin the names of tables with, but not sqlite_",
			prefix,
		);
	}
	if (durability !== "power" && durability !== "process") {
		throw invalidOption("durability", "power or process", durability);
	}
	if (typeof exclusive !== "boolean") throw invalidOption("exclusive", "a boolean", exclusive);
	if (exclusive && path === undefined) {
		throw invalidOption("exclusive", "left out with a database, which is open already", exclusive);
	}
	checkDelayMs("busyTimeoutMs", busyTimeoutMs);
	checkDelayMs("leaderLeaseMs", leaderLeaseMs, 100);
	checkClock(clock);
	return {
		...{ path, database, driver, prefix, durability, exclusive },
		...{ busyTimeoutMs, leaderLeaseMs, clock },
	};
}
