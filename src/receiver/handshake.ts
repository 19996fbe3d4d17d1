import { checkNumber, invalidOption } from "../internal/options.ts";
import { refuse, refuseMethod } from "./answers.ts";
import type { ReceivedEvent } from "./received-event.ts";

/** The type of the message with which a sender asks whether somebody reads webhooks here. */
const verificationType = "webhook.verification";
/** The type of a message that only tries the way. */
export const pingType = "webhook.ping";

/** Answers a verification: whoever can read the signed text gives it back. `undefined` for every other event. */
export function answerChallenge({ type, data }: ReceivedEvent): Response | undefined {
	if (type !== verificationType) return undefined;
	const { challenge } = (data ?? {}) as { readonly challenge?: unknown };
	if (typeof challenge !== "string" || challenge === "" || challenge.length > 4_096) {
		return refuse(400, "ERR_CALLHOOK_INVALID_BODY");
	}
	return Response.json({ challenge });
}

/** Who may send webhooks here, by the handshake of CloudEvents. */
export interface ConsentOptions {
	/**
	 * The senders that get the consent which CloudEvents asks for with OPTIONS: names as in `WebHook-Request-Origin`, or
	 * `"*"` for all. It is a courtesy to the sender, no protection: the signature is. Default: OPTIONS is refused with 405.
	 */
	readonly allowedOrigins?: readonly string[] | "*" | undefined;
	/** How many requests a minute that consent grants. Default: any number. */
	readonly allowedRate?: number | undefined;
}

/** Answers the OPTIONS of CloudEvents; `undefined` where no origin is allowed. */
export type Consent = ((request: Request) => Response) | undefined;

const allow = "POST, OPTIONS";

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection */
export function createConsent({ allowedOrigins, allowedRate }: ConsentOptions): Consent {
	checkNumber("allowedRate", allowedRate, { min: 1 });
	if (allowedOrigins === undefined) {
		if (allowedRate !== undefined)
			throw invalidOption("allowedRate", "left out without allowedOrigins", allowedRate);
		return undefined;
	}
	if (allowedOrigins !== "*" && !isListOfNames(allowedOrigins)) {
		throw invalidOption("allowedOrigins", 'a list of names, or "*"', allowedOrigins);
	}
	const names = allowedOrigins === "*" ? "*" : new Set(allowedOrigins.map((name) => name.toLowerCase()));
	return ({ headers }) => {
		const origin = headers.get("webhook-request-origin")?.trim() ?? "";
		// Not this handshake, such as the preflight of a browser.
		if (origin === "") return refuseMethod(allow);
		if (names !== "*" && !names.has(origin.toLowerCase()))
			return refuse(403, "ORIGIN_NOT_ALLOWED", { allow });
		return new Response(null, {
			status: 200,
			headers: {
				allow,
				"webhook-allowed-origin": names === "*" ? "*" : origin,
				"webhook-allowed-rate": String(allowedRate ?? "*"),
			},
		});
	};
}

function isListOfNames(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((name) => typeof name === "string" && name !== "");
}
