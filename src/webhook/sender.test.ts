import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import net, { type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { closedPort, listen, listenRawTcp } from "../../test/support/listener.ts";
import {
	codeOf,
	drip,
	post,
	responseOf,
	serve,
	serveRaw,
	setupSender,
	timeoutMs,
	writeForever,
} from "../../test/support/sender.ts";
import { watch } from "../../test/support/watch.ts";
import { createDeferred } from "../internal/deferred.ts";

describe("send() - the request", () => {
	test("arrives with exactly the bytes and headers that were given", async () => {
		const received = createDeferred<{ request: IncomingMessage; bytes: Promise<Buffer[]> }>();
		const { sender, url, listener } = await serve((request, response) => {
			received.resolve({ request, bytes: request.toArray() });
			request.on("end", () => response.writeHead(204).end());
		});
		const body = Buffer.from([0, 255, 34, 254, 10, 13, 0xc3, 0x28]);
		const headers = { "content-type": "application/json", "webhook-id": "evt_1", "user-agent": "callhook" };
		const result = await sender.send(post(`${url}hooks/%C3%A9?a=1&b=2#fragment`, { headers, body }));
		expect(responseOf(result)).toEqual({ status: 204, body: "" });
		const { request, bytes } = await received.promise;
		expect([request.method, request.url]).toEqual(["POST", "/hooks/%C3%A9?a=1&b=2"]);
		expect(Buffer.concat(await bytes)).toEqual(body);
		expect(request.rawHeaders).toEqual([
			...["host", `127.0.0.1:${listener.port}`, "connection", "keep-alive"],
			...Object.entries(headers).flat(),
			...["content-length", "8"],
		]);
	});

	test("goes over the connection of the one before", async () => {
		const { clock, sender, url, listener } = await serve((request, response) => {
			request.resume().on("end", () => response.end("kept"));
		});
		for (let i = 0; i < 3; i++) {
			expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "kept" });
			// A connection is free again a moment after its response.
			await clock.advance(0);
		}
		expect(await listener.connections()).toBe(1);
	});

	test("takes a new connection when the one before is older than five minutes", async () => {
		const { clock, sender, url, listener } = await serve((_, response) => response.end());
		for (const [advanceMs, connections] of [
			[0, 1],
			[299_999, 1],
			[1, 2],
		] as const) {
			await clock.advance(advanceMs);
			expect(responseOf(await sender.send(post(url))).status).toBe(200);
			await clock.advance(0);
			expect(await listener.connections(), `${advanceMs}`).toBe(connections);
		}
	});

	test("is not made when the guard refuses, and no connection either", async () => {
		const { sender, url, listener } = await serve((_, response) => response.end(), { allow: [] });
		expect(codeOf(await sender.send(post(url)))).toBe("ERR_CALLHOOK_URL_REFUSED");
		expect(await listener.connections()).toBe(0);
	});
});

