import { parseTime } from "../internal/iso-time.ts";
import { invalidBody, parseObject } from "./content.ts";

/** An event as it came in, whatever it was written in. */
export interface ReceivedEvent {
	/** The same in every attempt to deliver it. */
	readonly id: string;
	readonly type: string;
	/** When it happened, RFC 3339, as sent. */
	readonly time: string;
	readonly data: unknown;
	/** Where it happened, as CloudEvents means it; not in the payload of Standard Webhooks. So are those below. */
	readonly source?: string | undefined;
	readonly subject?: string | undefined;
	readonly key?: string | undefined;
	readonly correlationId?: string | undefined;
	readonly causationId?: string | undefined;
	readonly traceparent?: string | undefined;
	/** Its id where it happened, if that is unique there only. */
	readonly senderId?: string | undefined;
	/** It only tries the way. */
	readonly isPing?: boolean | undefined;
	/** The version of the data's schema, where the sender tells it. */
	readonly version?: number | undefined;
}

/** The body that Standard Webhooks recommends and Callhook sends. Other members are ignored: senders add their own. */
export interface StandardBody {
	readonly type: string;
	readonly timestamp: string;
	readonly data: unknown;
}

const expected = "the JSON object { type, timestamp, data }";

/** Reads the JSON object `{ type, timestamp, data }`. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseStandardBody(body: Uint8Array): StandardBody {
	const { type, timestamp, data } = parseObject(body);
	if (typeof type !== "string" || type === "")
		throw invalidBody('"type" is not a non-empty string', {}, expected);
	if (typeof timestamp !== "string" || Number.isNaN(parseTime(timestamp))) {
		throw invalidBody('"timestamp" is not a date and time with an offset, as RFC 3339 has it', {}, expected);
	}
	if (data === undefined) throw invalidBody('"data" is missing', {}, expected);
	return { type, timestamp, data };
}
