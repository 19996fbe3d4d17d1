import { type EventEmitter, once } from "node:events";
import {
	Agent,
	type ClientRequest,
	createServer,
	type IncomingMessage,
	request,
	type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../internal/clock.ts";
import { createDeferred } from "../internal/deferred.ts";
import { toNodeHandler } from "./node-handler.ts";
import { createReceiver, type Receiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const seconds = 1_614_265_330;
const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: { orderId: "o_1" } };
const body = JSON.stringify(event);
const signed = {
	"content-type": "application/json",
	"webhook-id": "msg_1",
	"webhook-timestamp": String(seconds),
	"webhook-signature": new Webhook(secret).sign("msg_1", new Date(seconds * 1_000), body),
};

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

const metadata = { webhook: { hops: 1 } };

interface Setup {
	readonly options?: Partial<ReceiverOptions>;
	/** Stands in front of the handler, as a framework does. */
	readonly before?: (req: IncomingMessage, res: ServerResponse) => Promise<unknown>;
	readonly wrap?: (receiver: Receiver) => Receiver;
}

/** A real server on loopback, with signals for what happens inside it. */
async function setup({ options = {}, before, wrap = (receiver) => receiver }: Setup = {}) {
	const emit = vi.fn();
	const clock = { ...systemClock, now: () => seconds * 1_000 };
	const receiver = wrap(createReceiver({ secrets: secret, bus: { emit }, clock, ...options }));
	const called = createDeferred<{ readonly answer: Promise<Response> }>();
	const disconnected = createDeferred<void>();
	const recorded: Receiver = {
		fetch(given) {
			const answer = receiver.fetch(given);
			called.resolve({ answer });
			return answer;
		},
	};
	const handle = toNodeHandler(recorded);
	const listener: Handler = before
		? (req, res) => void before(req, res).then(() => handle(req, res))
		: handle;
	const server = createServer(listener).listen(0, "127.0.0.1");
	server.once("connection", (socket) => socket.once("close", () => disconnected.resolve()));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return { emit, port, called: called.promise, disconnected: disconnected.promise };
}

type SentHeaders = Readonly<Record<string, string | readonly string[]>>;

function open(port: number, headers: SentHeaders = signed, method = "POST", path = "/hooks"): ClientRequest {
	const copied = Object.entries(headers).map(([name, value]) => [
		name,
		typeof value === "string" ? value : [...value],
	]);
	return request({ host: "127.0.0.1", port, method, path, headers: Object.fromEntries(copied) });
}

async function answerTo(sent: ClientRequest) {
	const [response] = (await once(sent, "response")) as [IncomingMessage];
	const text = (await response.toArray()).join("");
	return {
		status: response.statusCode,
		headers: response.headers,
		json: text === "" ? undefined : JSON.parse(text),
	};
}

function send(port: number, headers?: SentHeaders, method?: string, path?: string) {
	const sent = open(port, headers, method, path);
	sent.end(method === undefined || method === "POST" ? body : undefined);
	return answerTo(sent);
}

/** Writes raw bytes, for what no client library would send; resolves with everything that came back. */
async function exchange(port: number, bytes: string): Promise<string> {
	const socket = connect(port, "127.0.0.1").setEncoding("latin1");
	socket.end(bytes, "latin1");
	return (await socket.toArray()).join("");
}

const rawHead = (length: number): string =>
	`POST / HTTP/1.1\r\nhost: a\r\n${Object.entries(signed)
		.map(([name, value]) => `${name}: ${value}\r\n`)
		.join("")}content-length: ${length}\r\n\r\n`;

describe("toNodeHandler() - accepts", () => {
	test("a signed request, and keeps the connection", async () => {
		const { emit, port } = await setup();
		const answer = await send(port);
		expect(answer).toMatchObject({ status: 204, json: undefined });
		expect(answer.headers.connection).toBe("keep-alive");
		expect(emit.mock.calls).toEqual([
			[event.type, event.data, { id: "msg_1", time: event.timestamp, metadata }],
		]);
	});

	test("a body in many pieces without a length", async () => {
		const { emit, port } = await setup();
		const sent = open(port);
		for (const character of body) sent.write(character);
		sent.end();
		expect((await answerTo(sent)).status).toBe(204);
		expect(emit).toHaveBeenCalledOnce();
	});

	test("an empty body, up to the receiver", async () => {
		const { port } = await setup();
		const sent = open(port, { ...signed, "content-length": "0" });
		sent.end();
		expect(await answerTo(sent)).toMatchObject({ status: 401 });
	});

	test("paths that are no URL on their own", async () => {
		const hosts: string[] = [];
		const wrap = (receiver: Receiver): Receiver => ({
			fetch(given) {
				hosts.push(new URL(given.url).host);
				return receiver.fetch(given);
			},
		});
		const { port } = await setup({ wrap });
		for (const path of ["//", "//a:b/", "/%", "http://other.test/hooks", "*"]) {
			expect((await send(port, signed, "POST", path)).status).toBe(204);
		}
		expect(new Set(hosts)).toEqual(new Set(["localhost"]));
	});

	test("what the receiver sees of the request", async () => {
		const seen: Request[] = [];
		const wrap = (receiver: Receiver): Receiver => ({
			fetch(given) {
				seen.push(given);
				return receiver.fetch(given);
			},
		});
		const { port } = await setup({ wrap });
		await send(port, { ...signed, "x-many": ["a", "b"] }, "POST", "/hooks?tenant=1");
		expect(new URL((seen[0] as Request).url)).toMatchObject({ pathname: "/hooks", search: "?tenant=1" });
		expect(seen[0]?.headers.get("x-many")).toBe("a, b");
	});
});

describe("toNodeHandler() - refuses", () => {
	test.each(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])("%s with 405", async (method) => {
		const { emit, port } = await setup();
		const answer = await send(port, {}, method);
		expect(answer).toMatchObject({ status: 405, headers: { allow: "POST" } });
		expect(emit).not.toHaveBeenCalled();
	});

	test.each(["webhook-id", "webhook-timestamp", "webhook-signature"] as const)(
		"a repeated %s",
		async (name) => {
			const { emit, port } = await setup();
			const answer = await send(port, { ...signed, [name]: [signed[name], signed[name]] });
			expect(answer).toMatchObject({ status: 401, json: { error: "ERR_CALLHOOK_SIGNATURE_HEADER" } });
			expect(emit).not.toHaveBeenCalled();
		},
	);

	test("a repeated content type, of which node:http would hide the second", async () => {
		const { port } = await setup();
		const raw = rawHead(body.length).replace(
			"\r\n\r\n",
			"\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n",
		);
		expect(await exchange(port, raw + body)).toMatch(/^HTTP\/1\.1 415 /);
	});

	test("bytes in a header that are not ASCII", async () => {
		const { port } = await setup();
		const raw = rawHead(body.length)
			.replace("msg_1", "msg_\xff")
			.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
		expect(await exchange(port, raw + body)).toMatch(
			/^HTTP\/1\.1 401 [\s\S]*"ERR_CALLHOOK_SIGNATURE_HEADER"/,
		);
	});

	test("a forged signature, and says no more than the code", async () => {
		const { port } = await setup();
		const answer = await send(port, { ...signed, "webhook-id": "msg_2" });
		expect(answer).toMatchObject({ status: 401, json: { error: "ERR_CALLHOOK_SIGNATURE_MISMATCH" } });
		expect(answer.json).toEqual({ error: "ERR_CALLHOOK_SIGNATURE_MISMATCH" });
	});
});

