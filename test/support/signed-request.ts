import { Webhook } from "standardwebhooks";
import { systemClock } from "../../src/internal/clock.ts";

/** The secret of the signed requests, and the second at which they are signed. */
export const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const seconds = 1_614_265_330;
/** A clock that stands at that second, with real timers. */
export const standingClock = { ...systemClock, now: () => seconds * 1_000 };

export interface Signed {
	readonly id?: string;
	readonly headers?: Readonly<Record<string, string>>;
	/** What goes over the wire in place of the text that is signed. */
	readonly sent?: BodyInit;
}

/** The headers of a message that the reference library signs. */
export function signedHeaders(body: string, id = "msg_1"): Record<string, string> {
	return {
		"content-type": "application/json",
		"webhook-id": id,
		"webhook-timestamp": String(seconds),
		"webhook-signature": new Webhook(secret).sign(id, new Date(seconds * 1_000), body),
	};
}

/** A signed POST of a value as JSON, or of a text as it is. */
export function signedRequest(value: unknown, { id, headers, sent }: Signed = {}): Request {
	const body = typeof value === "string" ? value : JSON.stringify(value);
	return new Request("http://localhost/hooks", {
		...{ method: "POST", body: sent ?? body, duplex: "half" },
		headers: { ...signedHeaders(body, id), ...headers },
	} as RequestInit);
}
