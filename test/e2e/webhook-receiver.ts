// A receiver in a process of its own: it verifies every request with the library of Standard Webhooks, fails as
// planned, and logs what it saw.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/**
 * What the receiver does with one attempt: it takes the message and says so; refuses it; hangs up before it has taken
 * it; or takes it, and the sender never learns, because the answer is an error or gets lost.
 */
export type Answer = "take" | "refuse" | "hang-up" | "take-and-fail" | "take-and-hang-up";

export interface LogEntry {
	readonly path: string;
	readonly id: string;
	readonly answer: Answer;
	/** Why the message is not genuine; absent for one that is. */
	readonly invalid?: string;
}

export type ToReceiver =
	| { readonly kind: "expect"; readonly secrets: Readonly<Record<string, string>> }
	| { readonly kind: "report" };

export type FromReceiver =
	| { readonly kind: "listening"; readonly port: number }
	| { readonly kind: "expecting" }
	| { readonly kind: "report"; readonly log: readonly LogEntry[] };

/** The body that the test sends: what to answer to the first attempts; every further one is taken. */
interface Message {
	readonly type: string;
	readonly data: { readonly plan: readonly Answer[] };
}

const log: LogEntry[] = [];
let secrets: Readonly<Record<string, string>> = {};

const server = http.createServer(async (request, response) => {
	const path = request.url as string;
	const id = request.headers["webhook-id"] as string;
	const text = Buffer.concat(await request.toArray()).toString("utf8");
	const attempt = log.filter((entry) => entry.path === path && entry.id === id).length;
	let answer: Answer = "refuse";
	try {
		const message = new Webhook(secrets[path] as string).verify(
			text,
			request.headers as Record<string, string>,
		);
		answer = (message as Message).data.plan[attempt] ?? "take";
		log.push({ path, id, answer });
	} catch (error) {
		log.push({ path, id, answer, invalid: String(error) });
	}
	if (answer.endsWith("hang-up")) request.socket.destroy();
	else response.writeHead(answer === "take" ? 204 : 503).end();
});
// No connection is closed under a sender that is about to use it again.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => {
	send({ kind: "listening", port: (server.address() as AddressInfo).port });
});

process.on("message", (message: ToReceiver) => {
	if (message.kind === "report") return send({ kind: "report", log });
	({ secrets } = message);
	send({ kind: "expecting" });
});
process.on("disconnect", () => process.exit(0));

function send(message: FromReceiver): void {
	process.send?.(message);
}
