import { isIPv6, type LookupFunction, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { buildConnector, errors } from "undici";
import type { AddressGuard, InspectedHost } from "./address-guard.ts";

/** Options of {@link createGuardedConnector}. */
export interface GuardedConnectorOptions {
	/** Limit of DNS, TCP and TLS together; undici's timers are about half a second coarse. */
	readonly connectTimeoutMs: number;
	/** Certificates and protocol versions, for networks with an authority of their own. */
	readonly tls?: SecureContextOptions | undefined;
	/** Destroys every connection when it fires, those being made included, which an `Agent` cannot reach. */
	readonly signal?: AbortSignal | undefined;
}

/**
 * The `connect` of an undici `Agent` through which only connections that the guard permits are made.
 *
 * Every rule of the guard applies again to every new connection, and the name is resolved once for it: the socket
 * gets exactly the vetted answers. `Host` and SNI stay the name. A refusal fails the request with
 * `ERR_CALLHOOK_URL_REFUSED`.
 */
export function createGuardedConnector(
	guard: AddressGuard,
	{ connectTimeoutMs, tls, signal }: GuardedConnectorOptions,
): buildConnector.connector {
	return (target, callback) => {
		// undici may still connect for a request that nobody waits for, and Node revives a socket whose signal has fired.
		if (signal?.aborted === true) {
			callback(new errors.ClientDestroyedError(), null);
			return;
		}
		let host: InspectedHost;
		try {
			// Here too, because sockets call `lookup` for names only: https://github.com/nodejs/undici/issues/2019
			host = guard.inspect(urlOf(target));
		} catch (error) {
			callback(error as Error, null);
			return;
		}
		// One connector for each connection: `lookup` is not told the port, and the verdict depends on it. Its cache of
		// TLS sessions would die with it.
		const connect = buildConnector({
			...tls,
			...(signal && { signal }),
			timeout: connectTimeoutMs,
			maxCachedSessions: 0,
			lookup: vettedLookup(host),
		});
		try {
			connect(target, (error, socket) => {
				if (error !== null) {
					callback(error, null);
					return;
				}
				try {
					vetPeer(host, socket);
				} catch (refusal) {
					socket.destroy();
					callback(refusal as Error, null);
					return;
				}
				callback(null, socket);
			});
		} catch (error) {
			// A certificate that cannot be read.
			callback(error as Error, null);
		}
	};
}

/** @internal The URL that a connection is made for. */
export function urlOf({ protocol, hostname, port }: buildConnector.Options): string {
	return `${protocol}//${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
}

function vettedLookup(host: InspectedHost): LookupFunction {
	return (_hostname, { all }, callback) => {
		host.resolve().then(
			(answers) => {
				if (all === true) callback(null, [...answers]);
				else callback(null, answers[0].address, answers[0].family);
			},
			(error: unknown) => callback(toError(error), ""),
		);
	};
}

/** Node takes a rejection with `undefined` for an answer, and the process would end by it. */
function toError(rejection: unknown): Error {
	if (typeof rejection === "object" && rejection !== null) return rejection as Error;
	return new Error(`The lookup was rejected with ${String(rejection)}`);
}

/** The address that was connected to in fact: the kernel turns 0.0.0.0 into 127.0.0.1, for one. */
function vetPeer(host: InspectedHost, socket: Socket): void {
	// A socket that is closed already has no peer to judge: a broken connection, which may be retried, no refusal.
	if (socket.remoteAddress === undefined) {
		throw Object.assign(new Error("The connection was closed as it opened"), { code: "ECONNRESET" });
	}
	host.vet(socket.remoteAddress);
}
