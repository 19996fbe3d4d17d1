import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { refuse, refuseMethod, refuseReadBody } from "./answers.ts";
import type { Receiver } from "./receiver.ts";

// What is still taken in of a body after it was refused. GitHub, the most generous sender, stops at 25 MB.
const discardBytes = 33_554_432;

/**
 * Makes a request listener for `node:http`, `node:http2`, Express and everything else built on them.
 *
 * It must get the request before anything parses the body: a request that a parser has consumed is answered with
 * status 500 and a message that says what to do. Raw bytes in `req.body`, as `express.raw()` leaves them, are taken. A body refused while it is still on its way closes the connection. When the
 * receiver rejects, the error goes to `console.error` and the answer is a bare 500.
 *
 * @example
 * ```ts
 * createServer(toNodeHandler(receiver)).listen(8080); // Express: app.post(path, …) before app.use(express.json())
 * ```
 */
export function toNodeHandler(
	receiver: Receiver,
): (req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse) => void {
	// What is used of those of HTTP/2 they have in common with the others.
	return (req, res) => answer(receiver, req as IncomingMessage, res as ServerResponse);
}

/** The same, where a framework may have put the body elsewhere and knows what to do about a parser. */
export function answer(
	receiver: Receiver,
	req: IncomingMessage,
	res: ServerResponse,
	given: GivenBody = {},
): void {
	respond(receiver, req, given)
		.then((response) => send(response, req, res))
		.catch((error: unknown) => {
			console.error("A webhook receiver failed:", error);
			return send(refuse(500, "INTERNAL_ERROR"), req, res);
		})
		.catch(() => res.destroy());
}

/** What became of the body before the receiver got the request. */
export interface GivenBody {
	/** What a parser made of it. */
	readonly body?: unknown;
	/** What to do about that parser. */
	readonly fix?: string;
}

async function respond(receiver: Receiver, req: IncomingMessage, given: GivenBody): Promise<Response> {
	const { body, fix } = { ...readGiven(req), ...given };
	// Decoding counts as reading: the stream then yields text, from which the bytes cannot be had back.
	const isDecoded = typeof req.readableEncoding === "string";
	const isRead = req.readableDidRead || req.readableEnded || isDecoded;
	if (isRead && !ArrayBuffer.isView(body)) return refuseReadBody(fix);
	// The one method that node:http lets through and a web Request does not.
	if (req.method === "TRACE") return refuseMethod();
	return receiver.fetch(toRequest(req, isRead ? (body as Uint8Array<ArrayBuffer>) : undefined));
}

const expressFix =
	'Express: mount this route in front of app.use(express.json()), or give it express.raw({ type: "*/*" }).';

/** What Express and its kind leave in the request; raw bytes are as good as the stream. */
function readGiven(req: IncomingMessage): GivenBody {
	const { body, rawBody, app } = req as {
		readonly body?: unknown;
		readonly rawBody?: unknown;
		readonly app?: unknown;
	};
	const bytes = ArrayBuffer.isView(rawBody) ? rawBody : body;
	return typeof app === "function" ? { body: bytes, fix: expressFix } : { body: bytes };
}

function toRequest(req: IncomingMessage, given: Uint8Array<ArrayBuffer> | undefined): Request {
	const { method = "GET", rawHeaders } = req;
	const headers = new Headers();
	// Not `req.headers`, which drops all but the first of some repeated headers.
	for (let i = 0; i < rawHeaders.length; i += 2) {
		const name = rawHeaders[i] as string;
		// HTTP/2 has the method and the path among them, as ":method" and ":path".
		if (!name.startsWith(":")) headers.append(name, rawHeaders[i + 1] as string);
	}
	// The host is whatever the sender claims, so the URL does not repeat it; "*" and absolute forms have no path.
	const url = `http://localhost${req.url?.startsWith("/") ? req.url : "/"}`;
	// Some parsers unpack the bytes that they leave; JSON begins with none of the first bytes of gzip and deflate.
	if (given !== undefined && given[0] !== 0x1f && given[0] !== 0x78) headers.delete("content-encoding");
	const body = method === "GET" || method === "HEAD" ? null : (given ?? readable(req));
	// TypeScript's DOM types do not know `duplex`, without which a streamed body is refused.
	return new Request(url, { method, headers, body, duplex: "half" } as RequestInit);
}

/** The body as a web stream that reads only what is asked for. */
function readable(req: IncomingMessage): ReadableStream<Uint8Array> {
	// The request's own iterator would destroy the socket when left early, and with it the way back for the answer.
	const chunks: AsyncIterator<Uint8Array> = req.iterator({ destroyOnReturn: false });
	return new ReadableStream<Uint8Array>(
		{
			async pull(controller) {
				const next = await chunks.next();
				if (next.done === true) controller.close();
				else controller.enqueue(next.value);
			},
			async cancel() {
				await chunks.return?.();
			},
		},
		{ highWaterMark: 0 },
	);
}

async function send(response: Response, req: IncomingMessage, res: ServerResponse): Promise<void> {
	const body = new Uint8Array(await response.arrayBuffer());
	// A framework's own timeout may have answered, or the client may have left.
	if (res.headersSent || res.destroyed) return;
	res.statusCode = response.status;
	// One by one: the responses of HTTP/2 have no setHeaders().
	response.headers.forEach((value, name) => void res.setHeader(name, value));
	if (req.complete || body.length === 0) res.end(body);
	else answerEarly(body, req, res);
}

/**
 * Answers while the body is still arriving, then closes; in HTTP/2, where a connection carries other requests, the stream. Closing at once would reset the connection, and a client
 * that is busy sending would never see the answer (RFC 9112 §9.6); so a bounded rest is read and thrown away first.
 * How long that may take is bounded by the server's `requestTimeout`.
 */
function answerEarly(body: Uint8Array, req: IncomingMessage, res: ServerResponse): void {
	if (req.httpVersionMajor < 2) res.setHeader("connection", "close");
	res.setHeader("content-length", body.length);
	// An answer to HEAD has no body that would take them along.
	res.flushHeaders();
	res.write(body);
	let rest = discardBytes;
	const finish = (): void => void res.end();
	req.on("data", (chunk: Uint8Array) => {
		rest -= chunk.length;
		if (rest < 0) finish();
	});
	req.once("end", finish).once("close", finish).resume();
}