describe("send() - the response", () => {
	test.for([301, 302, 303, 307, 308])("%i is not followed", async (status, { expect }) => {
		const target = await listen(http.createServer((_, response) => response.end("followed")));
		const location = `http://127.0.0.1:${target.port}/`;
		const { sender, url } = await serve((_, response) =>
			response.writeHead(status, { location }).end("moved"),
		);
		expect(responseOf(await sender.send(post(url)))).toEqual({ status, body: "moved" });
		expect(await target.connections()).toBe(0);
	});

	test("is the final one after early hints", async () => {
		const { sender, url } = await serveRaw((socket) => {
			socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-encoding: gzip\r\n\r\n");
			socket.write("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok");
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 202, body: "ok" });
	});

	test.for(["", "hello"])(
		"of 204 is complete without a body, though it tells of one: %j",
		async (body, { expect }) => {
			const { sender, url, listener } = await serveRaw((socket) => {
				socket.write(`HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n${body}`);
			});
			for (let i = 0; i < 2; i++)
				expect(responseOf(await sender.send(post(url)))).toEqual({ status: 204, body: "" });
			// What comes behind is nobody's answer.
			await listener.quiet();
		},
	);

	test("may have a status that HTTP does not know", async () => {
		const { sender, url } = await serveRaw((socket) => {
			socket.write("HTTP/1.1 999 Whatever\r\ncontent-length: 0\r\n\r\n");
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 999, body: "" });
	});

	test("is read as UTF-8, over the borders of its pieces", async () => {
		const { sender, url } = await serveRaw((socket) => {
			socket.setNoDelay(true);
			socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na");
			socket.write(Buffer.from([0xe2, 0x82]));
			// The second turn of the event loop comes after the one in which the sender reads.
			setImmediate(() => setImmediate(() => socket.write(Buffer.from([0xac]))));
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "a€" });
	});

	test("is kept up to 16 KiB, whole when it has less", async () => {
		const { sender, url } = await serve((request, response) =>
			response.end("x".repeat(Number(request.url?.slice(1)))),
		);
		for (const [length, kept] of [
			[16_383, 16_383],
			[16_384, 16_384],
			[16_385, 16_384],
			[100_000, 16_384],
		] as const) {
			const result = await sender.send(post(`${url}${length}`));
			expect(responseOf(result), String(length)).toEqual({ status: 200, body: "x".repeat(kept) });
		}
	});

	test.for([200, 500])("with status %i counts although its body never ends", async (status, { expect }) => {
		const { sender, url, listener } = await serveRaw((socket) => {
			socket.write(`HTTP/1.1 ${status} Endless\r\ntransfer-encoding: chunked\r\n\r\n`);
			writeForever(socket, `1000\r\n${"x".repeat(4_096)}\r\n`);
		});
		// The clock stands still, so this is no deadline; and the connection ends, so nobody goes on reading.
		expect(responseOf(await sender.send(post(url)))).toEqual({ status, body: "x".repeat(16_384) });
		await listener.quiet();
	});

	test("has headers with names in lower case, several of one name as one, and a last word", async () => {
		const { sender, url } = await serveRaw((socket) => {
			socket.write("HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\n");
			socket.write(
				"HTTP/1.1 503 No\r\nRetry-After: 5\r\nX-A: 1\r\nx-a: 2\r\n__proto__: x\r\ncontent-length: 0\r\n\r\n",
			);
		});
		const result = await sender.send(post(url));
		if (result.kind === "error") throw result.error;
		expect(Object.entries(result.headers)).toEqual([
			...[
				["retry-after", "5"],
				["x-a", "1, 2"],
				["__proto__", "x"],
				["content-length", "0"],
			],
		]);
	});
});

// Which of the two depends on whether the last bytes or the end are noticed first.
const cut = /^(ECONNRESET|UND_ERR_SOCKET)$/;
const head = "HTTP/1.1 200 OK\r\n";

/** What a broken receiver does, and the code it gets. */
const broken: Readonly<Record<string, readonly [code: RegExp, answer: (socket: Socket) => void]>> = {
	"closes without an answer": [cut, (socket) => socket.end()],
	"resets without an answer": [cut, (socket) => socket.resetAndDestroy()],
	"resets within the headers": [
		cut,
		(socket) => socket.write(`${head}content-le`, () => socket.resetAndDestroy()),
	],
	"resets within the body": [
		cut,
		(socket) => socket.write(`${head}content-length: 9\r\n\r\nfour`, () => socket.resetAndDestroy()),
	],
	"sends less than it announced": [cut, (socket) => socket.end(`${head}content-length: 9\r\n\r\nfour`)],
	"breaks off a chunked body": [
		cut,
		(socket) => socket.end(`${head}transfer-encoding: chunked\r\n\r\n4\r\nfour\r\n`),
	],
	"announces two lengths": [
		/^UND_ERR_RES_CONTENT_LENGTH_MISMATCH$/,
		(socket) => socket.write(`${head}content-length: 4\r\ncontent-length: 5\r\n\r\nfour`),
	],
	"speaks HTTP/0.9": [/^HTTPParserError$/, (socket) => socket.end("<html>it works</html>")],
	"speaks SSH": [/^HTTPParserError$/, (socket) => socket.write("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")],
	"sends headers without end": [
		/^UND_ERR_HEADERS_OVERFLOW$/,
		(socket) => {
			socket.write(head);
			writeForever(socket, `x-filler: ${"x".repeat(1_000)}\r\n`);
		},
	],
	"switches protocols": [
		/^UND_ERR_SOCKET$/,
		(socket) =>
			socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
	],
	"answers 100 to a request that did not ask": [
		/^UND_ERR_SOCKET$/,
		(socket) => socket.write("HTTP/1.1 100 Continue\r\n\r\n"),
	],
};

