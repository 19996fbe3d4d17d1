import type { IncomingHttpHeaders } from "node:http";
import { Webhook } from "standardwebhooks";

/** What a receiver got. Each request is counted once as rejected, refused, verified or a duplicate. */
export interface ReceiverReport {
	readonly requests: number;
	/** Answered 401: the signature, the timestamp or a header was wrong. */
	readonly rejected: number;
	/** Answered 503 although the signature was right: the first attempt of every tenth message. */
	readonly refused: number;
	/** Answered 204: messages with a right signature, each counted once. */
	readonly verified: number;
	/** Answered 204 for a message that had been answered 204 before. */
	readonly duplicates: number;
	/** Different values of `webhook-id` among the requests with a right signature. */
	readonly messages: number;
	/** The verified messages by their event type. */
	readonly verifiedByType: Readonly<Record<string, number>>;
}

/** Where the webhooks arrive: verifies each one, decides the answer, keeps count. */
export interface ReceiverInbox {
	/** Returns the status to answer with. */
	receive(body: string, headers: IncomingHttpHeaders): 204 | 401 | 503;
	report(): ReceiverReport;
}

/** Creates an inbox that verifies with `standardwebhooks`, a package Callhook has no part in. */
export function createReceiverInbox(secret: string, refuseEvery: number): ReceiverInbox {
	const webhook = new Webhook(secret);
	/** Whether a message was answered 204, by its `webhook-id`: all that is kept of it. */
	const accepted = new Map<string, boolean>();
	const verifiedByType: Record<string, number> = {};
	const counts = { requests: 0, rejected: 0, refused: 0, verified: 0, duplicates: 0 };

	return {
		receive(body, headers) {
			counts.requests++;
			let message: { type: string };
			try {
				message = webhook.verify(body, headers as Record<string, string>) as { type: string };
			} catch {
				counts.rejected++;
				return 401;
			}
			// verify() has made sure that the header is there.
			const id = headers["webhook-id"] as string;
			const before = accepted.get(id);
			if (before === undefined && (accepted.size + 1) % refuseEvery === 0) {
				accepted.set(id, false);
				counts.refused++;
				return 503;
			}
			if (before === true) {
				counts.duplicates++;
				return 204;
			}
			accepted.set(id, true);
			counts.verified++;
			verifiedByType[message.type] = (verifiedByType[message.type] ?? 0) + 1;
			return 204;
		},
		report: () => ({ ...counts, messages: accepted.size, verifiedByType: { ...verifiedByType } }),
	};
}
