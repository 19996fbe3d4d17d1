import { CallhookError } from "../errors.ts";

/** The body that Standard Webhooks recommends and Callhook sends. Other members are ignored: senders add their own. */
export interface ReceivedEvent {
	readonly type: string;
	/** When it happened, RFC 3339, as sent. */
	readonly timestamp: string;
	readonly data: unknown;
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** Reads the JSON object `{ type, timestamp, data }`. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseReceivedEvent(body: Uint8Array): ReceivedEvent {
	const { type, timestamp, data } = parseObject(body);
	if (typeof type !== "string" || type === "") throw invalidBody('"type" is not a non-empty string');
	if (typeof timestamp !== "string" || !rfc3339.test(timestamp) || Number.isNaN(Date.parse(timestamp))) {
		throw invalidBody('"timestamp" is not a date and time with an offset, as RFC 3339 has it');
	}
	if (data === undefined) throw invalidBody('"data" is missing');
	return { type, timestamp, data };
}

function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
	} catch (cause) {
		throw invalidBody("it is not JSON in UTF-8", { cause });
	}
	if (typeof value !== "object" || value === null || Array.isArray(value))
		throw invalidBody("it is not an object");
	return value as Record<string, unknown>;
}

function invalidBody(reason: string, options?: ErrorOptions): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_BODY",
		`The body must be the JSON object { type, timestamp, data }: ${reason}`,
		{ reason },
		options,
	);
}