describe("send() - a receiver that", () => {
	test.for(Object.entries(broken))("%s", async ([, [code, answer]], { expect }) => {
		const { sender, url, listener } = await serveRaw(answer);
		expect(codeOf(await sender.send(post(url)))).toMatch(code);
		await listener.quiet();
		expect(await listener.connections()).toBe(1);
	});

	test("resets every connection before the request is read, and is not called again", async () => {
		let connections = 0;
		const server = net.createServer((socket) => {
			connections++;
			socket.resetAndDestroy();
		});
		const listener = await listen(server);
		const { clock, sender } = setupSender({}, [listener]);
		expect(codeOf(await sender.send(post(`http://127.0.0.1:${listener.port}/`)))).toMatch(cut);
		await clock.advance(timeoutMs);
		expect(connections).toBe(1);
	});

	test("has a certificate that nobody vouches for", async () => {
		let requests = 0;
		const listener = await listen(https.createServer({ key, cert }, () => requests++));
		const { sender } = setupSender({}, [listener]);
		expect(codeOf(await sender.send(post(`https://127.0.0.1:${listener.port}/`)))).toBe(
			"DEPTH_ZERO_SELF_SIGNED_CERT",
		);
		expect(requests).toBe(0);
	});

	test("is not there", async () => {
		const { sender } = setupSender();
		expect(codeOf(await sender.send(post(`http://127.0.0.1:${await closedPort()}/`)))).toBe("ECONNREFUSED");
	});

	test("has no address", async () => {
		for (const code of ["ENOTFOUND", "EAI_AGAIN"]) {
			const lookup = () => Promise.reject(Object.assign(new Error(`getaddrinfo ${code}`), { code }));
			const { sender } = setupSender({ lookup });
			expect(codeOf(await sender.send(post("http://hook.example/")))).toBe(code);
		}
		const { sender } = setupSender({ lookup: async () => [] });
		expect(codeOf(await sender.send(post("http://hook.example/")))).toBe("ENOTFOUND");
	});
});

