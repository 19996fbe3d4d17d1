import { type CallhookErrorCode, isCallhookError } from "../errors.ts";
import { isTraceparent } from "../internal/traceparent.ts";
import { leaveAside, refuse, refuseMethod, refuseReadBody, refuseUnfinished } from "./answers.ts";
import { readBody } from "./body.ts";
import { readEncoding } from "./content.ts";
import { createDeadline } from "./deadline.ts";
import { createDedupe } from "./dedupe.ts";
import { answerChallenge, createConsent } from "./handshake.ts";
import { createIntake } from "./intake.ts";
import type { ReceivedEvent } from "./received-event.ts";
import { type ReceiverOptions, type ReceiverSettings, readReceiverOptions } from "./receiver-options.ts";

/** Takes webhooks in; made by {@link createReceiver}. */
export interface Receiver {
	/** Answers one request. A property, so that it can be handed on without its receiver. */
	readonly fetch: (request: Request) => Promise<Response>;
}

// What is the sender's to mend, or the moment's. Everything else that is thrown is this program's fault, and rejects.
const statusByCode: { readonly [Code in CallhookErrorCode]?: number } = {
	ERR_CALLHOOK_SIGNATURE_HEADER: 401,
	ERR_CALLHOOK_SIGNATURE_TIMESTAMP: 401,
	ERR_CALLHOOK_SIGNATURE_EXPIRED: 401,
	ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID: 401,
	ERR_CALLHOOK_SIGNATURE_MISMATCH: 401,
	ERR_CALLHOOK_BODY_TOO_LARGE: 413,
	ERR_CALLHOOK_INVALID_BODY: 400,
	ERR_CALLHOOK_CLOUDEVENTS_VERSION: 400,
	ERR_CALLHOOK_INVALID_EVENT_TYPE: 400,
	ERR_CALLHOOK_UNKNOWN_EVENT_TYPE: 400,
	ERR_CALLHOOK_INVALID_DATA: 400,
	ERR_CALLHOOK_CLOSED: 503,
	ERR_CALLHOOK_STORE_UNAVAILABLE: 503,
};

/**
 * Makes a receiver: it verifies a message, validates its events and emits them on a bus, under the id and the time they
 * were sent with. Messages are those of Standard Webhooks, also with CloudEvents inside, or those of a `preset`.
 *
 * It answers 202 once the store of the bus has the event, or 204 once `emit` returned where it has none: the data is valid and
 * the callbacks ran; handlers go on afterwards, unless `mode` is `inline`. Handshakes get their answer. Otherwise it answers
 * with `{ "error": code }`; `docs/how-to/receive-a-webhook.md` has the table. Senders retry most of these, on purpose: an
 * event this program does not know yet comes again once it does.
 *
 * `fetch` rejects only for faults of this program, such as an asynchronous schema, so that the framework's own error
 * handling sees them. One fault it answers, with status 500 and a message: a body somebody else has already read.
 *
 * A message can arrive more than once, with the same `event.id`: `dedupe` lets it run once.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET or ERR_CALLHOOK_INVALID_OPTION.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ secrets: ["whsec_…"], bus });
 * export default { fetch: receiver.fetch };
 * ```
 */
export function createReceiver(options: ReceiverOptions): Receiver {
	const settings = readReceiverOptions(options);
	const { preset, clock, toleranceSeconds, maxHops, mode } = settings;
	const source = preset.open({ toleranceSeconds, now: () => clock.now() });
	const consent = createConsent(settings.consent);
	const intake = createIntake(settings);
	const dedupe = createDedupe(settings.dedupe);

	async function receive(request: Request): Promise<Response> {
		const { headers } = request;
		const body = await readPacked(request, settings);
		if (body instanceof Response) return body;
		const message = await source.read(body, headers);
		if ("answer" in message) return message.answer;
		// In a batch it is an event like others, which must not be lost behind the answer.
		const [only, ...others] = message.events;
		const mayAnswer = others.length === 0 && source.isOpenToAll !== true;
		const challenge = only && mayAnswer && answerChallenge(only);
		if (challenge instanceof Response) return challenge;
		const hops = readHops(headers);
		if (hops > maxHops) return leaveAside("TOO_MANY_HOPS");
		const answer = await takeAll(
			message.events.map((event) => withTrace(event, headers)),
			hops + 1,
		);
		return message.isAnsweredEmpty === true && answer.ok ? new Response(null, { status: 200 }) : answer;
	}

	/** One after the other; the first that is not taken decides the answer, and the sender sends all of them again. */
	async function takeAll(events: readonly ReceivedEvent[], hops: number): Promise<Response> {
		let answer = new Response(null, { status: 204 });
		// Of the whole message, however many events it has: its sender does not wait longer for a batch.
		const endMs = mode === "inline" ? clock.now() + settings.inlineTimeoutMs : Number.POSITIVE_INFINITY;
		for (const event of events) {
			if (clock.now() >= endMs) return refuseUnfinished();
			({ answer } = await dedupe(event.id, () => intake(event, hops, endMs)));
			if (!answer.ok) break;
		}
		return answer;
	}

	return {
		async fetch(request) {
			const { method, headers } = request;
			if (method === "OPTIONS" && consent !== undefined) return consent(request);
			if (method !== "POST") return refuseMethod(consent && "POST, OPTIONS");
			if (!source.takes(headers)) return refuse(415, "UNSUPPORTED_MEDIA_TYPE");
			if (sizeOf(headers) > settings.maxHeaderBytes) return refuse(431, "HEADERS_TOO_LARGE");
			if (request.bodyUsed || request.body?.locked === true) return refuseReadBody(webFix);
			try {
				return await receive(request);
			} catch (error) {
				if (!isCallhookError(error)) throw error;
				const status = statusByCode[error.code];
				if (status === undefined) throw error;
				return refuse(status, error.code);
			}
		},
	};
}

const webFix =
	"Hand over the request before anything reads it, or a clone: in Hono receiver.fetch(c.req.raw) in front of c.req.json().";

/** The body, unpacked, or why it was not read. */
async function readPacked(
	request: Request,
	{ clock, maxBodyBytes, readTimeoutMs }: ReceiverSettings,
): Promise<Uint8Array | Response> {
	const encoding = readEncoding(request.headers);
	if (encoding === undefined) {
		return refuse(415, "UNSUPPORTED_CONTENT_ENCODING", { "accept-encoding": "gzip, deflate" });
	}
	const deadline = createDeadline(clock, readTimeoutMs);
	try {
		return await readBody(request, maxBodyBytes, { encoding, signal: deadline.signal });
	} catch (error) {
		if (deadline.signal.aborted) return refuse(408, "REQUEST_TIMEOUT");
		throw error;
	} finally {
		deadline.clear();
	}
}

function sizeOf(headers: Headers): number {
	let bytes = 0;
	// As they stand in the request: with ": " and the end of the line.
	headers.forEach((value, name) => {
		bytes += name.length + value.length + 4;
	});
	return bytes;
}

/** Over how many webhooks the event had come to the sender. Of several the most count; a text that is no number, as none. */
function readHops(headers: Headers): number {
	const texts = (headers.get("webhook-hops") ?? "").split(",").map((text) => text.trim());
	return Math.max(...texts.map((text) => (/^\d+$/u.test(text) ? Number(text) : 0)));
}

function withTrace(event: ReceivedEvent, headers: Headers): ReceivedEvent {
	const traceparent = headers.get("traceparent") ?? "";
	// A malformed one counts as none: https://www.w3.org/TR/trace-context/#processing-model-for-working-with-trace-context
	return isTraceparent(traceparent) ? { ...event, traceparent } : event;
}
