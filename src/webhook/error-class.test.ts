import dns from "node:dns/promises";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { errors } from "undici";
import { describe, expect, test } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { closedPort, listen } from "../../test/support/listener.ts";
import { CallhookError } from "../errors.ts";
import type { ErrorClass } from "../outbox/ports.ts";
import { classifyError } from "./error-class.ts";

function coded(code: string, more: object = {}): Error {
	return Object.assign(new Error("x"), { code, ...more });
}

function words(text: string): string[] {
	return text.trim().split(/\s+/);
}

const byCode: Readonly<Partial<Record<ErrorClass, readonly string[]>>> = {
	dns: words(`
		ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NODATA EAI_NONAME EAI_MEMORY EAI_SERVICE ENODATA ESERVFAIL EFORMERR ENOTIMP
		EBADRESP ETIMEOUT EBADNAME
	`),
	connect: words(`
		ECONNREFUSED EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN EADDRNOTAVAIL EADDRINUSE EACCES EPERM EMFILE ENFILE
		EAFNOSUPPORT
	`),
	tls: words(`
		DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT
		UNABLE_TO_GET_ISSUER_CERT_LOCALLY CERT_HAS_EXPIRED CERT_NOT_YET_VALID CERT_REVOKED CERT_CHAIN_TOO_LONG CERT_UNTRUSTED
		CRL_HAS_EXPIRED ERROR_IN_CERT_NOT_AFTER_FIELD INVALID_CA INVALID_PURPOSE HOSTNAME_MISMATCH
		ERR_TLS_CERT_ALTNAME_INVALID ERR_TLS_HANDSHAKE_TIMEOUT ERR_SSL_WRONG_VERSION_NUMBER
		ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED ERR_OSSL_PEM_NO_START_LINE
		ERR_OSSL_X509_KEY_VALUES_MISMATCH EPROTO
	`),
	timeout: words(`
		ETIMEDOUT UND_ERR_CONNECT_TIMEOUT UND_ERR_HEADERS_TIMEOUT UND_ERR_BODY_TIMEOUT ERR_CALLHOOK_TIMEOUT
	`),
	reset: ["ECONNRESET", "EPIPE", "ECONNABORTED"],
	protocol: words(`
		HPE_INVALID_CONSTANT HPE_INVALID_HEADER_TOKEN HPE_HEADER_OVERFLOW UND_ERR_HEADERS_OVERFLOW
		UND_ERR_RES_CONTENT_LENGTH_MISMATCH UND_ERR_RES_EXCEEDED_MAX_SIZE
	`),
	proxy: ["ERR_CALLHOOK_PROXY"],
	stopped: ["ERR_CALLHOOK_STOPPED", "UND_ERR_DESTROYED", "UND_ERR_CLOSED", "UND_ERR_ABORTED"],
	other: [
		"",
		"toString",
		"__proto__",
		"ENOENT",
		"UND_ERR_INVALID_ARG",
		"ERR_INVALID_CHAR",
		"ERR_CALLHOOK_URL_REFUSED",
	],
};

const made: readonly (readonly [string, unknown, ErrorClass])[] = [
	["undici: the other side closed", new errors.SocketError("other side closed"), "reset"],
	["undici: an upgrade nobody asked for", new errors.SocketError("bad upgrade"), "protocol"],
	["undici: a response nobody asked for", new errors.SocketError("bad response"), "protocol"],
	[
		"undici: no HTTP",
		Object.assign(new Error("Expected HTTP/"), { name: "HTTPParserError", code: "HPE_INVALID_CONSTANT" }),
		"protocol",
	],
	["undici: too many headers", new errors.HeadersOverflowError(), "protocol"],
	["undici: two lengths", new errors.ResponseContentLengthMismatchError(), "protocol"],
	["undici: too much", new errors.ResponseExceededMaxSizeError(), "protocol"],
	["undici: no connection", new errors.ConnectTimeoutError(), "timeout"],
	["undici: no headers", new errors.HeadersTimeoutError(), "timeout"],
	["undici: no body", new errors.BodyTimeoutError(), "timeout"],
	["undici: destroyed", new errors.ClientDestroyedError(), "stopped"],
	["undici: closed", new errors.ClientClosedError(), "stopped"],
	["undici: our mistake", new errors.InvalidArgumentError("invalid headers"), "other"],
	[
		"a refusal",
		new CallhookError("ERR_CALLHOOK_URL_REFUSED", "x", { host: "a", reason: "private" }),
		"refused",
	],
	["a deadline", new CallhookError("ERR_CALLHOOK_TIMEOUT", "x", { timeoutMs: 1 }), "timeout"],
	["a stop", new CallhookError("ERR_CALLHOOK_STOPPED", "x", { what: "bridge" }), "stopped"],
	[
		"a proxy",
		new CallhookError("ERR_CALLHOOK_PROXY", "x", { reason: "it answered 407", status: 407 }),
		"proxy",
	],
	["all addresses", Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }), "connect"],
	["a resolver that is away", coded("ECONNREFUSED", { syscall: "queryA" }), "dns"],
	["getaddrinfo out of memory", coded("ENOMEM", { syscall: "getaddrinfo" }), "dns"],
	[
		"a cause",
		new Error("lookup failed", { cause: new Error("again", { cause: coded("ENOTFOUND") }) }),
		"dns",
	],
	["a text", "ENOTFOUND", "other"],
	["nothing", undefined, "other"],
	["a code that is no text", coded(5 as unknown as string), "other"],
];

describe("classifyError()", () => {
	const rows = Object.entries(byCode).flatMap(([expected, codes]) =>
		codes.map((code) => [code, expected] as const),
	);
	test.each(rows)("%s: %s", (code, expected) => {
		expect(classifyError(coded(code))).toBe(expected);
	});

	test.each(made)("%s", (_title, error, expected) => {
		expect(classifyError(error)).toBe(expected);
	});

	test("ends with a cause that is its own", () => {
		const error = new Error("x");
		error.cause = error;
		expect(classifyError(error)).toBe("other");
	});

	test("knows what sockets, TLS and the resolver of this Node in fact say", async () => {
		const errorOf = async (socket: net.Socket): Promise<unknown> =>
			(await once(socket, "error").catch((e) => [e]))[0];
		const refused = await errorOf(net.connect(await closedPort(), "127.0.0.1"));
		expect(classifyError(refused)).toBe("connect");
		const plain = await listen(net.createServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2p1\r\n")));
		expect(classifyError(await errorOf(tls.connect(plain.port, "127.0.0.1")))).toBe("tls");
		const own = await listen(tls.createServer({ key, cert }));
		expect(classifyError(await errorOf(tls.connect(own.port, "127.0.0.1")))).toBe("tls");
		const other = tls.connect({ port: own.port, host: "127.0.0.1", servername: "other.example", ca: cert });
		expect(classifyError(await errorOf(other))).toBe("tls");
		for (const material of [{ cert: "no PEM" }, { key: "no PEM" }, { ca: "no PEM", cert, key: "" }]) {
			const error = (() => {
				try {
					return tls.createSecureContext(material);
				} catch (caught) {
					return caught;
				}
			})();
			if (error instanceof Error) expect(classifyError(error), JSON.stringify(material)).toBe("tls");
		}
		// Longer than a label may be, so that nobody is asked.
		const name = await dns.lookup(`${"x".repeat(64)}.invalid`).catch((caught: unknown) => caught);
		expect(classifyError(name)).toBe("dns");
	});
});