/** What a slow receiver does; each calls `reached` once it keeps the sender waiting. */
const slow: Readonly<Record<string, (socket: Socket, reached: () => void) => void>> = {
	"before the headers": (_socket, reached) => reached(),
	"within the headers": (socket, reached) => socket.write(`${head}content-le`, reached),
	"within the body": (socket, reached) => socket.write(`${head}content-length: 9\r\n\r\nfour`, reached),
	"while the body drips": (socket, reached) => {
		socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
		drip(socket, "0".repeat(100), reached);
	},
	"while early hints go on and on": (socket, reached) => {
		drip(socket, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n", reached);
	},
};

describe("send() - the deadline", () => {
	test.for(Object.entries(slow))("ends a wait %s", async ([, stall], { expect }) => {
		const reached = createDeferred<void>();
		const { clock, sender, url, listener } = await serveRaw((socket) => stall(socket, reached.resolve));
		const sending = watch(sender.send(post(url)));
		await reached.promise;
		await clock.advance(timeoutMs - 1);
		expect(sending.isOver).toBe(false);
		await clock.advance(1);
		expect(sending.isOver).toBe(true);
		expect(await sending.promise).toMatchObject({
			kind: "error",
			error: { code: "ERR_CALLHOOK_TIMEOUT", details: { timeoutMs } },
		});
		await listener.quiet();
	});

	test("ends a request that is not read", async () => {
		const reached = createDeferred<Socket>();
		const { clock, sender, url } = await serveRaw((socket) => reached.resolve(socket.pause()));
		const body = Buffer.alloc(16_777_216);
		const sending = sender.send(post(url, { body }));
		const socket = await reached.promise;
		await clock.advance(timeoutMs);
		expect(codeOf(await sending)).toBe("ERR_CALLHOOK_TIMEOUT");
		await once(socket.resume(), "close");
		expect(socket.bytesRead).toBeLessThan(body.length);
	});

	test("ends a TLS handshake", async () => {
		const reached = createDeferred<void>();
		const { clock, sender, url } = await serveRaw(() => reached.resolve());
		const sending = sender.send(post(url.replace("http:", "https:")));
		await reached.promise;
		await clock.advance(timeoutMs);
		expect(codeOf(await sending)).toBe("ERR_CALLHOOK_TIMEOUT");
	});

	test("ends a lookup, and the request is not sent when its connection is there after all", async () => {
		const paths: (string | undefined)[] = [];
		const server = http.createServer((request, response) => {
			paths.push(request.url);
			response.end();
		});
		const listener = await listen(server);
		const answer = createDeferred<[{ address: string; family: 4 }]>();
		const { clock, sender } = setupSender({ lookup: () => answer.promise }, [listener]);
		const url = `http://hook.example:${listener.port}`;
		const late = sender.send(post(`${url}/late`));
		await clock.advance(timeoutMs);
		expect(codeOf(await late)).toBe("ERR_CALLHOOK_TIMEOUT");
		answer.resolve([{ address: "127.0.0.1", family: 4 }]);
		await once(server, "connection");
		expect(responseOf(await sender.send(post(`${url}/next`)))).toEqual({ status: 200, body: "" });
		expect(paths).toEqual(["/next"]);
	});

	test("is each request's own", async () => {
		const { clock, sender, url, listener } = await serveRaw(() => {});
		const short = watch(sender.send(post(url, { timeoutMs: 1_000 })));
		const long = watch(sender.send(post(url, { timeoutMs: 2_000 })));
		await clock.advance(1_000);
		expect([short.isOver, long.isOver]).toEqual([true, false]);
		await clock.advance(1_000);
		expect(long.isOver).toBe(true);
		await sender.close();
		await listener.quiet();
	});
});

describe("abort() and close()", () => {
	/** Requests that wait for an address, for a TLS handshake, for headers and for the rest of a body. */
	async function pending() {
		const answer = createDeferred<[{ address: string; family: 4 }]>();
		const reached = [createDeferred<void>(), createDeferred<void>(), createDeferred<void>()] as const;
		const listeners = [
			await listenRawTcp(() => reached[0].resolve()),
			await listenRawTcp(() => reached[1].resolve()),
			await listenRawTcp((socket) => {
				socket.write(`${head}content-length: 9\r\n\r\nfour`, () => reached[2].resolve());
			}),
		] as const;
		const [silent, mute, partial] = listeners;
		const { sender, clock } = setupSender({ lookup: () => answer.promise }, listeners);
		const urls = [
			`http://hook.example:${mute.port}/`,
			`https://127.0.0.1:${silent.port}/`,
			`http://127.0.0.1:${mute.port}/`,
			`http://127.0.0.1:${partial.port}/`,
		];
		const results = Promise.all(urls.map((url) => sender.send(post(url))));
		await Promise.all(reached.map(({ promise }) => promise));
		return { sender, clock, answer, results, silent, mute, partial };
	}

	test("abort() ends every request under way, and no other", async () => {
		const { sender, clock, results, mute, partial } = await pending();
		sender.abort();
		expect((await results).map(codeOf)).toEqual(Array(4).fill("ERR_CALLHOOK_STOPPED"));
		expect(clock.timers).toBe(0);
		await mute.quiet();
		await partial.quiet();
		const good = await listen(http.createServer((_, response) => response.end()));
		const url = `http://127.0.0.1:${good.port}/`;
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "" });
		sender.abort();
	});

	// Shorter than the ten seconds after which a connection that is being made gives up by itself.
	test("close() ends every request and connection, those being made included", {
		timeout: 5_000,
	}, async () => {
		const { sender, clock, answer, results, silent, mute, partial } = await pending();
		await sender.close();
		expect((await results).map(codeOf)).toEqual(Array(4).fill("UND_ERR_DESTROYED"));
		expect(clock.timers).toBe(0);
		for (const listener of [silent, mute, partial]) await listener.quiet();
		answer.resolve([{ address: "127.0.0.1", family: 4 }]);
		expect(await mute.connections()).toBe(1);
	});

	test("close() ends connections kept for later, and no request is made after it", async () => {
		const { sender, url, listener } = await serve((_, response) => response.end());
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "" });
		await sender.close();
		await sender.close();
		await listener.quiet();
		expect(codeOf(await sender.send(post(url)))).toBe("UND_ERR_DESTROYED");
		expect(await listener.connections()).toBe(1);
	});
});