describe("toNodeHandler() - a body over the limit", () => {
	const tooLarge = {
		status: 413,
		json: { error: "ERR_CALLHOOK_BODY_TOO_LARGE" },
		headers: { connection: "close" },
	};

	test("in chunks without a length: the client gets its answer and the connection closes", async () => {
		const { emit, disconnected, port } = await setup({ options: { maxBodyBytes: 1_000 } });
		const sent = open(port);
		const closed = once(sent, "close");
		for (let i = 0; i < 8; i++) sent.write(Buffer.alloc(65_536, 0x20));
		expect(await answerTo(sent)).toMatchObject(tooLarge);
		sent.end();
		await closed;
		await disconnected;
		expect(emit).not.toHaveBeenCalled();
	});

	test("to a client that reads only when it has sent everything: the answer, and no reset", async () => {
		const { port } = await setup({ options: { maxBodyBytes: 1_000 } });
		// More than the sockets of both sides can hold.
		const size = 24_000_000;
		const chunked = rawHead(0).replace("content-length: 0", "transfer-encoding: chunked");
		const chunks = `${size.toString(16)}\r\n${" ".repeat(size)}\r\n0\r\n\r\n`;
		for (const bytes of [rawHead(size) + " ".repeat(size), chunked + chunks]) {
			const socket = connect(port, "127.0.0.1").pause();
			await new Promise((resolve) => socket.write(bytes, resolve));
			expect((await socket.toArray()).join("")).toMatch(/^HTTP\/1\.1 413 /);
		}
	});

	test("that has arrived in full: the connection still serves the next request", async () => {
		const { port } = await setup({ options: { maxBodyBytes: 1_000 } });
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		onTestFinished(() => agent.destroy());
		for (const [sentBody, status] of [
			[" ".repeat(60_000), 413],
			[body, 204],
		] as const) {
			const sent = request({ host: "127.0.0.1", port, method: "POST", headers: signed, agent });
			sent.setHeader("transfer-encoding", "chunked");
			sent.end(sentBody);
			expect((await answerTo(sent)).status).toBe(status);
		}
	});

	test("of a HEAD, which is not to have one: is answered before it comes", async () => {
		const { port } = await setup();
		const sent = open(port, { "content-length": "5" }, "HEAD");
		sent.flushHeaders();
		const [{ statusCode }] = (await once(sent, "response")) as [IncomingMessage];
		expect(statusCode).toBe(405);
		sent.destroy();
	});

	test("announced: is refused before it comes", async () => {
		const { port } = await setup({ options: { maxBodyBytes: 1_000 } });
		const sent = open(port, { ...signed, "content-length": "1001" });
		sent.flushHeaders();
		expect(await answerTo(sent)).toMatchObject(tooLarge);
		sent.destroy();
	});

	test("without end: is cut off, after a bounded amount", async () => {
		const { port } = await setup({ options: { maxBodyBytes: 1_000 } });
		const socket = connect(port, "127.0.0.1");
		socket.on("error", () => {});
		socket.write(rawHead(1e12));
		await flood(socket);
		expect(socket.bytesWritten).toBeLessThan(128 * 1_048_576);
	});
});

