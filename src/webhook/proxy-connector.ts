import http from "node:http";
import https from "node:https";
import { isIP, isIPv6, type Socket } from "node:net";
import { addAbortSignal } from "node:stream";
import { buildConnector } from "undici";
import { CallhookError } from "../errors.ts";
import type { AddressGuard } from "./address-guard.ts";
import { type GuardedConnectorOptions, urlOf } from "./guarded-connector.ts";

/** An HTTP proxy that connects us to others. */
export interface EgressProxy {
	readonly protocol: "http:" | "https:";
	readonly hostname: string;
	readonly port: number;
	/** What `proxy-authorization` says, when the proxy wants it. Secret. */
	readonly authorization: string | undefined;
}

/**
 * The `connect` of an undici `Agent` whose every connection goes through a proxy, by CONNECT, for `http:` targets too. The
 * guard judges the URL and IP literals; names are resolved by the proxy, out of our sight, so it has to filter addresses.
 *
 * What fails up to the proxy's answer is `ERR_CALLHOOK_PROXY`; the TLS handshake with the target comes after it.
 */
export function createProxyConnector(
	guard: AddressGuard,
	proxy: EgressProxy,
	{ connectTimeoutMs, tls, signal }: GuardedConnectorOptions,
): buildConnector.connector {
	const handshake = buildConnector({
		...tls,
		...(signal && { signal }),
		timeout: connectTimeoutMs,
		maxCachedSessions: 0,
	});
	return (target, callback) => {
		try {
			guard.inspect(urlOf(target));
		} catch (error) {
			callback(error as Error, null);
			return;
		}
		openTunnel(proxy, authorityOf(target), connectTimeoutMs, signal).then(
			(socket) => {
				if (target.protocol === "http:") {
					callback(null, socket);
					return;
				}
				try {
					handshake({ ...target, httpSocket: socket }, callback);
				} catch (error) {
					// A certificate that cannot be read.
					socket.destroy();
					callback(error as Error, null);
				}
			},
			(error: Error) => callback(error, null),
		);
	};
}

function openTunnel(
	{ protocol, hostname, port, authorization }: EgressProxy,
	authority: string,
	timeoutMs: number,
	signal: AbortSignal | undefined,
): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const { request } = protocol === "https:" ? https : http;
		const connecting = request({
			...{ hostname, port, method: "CONNECT", path: authority, agent: false, maxHeaderSize: 16_384 },
			// Of a proxy on https: Node would take the name from `host`, which is the target's.
			servername: isIP(hostname) === 0 ? hostname : "",
			headers: {
				host: authority,
				...(authorization !== undefined && { "proxy-authorization": authorization }),
			},
			...(signal && { signal }),
		});
		const fail = (reason: string, status?: number): void => {
			clearTimeout(timer);
			connecting.destroy();
			reject(proxyError(reason, status));
		};
		const timer = setTimeout(() => fail("it did not answer in time"), timeoutMs);
		connecting
			.on("connect", ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
				if (statusCode < 200 || statusCode > 299) {
					socket.destroy();
					fail(`it answered ${statusCode}`, statusCode);
					return;
				}
				clearTimeout(timer);
				if (head.length > 0) socket.unshift(head);
				resolve(signal === undefined ? socket : addAbortSignal(signal, socket));
			})
			.on("response", ({ statusCode = 0 }) => fail(`it answered ${statusCode}`, statusCode))
			// Its message may hold an address, its code does not.
			.on("error", ({ code, name }: NodeJS.ErrnoException) => fail(code ?? name))
			.end();
	});
}

function proxyError(reason: string, status: number | undefined): CallhookError<"ERR_CALLHOOK_PROXY"> {
	return new CallhookError("ERR_CALLHOOK_PROXY", `The egress proxy made no connection: ${reason}`, {
		reason,
		...(status !== undefined && { status }),
	});
}

function authorityOf({ protocol, hostname, port }: buildConnector.Options): string {
	const host = isIPv6(hostname) ? `[${hostname}]` : hostname;
	return `${host}:${port || (protocol === "https:" ? 443 : 80)}`;
}
