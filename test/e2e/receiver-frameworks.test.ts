import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { createBus } from "callhook";
import { createReceiver, toFastifyPlugin, toKoaMiddleware, toNodeHandler } from "callhook/receiver";
import express from "express";
import fastify from "fastify";
import Koa from "koa";
import bodyParser from "koa-bodyparser";
import { describe, expect, onTestFinished, test } from "vitest";
import { secret, signedRequest, standingClock } from "../support/signed-request.ts";

const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: { note: "é".repeat(500) } };
const text = JSON.stringify(event);

function setup() {
	const bus = createBus();
	const received: unknown[] = [];
	bus.on("**", (data, { id }) => received.push([id, data]));
	const receiver = createReceiver({ secrets: secret, bus, clock: standingClock, maxBodyBytes: 10_000 });
	return { receiver, received };
}

type Setup = ReturnType<typeof setup>;

async function serve(listener: http.RequestListener): Promise<number> {
	const server = http.createServer(listener).listen(0, "127.0.0.1");
	await once(server, "listening");
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

const servers: Readonly<Record<string, (setup: Setup, isParsed: boolean) => Promise<number>>> = {
	"node:http": ({ receiver }) => serve(toNodeHandler(receiver)),
	express({ receiver }, isParsed) {
		const app = express();
		if (isParsed) app.use(express.json());
		app.post("/hooks", toNodeHandler(receiver));
		return serve(app);
	},
	"express behind express.raw()": ({ receiver }) => {
		const app = express();
		app.post("/hooks", express.raw({ type: "*/*" }), toNodeHandler(receiver));
		return serve(app);
	},
	async fastify({ receiver }, isParsed) {
		const app = fastify();
		onTestFinished(() => app.close());
		if (isParsed) {
			const handle = toNodeHandler(receiver);
			app.post("/hooks", (request, reply) => {
				reply.hijack();
				handle(request.raw, reply.raw);
			});
		} else {
			app.register(toFastifyPlugin(receiver), { prefix: "/hooks" });
		}
		// The parser of the rest of the application still parses.
		app.post("/other", (request) => request.body);
		await app.listen({ host: "127.0.0.1", port: 0 });
		return (app.server.address() as AddressInfo).port;
	},
	koa({ receiver }, isParsed) {
		const app = new Koa();
		if (isParsed) app.use(bodyParser());
		app.use(toKoaMiddleware(receiver));
		return serve(app.callback());
	},
};

async function send(port: number, request: Request) {
	const body = request.method === "OPTIONS" ? null : new Uint8Array(await request.arrayBuffer());
	const response = await fetch(`http://127.0.0.1:${port}/hooks`, {
		...{ method: request.method, headers: request.headers, body },
		signal: AbortSignal.timeout(20_000),
	});
	const answered = await response.text();
	return { status: response.status, json: answered === "" ? undefined : (JSON.parse(answered) as unknown) };
}

describe.each(Object.entries(servers))("%s", (_, start) => {
	test("a signed event, plain and packed, is taken", async () => {
		const given = setup();
		const port = await start(given, false);
		expect(await send(port, signedRequest(event))).toEqual({ status: 204, json: undefined });
		const packed = { sent: gzipSync(text), headers: { "content-encoding": "gzip" }, id: "msg_2" };
		expect(await send(port, signedRequest(event, packed))).toEqual({ status: 204, json: undefined });
		expect(given.received).toEqual([
			["msg_1", event.data],
			["msg_2", event.data],
		]);
	});

	test("what is not is refused", async () => {
		const given = setup();
		const port = await start(given, false);
		const forged = signedRequest(event, { headers: { "webhook-id": "msg_2" } });
		expect(await send(port, forged)).toEqual({
			...{ status: 401, json: { error: "ERR_CALLHOOK_SIGNATURE_MISMATCH" } },
		});
		const large = signedRequest({ ...event, data: "x".repeat(20_000) });
		expect(await send(port, large)).toEqual({ status: 413, json: { error: "ERR_CALLHOOK_BODY_TOO_LARGE" } });
		const typed = signedRequest(event, { headers: { "content-type": "text/plain" } });
		expect(await send(port, typed)).toEqual({ status: 415, json: { error: "UNSUPPORTED_MEDIA_TYPE" } });
		expect(given.received).toEqual([]);
	});
});

test.each([
	["express", /Express: .*express\.json\(\).*express\.raw/],
	["fastify", /in Fastify register toFastifyPlugin/],
	["koa", /Koa: .*koa-bodyparser/],
])(
	"%s: a body that its parser has read is answered with what to do, not with a wrong signature",
	async (name, fix) => {
		const given = setup();
		const port = await (servers[name] as (typeof servers)[string])(given, true);
		expect(await send(port, signedRequest(event))).toEqual({
			status: 500,
			json: { error: "ERR_CALLHOOK_INVALID_BODY", message: expect.stringMatching(fix) },
		});
		expect(given.received).toEqual([]);
	},
);

test("fastify: the parsers outside the plugin are left as they are", async () => {
	const port = await (servers.fastify as (typeof servers)[string])(setup(), false);
	const headers = { "content-type": "application/json" };
	const response = await fetch(`http://127.0.0.1:${port}/other`, { method: "POST", headers, body: text });
	expect(await response.json()).toEqual(event);
});

test("web standard fetch, as Hono hands it over, and a request that was read before", async () => {
	const { receiver, received } = setup();
	const app = { fetch: (raw: Request) => receiver.fetch(raw) };
	expect((await app.fetch(signedRequest(event))).status).toBe(204);
	const read = signedRequest(event);
	await read.clone().json();
	expect((await app.fetch(read)).status).toBe(204);
	await (read.bodyUsed ? undefined : read.text());
	const again = await app.fetch(read);
	expect([again.status, await again.json()]).toEqual([
		500,
		{ error: "ERR_CALLHOOK_INVALID_BODY", message: expect.stringContaining("c.req.raw") },
	]);
	expect(received).toHaveLength(2);
});
