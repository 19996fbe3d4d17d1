import type http from "node:http";
import https from "node:https";
import type { TLSSocket } from "node:tls";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { listen } from "../../test/support/listener.ts";
import {
	codeOf,
	drip,
	post,
	responseOf,
	serve,
	serveRaw,
	setupSender,
	timeoutMs,
} from "../../test/support/sender.ts";
import { createDeferred } from "../internal/deferred.ts";

describe("send() - a compressed response", () => {
	test("is decompressed", async () => {
		const { sender, url } = await serve((_, response) => {
			response.writeHead(422, { "content-encoding": "gzip" }).end(gzipSync("no such order"));
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 422, body: "no such order" });
	});

	test("that is a bomb ends as soon as enough is there", async () => {
		const bomb = gzipSync(Buffer.alloc(50_000_000));
		const { sender, url, listener } = await serve((_, response) => {
			// It never ends.
			response.writeHead(200, { "content-encoding": "gzip" }).write(bomb);
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "\0".repeat(16_384) });
		await listener.quiet();
	});

	test("that decompresses to nothing, and does not end, ends with the deadline or its bytes", async () => {
		const nothing = gzipSync("").toString("latin1");
		const { sender, url, listener } = await serveRaw((socket) => {
			socket.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n");
			socket.setDefaultEncoding("latin1");
			drip(socket, nothing.repeat(200), () => {});
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "" });
		await listener.quiet();
		const reached = createDeferred<void>();
		const slow = await serveRaw((socket) => {
			socket.write("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n");
			socket.write(gzipSync("x").subarray(0, 12), () => reached.resolve());
		});
		const sending = slow.sender.send(post(slow.url));
		await reached.promise;
		await slow.clock.advance(timeoutMs);
		expect(codeOf(await sending)).toBe("ERR_CALLHOOK_TIMEOUT");
		await slow.listener.quiet();
	});

	test("in a coding that is not known is not kept as noise, but counts", async () => {
		const { sender, url } = await serve((_, response) => {
			response.writeHead(200, { "content-encoding": "zstd" }).end(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
		});
		expect(responseOf(await sender.send(post(url)))).toEqual({ status: 200, body: "" });
	});
});

describe("send() - compress", () => {
	test("sends fewer bytes that decompress to the body, and says so", async () => {
		const received = createDeferred<[http.IncomingHttpHeaders, Buffer]>();
		const { sender, url } = await serve((request, response) => {
			void request.toArray().then((chunks: Buffer[]) => {
				received.resolve([request.headers, Buffer.concat(chunks)]);
				response.end();
			});
		});
		const body = Buffer.from(JSON.stringify({ data: "é".repeat(5_000) }));
		await sender.send(post(url, { body, compress: "gzip", headers: { "content-type": "application/json" } }));
		const [headers, bytes] = await received.promise;
		expect(headers).toMatchObject({ "content-encoding": "gzip", "content-length": String(bytes.length) });
		expect(bytes.length).toBeLessThan(200);
		expect(gunzipSync(bytes)).toEqual(body);
	});
});

describe("send() - tls", () => {
	/** A server that asks for a client certificate and tells whose it got. */
	async function serveTls() {
		const names: unknown[] = [];
		const server = https.createServer(
			{ key, cert, ca: cert, requestCert: true, rejectUnauthorized: false },
			({ socket }, response) => {
				names.push((socket as TLSSocket).getPeerCertificate().subject?.CN);
				response.end("ok");
			},
		);
		const listener = await listen(server);
		const lookup = async () => [{ address: "127.0.0.1", family: 4 }] as const;
		const { clock, sender } = setupSender({ lookup }, [listener]);
		return { clock, sender, names, listener, url: `https://hook.example:${listener.port}/` };
	}

	test("takes an authority of its own, and shows a certificate where it has one", async () => {
		const { clock, sender, names, listener, url } = await serveTls();
		expect(codeOf(await sender.send(post(url)))).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
		for (const tls of [{ ca: cert }, { ca: cert, cert, key }, { ca: cert }, { ca: cert, cert, key }]) {
			expect(responseOf(await sender.send(post(url, { tls })))).toEqual({ status: 200, body: "ok" });
			await clock.advance(0);
		}
		// No connection is shared with who has other material, and each is used again by who has the same.
		expect(names).toEqual([undefined, "hook.example", undefined, "hook.example"]);
		expect(await listener.connections()).toBe(3);
	});

	test("that cannot be read fails the attempt, and tells nothing of it", async () => {
		const { sender, url } = await serveTls();
		for (const tls of [{ cert: "s3cret" }, { key: "s3cret" }, { ca: cert, cert: key, key: cert }]) {
			const result = await sender.send(post(url, { tls }));
			expect(codeOf(result)).toMatch(/^ERR_OSSL_/);
			if (result.kind === "error") expect(String(result.error)).not.toContain("s3cret");
		}
	});
});

describe("createSender() - after close()", () => {
	test("no connection is made with other material either", async () => {
		const { sender, listener, url } = await serve((_, response) => response.end());
		await sender.close();
		for (const tls of [undefined, { ca: cert }]) {
			expect(codeOf(await sender.send(post(url, { tls })))).toBe("UND_ERR_DESTROYED");
		}
		expect(await listener.connections()).toBe(0);
	});

	test("nothing waits for a decoder", async () => {
		const { sender, url, listener } = await serve((_, response) => {
			response.writeHead(200, { "content-encoding": "gzip" }).write(gzipSync("x").subarray(0, 12));
		});
		const sending = sender.send(post(url));
		await listener.connections();
		await sender.close();
		expect(codeOf(await sending)).toBe("UND_ERR_DESTROYED");
		await listener.quiet();
	});
});
