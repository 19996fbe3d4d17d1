import http, { type IncomingHttpHeaders } from "node:http";
import { Inbox } from "./inbox.ts";
import { type Listener, listen } from "./listener.ts";

/** A webhook as it came in. */
export interface ReceivedWebhook {
	readonly path: string;
	readonly headers: IncomingHttpHeaders;
	/** `webhook-id`. */
	readonly id: string;
	readonly text: string;
	/** The body as JSON. */
	readonly message: { readonly type: string; readonly timestamp: string; readonly data: unknown };
	answer(status: number, body?: string): void;
}

export interface HttpReceiver extends Listener {
	/** `http://127.0.0.1:port`, without a path. */
	readonly origin: string;
	readonly webhooks: Inbox<ReceivedWebhook>;
	/** How many requests wait for an answer, and how many did at most. */
	readonly open: number;
	readonly maxOpen: number;
}

/** A real HTTP server on loopback; what `decide` gives no status for waits for `answer`. */
export async function startReceiver(
	decide: (webhook: ReceivedWebhook) => number | undefined = () => undefined,
): Promise<HttpReceiver> {
	const webhooks = new Inbox<ReceivedWebhook>();
	let open = 0;
	let maxOpen = 0;
	const server = http.createServer((request, response) => {
		maxOpen = Math.max(maxOpen, ++open);
		response.on("close", () => open--);
		const chunks: Buffer[] = [];
		request.on("data", (chunk: Buffer) => chunks.push(chunk));
		request.on("end", () => {
			const text = Buffer.concat(chunks).toString("utf8");
			const webhook: ReceivedWebhook = {
				path: request.url as string,
				headers: request.headers,
				id: request.headers["webhook-id"] as string,
				text,
				message: JSON.parse(text) as ReceivedWebhook["message"],
				answer: (status, body = "") => void response.writeHead(status).end(body),
			};
			const status = decide(webhook);
			if (status !== undefined) webhook.answer(status);
			webhooks.push(webhook);
		});
	});
	// No connection is closed under a sender that is about to use it again.
	server.keepAliveTimeout = 0;
	const listener = await listen(server);
	return {
		...listener,
		origin: `http://127.0.0.1:${listener.port}`,
		webhooks,
		get open() {
			return open;
		},
		get maxOpen() {
			return maxOpen;
		},
	};
}
