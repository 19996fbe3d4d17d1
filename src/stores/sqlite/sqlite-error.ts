import { CallhookError } from "../../errors.ts";

// https://sqlite.org/rescode.html; the low byte of an extended code is its primary code.
const unavailable: Readonly<Record<number, "busy" | "full" | "failing" | "read-only">> = {
	5: "busy",
	6: "busy",
	8: "read-only",
	10: "failing",
	13: "full",
	14: "failing",
};
const names: Readonly<Record<string, number>> = {
	...{ SQLITE_BUSY: 5, SQLITE_LOCKED: 6, SQLITE_READONLY: 8, SQLITE_IOERR: 10, SQLITE_CORRUPT: 11 },
	...{ SQLITE_FULL: 13, SQLITE_CANTOPEN: 14, SQLITE_NOTADB: 26 },
	// node:sqlite, of a number that no store has written
	ERR_OUT_OF_RANGE: 11,
};
const damaged = [11, 26];

const explanations = {
	busy: "another connection holds its lock",
	full: "its disk is full",
	failing: "its disk or its file cannot be read or written",
	"read-only": "it may only be read",
};

/** What a failure of SQLite means to the user of a store; errors that are none of these stay as they are. */
export function toStoreError(error: unknown): unknown {
	const code = primaryCode(error);
	if (code === undefined) return error;
	const { message } = error as Error;
	const reason = unavailable[code];
	if (reason !== undefined) {
		const why = isInside(message) ? "the application has a transaction open on it" : explanations[reason];
		return new CallhookError(
			"ERR_CALLHOOK_STORE_UNAVAILABLE",
			`The SQLite store cannot be used now: ${why} (${message})`,
			{ reason },
			{ cause: error },
		);
	}
	if (!damaged.includes(code)) return error;
	return damagedStore(message, error);
}

const isInside = (message: string): boolean => /within a transaction/u.test(message);

export function damagedStore(reason: string, cause?: unknown): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_STORE_DAMAGED",
		`The SQLite store is damaged: ${reason}. Restore a backup, or recover the file with "sqlite3 FILE .recover"`,
		{ reason },
		{ cause },
	);
}

export function isBusy(error: unknown): boolean {
	return (
		(error as Partial<CallhookError>)?.code === "ERR_CALLHOOK_STORE_UNAVAILABLE" &&
		(error as CallhookError<"ERR_CALLHOOK_STORE_UNAVAILABLE">).details.reason === "busy"
	);
}

function primaryCode(error: unknown): number | undefined {
	if (!(error instanceof Error)) return undefined;
	const { code, errcode, rawCode, message } = error as Error &
		Partial<Record<"code" | "errcode" | "rawCode", unknown>>;
	// The application is in a transaction of its own on this connection: that ends.
	if (isInside(message)) return 5;
	// node:sqlite
	if (typeof errcode === "number") return errcode & 0xff;
	// libsql, where it cannot open a file
	const opening = /^ConnectionFailed\(.*: (\d+)"\)$/su.exec(message);
	if (opening !== null) return Number(opening[1]) & 0xff;
	// libsql, which does not know the names of some
	if (typeof rawCode === "number") return rawCode & 0xff;
	// better-sqlite3
	if (typeof code !== "string") return undefined;
	return Object.entries(names).find(([name]) => code === name || code.startsWith(`${name}_`))?.[1];
}
