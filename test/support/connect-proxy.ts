import http, { type IncomingHttpHeaders } from "node:http";
import https from "node:https";
import net, { type Socket } from "node:net";
import { cert, key } from "./certificate.ts";
import { type Listener, listen } from "./listener.ts";

/** A CONNECT as the proxy got it. */
export interface ConnectRequest {
	readonly authority: string;
	readonly headers: IncomingHttpHeaders;
}

export interface ConnectProxy extends Listener {
	/** Every CONNECT, in order. */
	readonly requests: ConnectRequest[];
}

/**
 * A small HTTP proxy on loopback that connects to 127.0.0.1 whatever the name, as if it resolved to there. `answer` gives
 * another status, or does something else with the client's socket.
 */
export async function startConnectProxy({
	answer,
	isTls = false,
}: {
	answer?: (request: ConnectRequest, socket: Socket) => number | undefined;
	isTls?: boolean;
} = {}): Promise<ConnectProxy> {
	const requests: ConnectRequest[] = [];
	const server = isTls ? https.createServer({ key, cert }) : http.createServer();
	server.on("connect", ({ url = "", headers }, socket: Socket, head: Buffer) => {
		socket.on("error", () => {});
		const request = { authority: url, headers };
		requests.push(request);
		const status = answer === undefined ? 200 : answer(request, socket);
		if (status === undefined) {
			// It is half open: the client's end must be seen.
			socket.resume().on("end", () => socket.destroy());
			return;
		}
		if (status !== 200) {
			socket.end(`HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic\r\ncontent-length: 2\r\n\r\nno`);
			return;
		}
		const upstream = net.connect(Number(url.split(":").at(-1)), "127.0.0.1", () => {
			socket.write("HTTP/1.1 200 Connected\r\n\r\n");
			upstream.write(head);
			upstream.pipe(socket).pipe(upstream);
		});
		upstream.on("error", () => socket.destroy());
		upstream.on("close", () => socket.destroy());
		socket.on("close", () => upstream.destroy());
	});
	return { ...(await listen(server)), requests };
}