/** Unlike `once` of node:events, does not mind an error. */
function happened(emitter: EventEmitter, name: string): Promise<unknown> {
	return new Promise((resolve) => emitter.once(name, resolve));
}

/** Writes for as long as the other side lets it. */
async function flood(socket: Socket): Promise<void> {
	const chunk = Buffer.alloc(65_536, 0x20);
	const closed = happened(socket, "close");
	socket.resume();
	while (!socket.destroyed) {
		if (!socket.write(chunk)) await Promise.race([closed, happened(socket, "drain")]);
	}
}

describe("toNodeHandler() - a body that somebody read before", () => {
	const readBody = { error: "ERR_CALLHOOK_INVALID_BODY", message: expect.stringContaining("JSON parser") };

	test.each<[string, NonNullable<Setup["before"]>]>([
		["to its end, as body parsers do", (req) => req.toArray()],
		["in part", (req) => once(req, "data").then(() => req.pause())],
		["into text", async (req) => req.setEncoding("utf8")],
	])("%s: says so", async (_, before) => {
		const { emit, port } = await setup({ before });
		expect(await send(port)).toMatchObject({ status: 500, json: readBody });
		expect(emit).not.toHaveBeenCalled();
	});

	test("though it was empty: says so", async () => {
		const { port } = await setup({ before: (req) => req.toArray() });
		const sent = open(port, { ...signed, "content-length": "0" });
		sent.end();
		expect(await answerTo(sent)).toMatchObject({ status: 500, json: readBody });
	});
});

describe("toNodeHandler() - a client that leaves", () => {
	test("in the middle of the body: the receiver comes to an end, and the server goes on", async () => {
		const { called, emit, port } = await setup();
		const socket = connect(port, "127.0.0.1");
		socket.write(rawHead(body.length) + body.slice(0, 10));
		const { answer } = await called;
		socket.destroy();
		expect((await answer).status).toBe(400);
		expect((await send(port)).status).toBe(204);
		expect(emit).toHaveBeenCalledOnce();
	});

	test("before the handler gets the request: the same", async () => {
		const { called, port } = await setup({ before: (req) => happened(req, "close") });
		const socket = connect(port, "127.0.0.1");
		socket.write(rawHead(body.length), () => socket.destroy());
		const { answer } = await called;
		expect((await answer).status).toBe(400);
	});

	test("while the receiver works: its answer is dropped", async () => {
		const report = vi.spyOn(console, "error");
		onTestFinished(() => report.mockRestore());
		const { promise, resolve } = createDeferred<Response>();
		const { called, disconnected, port } = await setup({ wrap: () => ({ fetch: () => promise }) });
		const socket = connect(port, "127.0.0.1");
		socket.write(rawHead(body.length) + body);
		await called;
		socket.destroy();
		await disconnected;
		resolve(new Response("late"));
		await new Promise(setImmediate);
		expect(report).not.toHaveBeenCalled();
	});
});

describe("toNodeHandler() - a receiver that fails", () => {
	test.each<[string, Receiver["fetch"]]>([
		["by rejecting", () => Promise.reject(new Error("private"))],
		[
			"with an answer that cannot be read",
			() =>
				Promise.resolve(
					Object.assign(new Response(), { arrayBuffer: () => Promise.reject(new Error("private")) }),
				),
		],
	])("%s: bare 500, and the error goes to the console", async (_, fetch) => {
		const report = vi.spyOn(console, "error").mockReturnValue();
		onTestFinished(() => report.mockRestore());
		const { port } = await setup({ wrap: () => ({ fetch }) });
		const answer = await send(port);
		expect(answer).toMatchObject({ status: 500, json: { error: "INTERNAL_ERROR" } });
		expect(JSON.stringify(answer)).not.toContain("private");
		expect(report).toHaveBeenCalledExactlyOnceWith(expect.any(String), new Error("private"));
	});

	test("after the framework has answered: leaves that answer alone", async () => {
		const before = async (_: IncomingMessage, res: ServerResponse): Promise<void> =>
			void res.writeHead(202).end();
		const { port } = await setup({ before });
		expect((await send(port)).status).toBe(202);
	});
});
