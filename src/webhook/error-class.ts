import { isCallhookError } from "../errors.ts";
import type { ErrorClass } from "../outbox/ports.ts";

/** Classes of the codes that mean one thing wherever they come from. */
const classes: Readonly<Record<string, ErrorClass>> = {
	...each("dns", [
		...["ENOTFOUND", "ENODATA", "ESERVFAIL", "EFORMERR", "ENOTIMP", "EBADQUERY", "EBADNAME", "EBADFAMILY"],
		...["EBADRESP", "ETIMEOUT", "ENONAME", "ENOTINITIALIZED", "ELOADIPHLPAPI", "EADDRGETNETWORKPARAMS"],
	]),
	...each("connect", [
		...[
			"ECONNREFUSED",
			"EHOSTUNREACH",
			"EHOSTDOWN",
			"ENETUNREACH",
			"ENETDOWN",
			"EADDRNOTAVAIL",
			"EADDRINUSE",
		],
		...["EACCES", "EPERM", "EINVAL", "EAFNOSUPPORT", "EMFILE", "ENFILE", "ENOBUFS"],
		"ERR_SOCKET_CONNECTION_TIMEOUT",
	]),
	...each("tls", [
		...[
			"EPROTO",
			"CERT_HAS_EXPIRED",
			"CERT_NOT_YET_VALID",
			"CERT_REVOKED",
			"CERT_UNTRUSTED",
			"CERT_REJECTED",
		],
		...["CERT_SIGNATURE_FAILURE", "CERT_CHAIN_TOO_LONG", "DEPTH_ZERO_SELF_SIGNED_CERT", "HOSTNAME_MISMATCH"],
		...["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
		...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_DECRYPT_CERT_SIGNATURE", "UNABLE_TO_GET_CRL"],
		...["INVALID_CA", "INVALID_PURPOSE", "PATH_LENGTH_EXCEEDED"],
	]),
	...each("timeout", [
		...["ETIMEDOUT", "ERR_CALLHOOK_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT"],
		"UND_ERR_BODY_TIMEOUT",
	]),
	...each("reset", ["ECONNRESET", "ECONNABORTED", "EPIPE", "ENOTCONN", "ERR_STREAM_PREMATURE_CLOSE"]),
	...each("protocol", [
		...["UND_ERR_HEADERS_OVERFLOW", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "UND_ERR_RES_EXCEEDED_MAX_SIZE"],
		"UND_ERR_RESPONSE",
	]),
	...each("proxy", ["ERR_CALLHOOK_PROXY"]),
	...each("stopped", [
		"ERR_CALLHOOK_STOPPED",
		"UND_ERR_DESTROYED",
		"UND_ERR_CLOSED",
		"UND_ERR_ABORTED",
		"ABORT_ERR",
	]),
};

/** And of families of codes. */
const families: readonly (readonly [RegExp, ErrorClass])[] = [
	[/^EAI_/, "dns"],
	[/^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|ERROR_IN_CERT_|ERROR_IN_CRL_)/, "tls"],
	[/^HPE_/, "protocol"],
];

const deepestCause = 4;

/**
 * What kind of error ended an attempt, by its code, and by the codes of its causes where it has none that is known. Pure;
 * made for the errors of Node's sockets, DNS and TLS, of undici, and of Callhook.
 */
export function classifyError(error: unknown): ErrorClass {
	let current = error;
	for (let depth = 0; depth < deepestCause && current instanceof Error; depth++) {
		const found = classOf(current);
		if (found !== undefined) return found;
		current = current.cause;
	}
	return "other";
}

function classOf(error: Error): ErrorClass | undefined {
	// A final verdict: nothing but the guard itself may give it.
	if (isCallhookError(error, "ERR_CALLHOOK_URL_REFUSED")) return "refused";
	const { code, syscall = "" } = error as NodeJS.ErrnoException;
	if (error.name === "HTTPParserError") return "protocol";
	// DNS has an ECONNREFUSED of its own, when the resolver does not answer.
	if (/^(?:getaddrinfo|query|getHostBy)/.test(syscall)) return "dns";
	if (typeof code !== "string") return undefined;
	// Of undici: a connection that ended, or one that it ended itself because of what came over it.
	if (code === "UND_ERR_SOCKET") return /^bad /.test(error.message) ? "protocol" : "reset";
	return Object.hasOwn(classes, code) ? classes[code] : families.find(([family]) => family.test(code))?.[1];
}

function each(errorClass: ErrorClass, codes: readonly string[]): Record<string, ErrorClass> {
	return Object.fromEntries(codes.map((code) => [code, errorClass]));
}
