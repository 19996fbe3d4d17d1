import http, { type RequestListener } from "node:http";
import net, { type Server, type Socket } from "node:net";
import tls from "node:tls";
import { gzipSync } from "node:zlib";
import type { ErrorClass } from "../../src/outbox/ports.ts";
import type { ResolvedAddress } from "../../src/webhook/index.ts";
import type { EndpointVerdict } from "../../src/webhook/outcome.ts";
import type { SendRequest } from "../../src/webhook/sender.ts";
import { cert, key } from "./certificate.ts";
import { drip, writeForever } from "./sender.ts";

/** What must become of an attempt. */
export interface Expected {
	/** The status that was taken, or the class of the error. */
	readonly is: number | ErrorClass;
	/** Default: tried again as the schedule says. */
	readonly next?: "delivered" | "dead" | { readonly retryInMs: readonly [least: number, most: number] };
	readonly endpoint?: EndpointVerdict["action"];
	/** How much of a body is kept, when that is the point. */
	readonly bodyLength?: number;
}

/** A receiver that misbehaves, and what must become of an attempt to reach it. */
export interface BadReceiver {
	/** Absent where nothing listens, or no address is found. */
	readonly server?: () => Server;
	readonly expected: Expected;
	/** Default: over plain HTTP to the server's address. */
	readonly url?: (port: number) => string;
	/** The deadline of those that would keep the sender waiting forever is short, that of all others long. */
	readonly hangs?: boolean;
	readonly request?: Partial<SendRequest>;
	/** Resolves `hook.example`; by default to loopback. */
	readonly lookup?: () => Promise<readonly ResolvedAddress[]>;
}

const head = "HTTP/1.1 200 OK\r\n";
const chunked = `${head}transfer-encoding: chunked\r\n\r\n`;
const secure = (port: number): string => `https://hook.example:${port}/`;
const named = (port: number): string => `http://hook.example:${port}/`;

/** Does something once the first bytes of a request are there. */
function raw(answer: (socket: Socket) => void): () => Server {
	return () => net.createServer((socket) => socket.on("error", () => {}).once("data", () => answer(socket)));
}

function onConnection(answer: (socket: Socket) => void): () => Server {
	return () => net.createServer((socket) => answer(socket.on("error", () => {})));
}

function overTls(answer: (socket: Socket) => void): () => Server {
	return () =>
		tls
			.createServer({ key, cert }, (socket) =>
				socket.on("error", () => {}).once("data", () => answer(socket)),
			)
			.on("tlsClientError", () => {});
}

function served(answer: RequestListener): () => Server {
	return () =>
		http.createServer((request, response) => request.resume().on("end", () => answer(request, response)));
}

/** Answers with a status and headers, each made when they are asked for. */
function answers(status: number, headers: () => Record<string, string> = () => ({})): () => Server {
	return served((_, response) => response.writeHead(status, headers()).end("no"));
}

function retryAfter(status: number, value: () => string): () => Server {
	return answers(status, () => ({ "retry-after": value() }));
}

function failsToResolve(code: string): () => Promise<never> {
	return () =>
		Promise.reject(Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: "getaddrinfo" }));
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const cut: Expected = { is: "reset" };
const noHttp: Expected = { is: "protocol" };
const late: Pick<BadReceiver, "expected" | "hangs"> = { expected: { is: "timeout" }, hangs: true };
const trusted = { url: secure, request: { tls: { ca: cert } } } satisfies Partial<BadReceiver>;

