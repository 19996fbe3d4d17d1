import { type CallhookErrorCode, isCallhookError } from "../errors.ts";
import type { Catalog } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import { isTraceparent } from "../internal/traceparent.ts";
// The door for verifying; the index is the one for signing, and loads node:crypto.
import { createVerifier } from "../signature/verify.ts";
import { refuse, refuseMethod, refuseReadBody } from "./answers.ts";
import { readBody } from "./body.ts";
import { parseReceivedEvent } from "./received-event.ts";

/** Where received events go: a bus. */
export interface EventSink {
	emit(
		type: string,
		data: unknown,
		options: { readonly id: string; readonly time: string; readonly traceparent?: string },
	): unknown;
}

/** Options of {@link createReceiver}. */
export interface ReceiverOptions {
	/** One secret, or several while one replaces another: a message signed with any of them passes. */
	readonly secrets: string | readonly string[];
	/** Emits what arrives. Its own catalog, if it has one, validates and converts the data. */
	readonly bus: EventSink;
	/**
	 * The only types that may come in, and their schemas. Default: whatever the bus takes. It is a gate: the bus still
	 * gets the data as received, so that a schema which converts is not applied twice.
	 */
	readonly events?: Catalog | undefined;
	/** How old, or how far ahead, a message may be; exactly as much still passes. Default: 300. */
	readonly toleranceSeconds?: number | undefined;
	/** Default: 1,048,576 (1 MiB). */
	readonly maxBodyBytes?: number | undefined;
	/** Default: the machine's clock. */
	readonly clock?: Pick<Clock, "now"> | undefined;
}

/** Takes webhooks in; made by {@link createReceiver}. */
export interface Receiver {
	/** Answers one request. A property, so that it can be handed on without its receiver. */
	readonly fetch: (request: Request) => Promise<Response>;
}

// What is the sender's to mend. Everything else that is thrown is this program's fault, and rejects.
const statusByCode: { readonly [Code in CallhookErrorCode]?: number } = {
	ERR_CALLHOOK_SIGNATURE_HEADER: 401,
	ERR_CALLHOOK_SIGNATURE_TIMESTAMP: 401,
	ERR_CALLHOOK_SIGNATURE_EXPIRED: 401,
	ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID: 401,
	ERR_CALLHOOK_SIGNATURE_MISMATCH: 401,
	ERR_CALLHOOK_BODY_TOO_LARGE: 413,
	ERR_CALLHOOK_INVALID_BODY: 400,
	ERR_CALLHOOK_INVALID_EVENT_TYPE: 400,
	ERR_CALLHOOK_UNKNOWN_EVENT_TYPE: 400,
	ERR_CALLHOOK_INVALID_DATA: 400,
	ERR_CALLHOOK_CLOSED: 503,
};

/**
 * Makes a receiver: it verifies a Standard Webhooks message, validates its event and emits it on a bus, under the id
 * and the time it was sent with.
 *
 * It answers 204 once `emit` returned: the data is valid and the callbacks ran; handlers go on afterwards. Otherwise
 * it answers with `{ "error": code }`: 400 for a body that is not `{ type, timestamp, data }`, an unknown type or
 * invalid data, 401 for a signature, 405, 413 and 415 for method, size and content type, 503 when the bus is closed.
 * Senders retry all of these, on purpose: an event this program does not know yet comes again once it does.
 *
 * `fetch` rejects only for faults of this program, such as an asynchronous schema, so that the framework's own error
 * handling sees them. One fault it answers, with status 500 and a message: a body somebody else has already read.
 *
 * A message can arrive more than once. Its `event.id` stays the same.
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
	checkOptions("options", options, ["secrets", "bus", "events", "toleranceSeconds", "maxBodyBytes", "clock"]);
	const { secrets, bus, events, toleranceSeconds, maxBodyBytes = 1_048_576, clock } = options;
	checkMethod("bus", bus, "emit");
	if (events !== undefined) checkMethod("events", events, "parse");
	if (clock !== undefined) checkMethod("clock", clock, "now");
	checkNumber("maxBodyBytes", maxBodyBytes, { min: 1 });
	const verify = createVerifier({ secrets, toleranceSeconds, now: clock && (() => clock.now()) });

	async function receive(request: Request): Promise<void> {
		const message = await verify(await readBody(request, maxBodyBytes), request.headers);
		const { type, timestamp, data } = parseReceivedEvent(message.body);
		events?.parse(type, data);
		// A sink of the user's own may be asynchronous; what it could not take must not be answered with 204.
		const origin = { id: message.id, time: timestamp };
		const traceparent = request.headers.get("traceparent") ?? "";
		// A malformed one counts as none: https://www.w3.org/TR/trace-context/#processing-model-for-working-with-trace-context
		await bus.emit(type, data, isTraceparent(traceparent) ? { ...origin, traceparent } : origin);
	}

	return {
		async fetch(request) {
			if (request.method !== "POST") return refuseMethod();
			if (!isJson(request.headers.get("content-type"))) return refuse(415, "UNSUPPORTED_MEDIA_TYPE");
			if (request.bodyUsed || request.body?.locked === true) return refuseReadBody();
			try {
				await receive(request);
			} catch (error) {
				if (!isCallhookError(error)) throw error;
				const status = statusByCode[error.code];
				if (status === undefined) throw error;
				return refuse(status, error.code);
			}
			return new Response(null, { status: 204 });
		},
	};
}

// Parameters do not matter: JSON has no charset of its own, and bytes that are not UTF-8 are refused when read.
function isJson(contentType: string | null): boolean {
	return contentType?.split(";")[0]?.trim().toLowerCase() === "application/json";
}

function checkMethod(option: string, value: unknown, method: string): void {
	if (typeof (value as Record<string, unknown> | null | undefined)?.[method] === "function") return;
	throw invalidOption(option, `an object with a method ${method}()`, value);
}
