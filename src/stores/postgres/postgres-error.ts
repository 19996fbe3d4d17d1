import { CallhookError } from "../../errors.ts";

type Reason = "busy" | "full" | "failing" | "read-only" | "unreachable";

// https://www.postgresql.org/docs/current/errcodes-appendix.html, by code or by class; the first match counts.
const reasons: readonly (readonly [codes: RegExp, reason: Reason])[] = [
	// Also what pg reports of the socket, and of names that do not resolve.
	[/^(08...|57P0[1235]|E[A-Z]{2,}_?[A-Z]*)$/u, "unreachable"],
	[/^53100$/u, "full"],
	// Too many connections, no memory; a lock or a statement that took too long; a conflict that was tried again.
	[/^(53...|55P03|57014|40001|40P01)$/u, "busy"],
	[/^25006$/u, "read-only"],
	[/^58...$/u, "failing"],
];
// pg has no codes for these.
const lostConnection =
	/^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client (has encountered|was closed)|Cannot use a pool after)/u;

const explanations: Readonly<Record<Reason, string>> = {
	busy: "it is overloaded or a lock was not to be had",
	full: "its disk is full",
	failing: "its disk cannot be read or written",
	"read-only": "it may only be read, as a standby",
	unreachable: "it cannot be reached",
};

/** What a failure of PostgreSQL means to the user of a store; errors that are none of these stay as they are. */
export function toStoreError(error: unknown): unknown {
	if (!(error instanceof Error) || error instanceof CallhookError) return error;
	const { message, code = "" } = error as Error & { readonly code?: unknown };
	const text = `${withoutSecrets(message)}${typeof code === "string" && code !== "" ? `, ${code}` : ""}`;
	if (code === "XX001" || code === "XX002") {
		return new CallhookError(
			"ERR_CALLHOOK_STORE_DAMAGED",
			`The PostgreSQL store is damaged: ${text}. Restore a backup`,
			{ reason: withoutSecrets(message) },
			{ cause: error },
		);
	}
	const reason = reasonOf(String(code), message);
	if (reason === undefined) return error;
	return new CallhookError(
		"ERR_CALLHOOK_STORE_UNAVAILABLE",
		`The PostgreSQL store cannot be used now: ${explanations[reason]} (${text})`,
		{ reason },
		{ cause: error },
	);
}

/** Whether a transaction lost against another one and may succeed when it is tried again. */
export function isConflict(error: unknown): boolean {
	const code = (error as { readonly code?: unknown } | null)?.code;
	return code === "40001" || code === "40P01";
}

function reasonOf(code: string, message: string): Reason | undefined {
	// Errors of Node itself, such as ERR_INVALID_ARG_TYPE, are mistakes, not failures.
	if (code.startsWith("ERR_")) return undefined;
	return (
		reasons.find(([codes]) => codes.test(code))?.[1] ??
		(lostConnection.test(message) ? "unreachable" : undefined)
	);
}

/** Passwords stand in connection strings, and those in the messages of some drivers. */
function withoutSecrets(message: string): string {
	return message.replaceAll(/\/\/[^\s/@]*@/gu, "//***@").replaceAll(/password=\S+/giu, "password=***");
}
