// The receiver's own process: a plain HTTP server. receiver.ts starts it and talks to it over IPC.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createReceiverInbox, type ReceiverInbox, type ReceiverReport } from "./receiver-inbox.ts";

/** What the receiver is asked; it answers each request with one reply, in order. */
export type ReceiverRequest =
	| { readonly kind: "open"; readonly secret: string; readonly refuseEvery: number }
	| { readonly kind: "report" };

/** What the receiver says: once that it listens, then one reply to each request. */
export type ReceiverReply =
	| { readonly kind: "listening"; readonly port: number }
	| { readonly kind: "opened" }
	| { readonly kind: "report"; readonly report: ReceiverReport };

const MAX_BODY_BYTES = 1_048_576;

let inbox: ReceiverInbox | undefined;

const server = createServer(answer);
// Longer than the pause before any retry: the server never closes a connection the sender wants to use again.
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
	reply({ kind: "listening", port: (server.address() as AddressInfo).port });
});

process.on("message", (request: ReceiverRequest) => {
	if (request.kind === "open") {
		inbox = createReceiverInbox(request.secret, request.refuseEvery);
		reply({ kind: "opened" });
	} else if (inbox !== undefined) {
		reply({ kind: "report", report: inbox.report() });
	}
});

// The parent has let go of this process, or is gone. However that came about, nothing is left behind.
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole group of processes: stay until the parent has drained.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
	try {
		const body = await readBody(request);
		response.statusCode = inbox?.receive(body, request.headers) ?? 503;
		response.end();
	} catch {
		response.destroy();
	}
}

async function readBody(request: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of request as AsyncIterable<Buffer>) {
		size += chunk.length;
		if (size > MAX_BODY_BYTES) throw new Error(`The body is larger than ${MAX_BODY_BYTES} bytes.`);
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString("utf8");
}

function reply(message: ReceiverReply): void {
	process.send?.(message);
}