export const badReceivers: Readonly<Record<string, BadReceiver>> = {
	"hangs before the headers": { server: raw(() => {}), ...late },
	"hangs before the headers, over TLS": { server: overTls(() => {}), ...trusted, ...late },
	"sends its headers slowly": {
		server: raw((socket) => {
			socket.write(head);
			drip(socket, "x-a: b\r\n", () => {}, 20);
		}),
		...late,
	},
	"drips its body": {
		server: raw((socket) => {
			socket.write(chunked);
			drip(socket, "1\r\nx\r\n", () => {}, 20);
		}),
		...late,
	},
	"drips a compressed body": {
		server: raw((socket) => {
			socket.write(`${head}content-encoding: gzip\r\n\r\n`);
			socket.write(gzipSync("x").subarray(0, 12));
		}),
		...late,
	},
	"sends early hints without end": {
		server: raw((socket) => drip(socket, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n", () => {}, 5)),
		...late,
	},
	"never reads the request": {
		server: onConnection((socket) => {
			socket.pause();
			// What was not read hides the end of the connection.
			setTimeout(() => socket.resume(), 1_000).unref();
		}),
		request: { body: Buffer.alloc(16_777_216) },
		...late,
	},
	"answers 200 when it is too late": {
		server: served((request, response) => {
			request.socket.on("close", () => response.writeHead(200).end());
		}),
		...late,
	},
	"is silent where TLS is spoken": { server: raw(() => {}), url: secure, ...late },
	"has an address that is never found": {
		url: () => "http://hook.example:8080/",
		lookup: () => new Promise(() => {}),
		...late,
	},

	"resets the connection as it opens": {
		server: onConnection((socket) => socket.resetAndDestroy()),
		expected: cut,
	},
	"closes the connection as it opens": {
		server: onConnection((socket) => socket.resume().end()),
		expected: cut,
	},
	"closes without an answer": { server: raw((socket) => socket.end()), expected: cut },
	"resets within the headers": {
		server: raw((socket) => socket.write(`${head}content-le`, () => socket.resetAndDestroy())),
		expected: cut,
	},
	"resets within the body": {
		server: raw((socket) =>
			socket.write(`${head}content-length: 9\r\n\r\nfour`, () => socket.resetAndDestroy()),
		),
		expected: cut,
	},
	"closes within the body, over TLS": {
		server: overTls((socket) => socket.end(`${head}content-length: 9\r\n\r\nfour`)),
		...trusted,
		expected: cut,
	},
	"sends a body that is too short": {
		server: raw((socket) => socket.end(`${head}content-length: 9\r\n\r\nfour`)),
		expected: cut,
	},
	"breaks off a chunked body": {
		server: raw((socket) => socket.end(`${chunked}4\r\nfour\r\n`)),
		expected: cut,
	},
	"resets within the TLS handshake": {
		server: raw((socket) => socket.resetAndDestroy()),
		url: secure,
		expected: cut,
	},

	"sends 200 KB of headers": {
		server: raw((socket) => socket.write(`${head}${`x-filler: ${"x".repeat(1_000)}\r\n`.repeat(200)}\r\n`)),
		expected: noHttp,
	},
	"greets as an SSH server": {
		server: onConnection((socket) => socket.resume().write("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")),
		expected: noHttp,
	},
	"speaks HTTP/0.9": { server: raw((socket) => socket.end("<html>it works</html>")), expected: noHttp },
	"announces two lengths": {
		server: raw((socket) => socket.write(`${head}content-length: 4\r\ncontent-length: 5\r\n\r\nfour`)),
		expected: noHttp,
	},
	"announces a negative length": {
		server: raw((socket) => socket.write(`${head}content-length: -1\r\n\r\n`)),
		expected: noHttp,
	},
	"announces a length and chunks": {
		server: raw((socket) =>
			socket.write(`${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n`),
		),
		expected: noHttp,
	},
	"sends chunks of no size": {
		server: raw((socket) => socket.write(`${chunked}zz\r\nxx\r\n`)),
		expected: noHttp,
	},
	"sends a header that is none": {
		server: raw((socket) => socket.write(`${head}a\0b: c\r\n\r\n`)),
		expected: noHttp,
	},
	"switches protocols": {
		server: raw((socket) =>
			socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
		),
		expected: noHttp,
	},
	"says 100 to who did not ask": {
		server: raw((socket) => socket.write("HTTP/1.1 100 Continue\r\n\r\n")),
		expected: noHttp,
	},

	"has a certificate of its own": { server: overTls(() => {}), url: secure, expected: { is: "tls" } },
	"has a certificate for another name": {
		server: overTls(() => {}),
		url: (port) => `https://127.0.0.1:${port}/`,
		request: { tls: { ca: cert } },
		expected: { is: "tls" },
	},
	"speaks plain HTTP where TLS is spoken": {
		server: raw((socket) => socket.end(`${head}content-length: 0\r\n\r\n`)),
		url: secure,
		expected: { is: "tls" },
	},
	"speaks TLS where plain HTTP is spoken": { server: overTls(() => {}), expected: cut },

	"does not listen": { url: (closedPort) => `http://127.0.0.1:${closedPort}/`, expected: { is: "connect" } },
	"has a name that does not exist": {
		url: named,
		lookup: failsToResolve("ENOTFOUND"),
		expected: { is: "dns" },
	},
	"has a name server that is away": {
		url: named,
		lookup: failsToResolve("EAI_AGAIN"),
		expected: { is: "dns" },
	},
	"has a name without addresses": { url: named, lookup: async () => [], expected: { is: "dns" } },
	"has one private address among others": {
		url: named,
		lookup: async () => [
			{ address: "127.0.0.1", family: 4 },
			{ address: "10.0.0.1", family: 4 },
		],
		expected: { is: "refused", next: "dead" },
	},

	...Object.fromEntries(
		[500, 501, 502, 503, 504, 507, 599].map((status) => [
			`fails with ${status}`,
			{ server: answers(status), expected: { is: status } },
		]),
	),
	"answers with a status that HTTP does not know": {
		server: raw((socket) =>
			socket.write("HTTP/1.1 999 Whatever\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
		),
		expected: { is: 999 },
	},
	"is gone": { server: answers(410), expected: { is: 410, next: "dead", endpoint: "disable" } },
	"has no such path": { server: answers(404), expected: { is: 404 } },
	"asks to give the message up": {
		server: answers(422, () => ({ "webhook-delivery": "abort-message" })),
		expected: { is: 422, next: "dead" },
	},
	"asks for nothing more, and takes it": {
		server: answers(200, () => ({ "webhook-delivery": "disable" })),
		expected: { is: 200, next: "delivered", endpoint: "disable" },
	},
	"asks for two minutes": {
		server: retryAfter(429, () => "120"),
		expected: { is: 429, next: { retryInMs: [120_000, 120_000] }, endpoint: "pause" },
	},
	"asks for two hours, as a date": {
		server: retryAfter(503, () => new Date(Date.now() + 2 * hourMs).toUTCString()),
		expected: { is: 503, next: { retryInMs: [hourMs, 2 * hourMs] }, endpoint: "pause" },
	},
	"asks for a date that has passed": {
		server: retryAfter(503, () => new Date(Date.now() - hourMs).toUTCString()),
		expected: { is: 503 },
	},
	"asks for 10^9 seconds": {
		server: retryAfter(503, () => "1000000000"),
		expected: { is: 503, next: { retryInMs: [dayMs, dayMs] }, endpoint: "pause" },
	},
	"asks for less time than none": { server: retryAfter(429, () => "-5"), expected: { is: 429 } },
	"asks for a time that is none": { server: retryAfter(429, () => "a while"), expected: { is: 429 } },

	"sends a body without end": {
		server: raw((socket) => {
			socket.write(chunked);
			writeForever(socket, `1000\r\n${"x".repeat(4_096)}\r\n`);
		}),
		expected: { is: 200, next: "delivered", bodyLength: 16_384 },
	},
	"sends a gzip bomb": {
		server: raw((socket) => {
			socket.write(`${head}content-encoding: gzip\r\n\r\n`);
			socket.write(bomb);
		}),
		expected: { is: 200, next: "delivered", bodyLength: 16_384 },
	},
	"sends gzip that decompresses to nothing, without end": {
		server: raw((socket) => {
			socket.write(`${head}content-encoding: gzip\r\n\r\n`);
			socket.setDefaultEncoding("latin1");
			writeForever(socket, gzipSync("").toString("latin1").repeat(100));
		}),
		expected: { is: 200, next: "delivered", bodyLength: 0 },
	},
};
const bomb = gzipSync(Buffer.alloc(100_000_000));
