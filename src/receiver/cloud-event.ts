import { CallhookError } from "../errors.ts";
import { parseTime } from "../internal/iso-time.ts";
import { isMessageId } from "../internal/message-id.ts";
import { isTraceparent } from "../internal/traceparent.ts";
import type { WebhookMessage } from "../signature/verify.ts";
import { readMembers } from "./cloud-event-data.ts";
import { invalidBody, isObject, parseJson } from "./content.ts";
import type { ReceivedEvent } from "./received-event.ts";

/** The attributes of a CloudEvent as they came, nothing checked. */
export type Attributes = Readonly<Record<string, unknown>>;

const expected = "a CloudEvent 1.0 in JSON";
/** How many events one request may hold. */
const maxBatch = 1_000;

/** The one event in a body. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseStructured(body: Uint8Array): Attributes {
	const value = parseJson(body);
	if (!isObject(value)) throw invalidCloudEvent("it is not an object");
	return value;
}

/** The list of events in a body. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseBatch(body: Uint8Array): readonly Attributes[] {
	const values = parseJson(body);
	if (!Array.isArray(values)) throw invalidCloudEvent("it is not a list");
	if (values.length > maxBatch) throw invalidCloudEvent(`it is a list of more than ${maxBatch} events`);
	if (!values.every(isObject)) throw invalidCloudEvent("one of the list is not an object");
	return values;
}

/** The attributes in `ce-` headers. Throws ERR_CALLHOOK_INVALID_BODY where one is not UTF-8. */
export function parseHeaders(headers: Headers): Attributes {
	const attributes: Record<string, unknown> = {};
	headers.forEach((value, name) => {
		if (name.startsWith("ce-")) attributes[name.slice(3)] = decodeHeader(value);
	});
	return attributes;
}

/** Reads an event whose attributes are in the body. Its id is the signed one in the body. */
export function readStructured(message: WebhookMessage): ReceivedEvent {
	const attributes = parseStructured(message.body);
	const { id } = attributes;
	return readCloudEvent(attributes, readMembers(attributes), {
		id: typeof id === "string" && isMessageId(id) ? id : message.id,
		time: timeOf(message),
	});
}

/** Reads a list of such events. Each keeps an id of its own. Throws ERR_CALLHOOK_INVALID_BODY, also for one of them. */
export function readBatch(message: WebhookMessage): ReceivedEvent[] {
	return parseBatch(message.body).map((attributes) => {
		const { id } = attributes;
		if (typeof id !== "string" || !isMessageId(id)) {
			throw invalidCloudEvent("one of the list has an id that cannot be used");
		}
		return readCloudEvent(attributes, readMembers(attributes), { id, time: timeOf(message) });
	});
}

/**
 * Reads an event whose attributes are in `ce-` headers. These are not signed, as no scheme of theirs signs headers; its id
 * is therefore the `webhook-id`, which is: else a message with another `ce-id` would pass as a new one.
 */
export function readBinary(message: WebhookMessage, headers: Headers): ReceivedEvent {
	const { id, body } = message;
	return readCloudEvent(parseHeaders(headers), parseJson(body), { id, time: timeOf(message) });
}

function timeOf({ timestamp }: WebhookMessage): string {
	return new Date(timestamp * 1_000).toISOString();
}

/** What the receiver says of an event: its id on the bus, and its time where it has none. */
export interface GivenAttributes {
	readonly id: string;
	readonly time: string;
}

/** Throws ERR_CALLHOOK_CLOUDEVENTS_VERSION or ERR_CALLHOOK_INVALID_BODY. */
export function readCloudEvent(attributes: Attributes, data: unknown, given: GivenAttributes): ReceivedEvent {
	checkVersion(attributes.specversion);
	const { type } = attributes;
	if (typeof type !== "string" || type === "") throw invalidCloudEvent('"type" is not a non-empty string');
	const text = (name: string): string | undefined => {
		// JSON may say null of an attribute that an event lacks.
		const value = attributes[name] ?? "";
		if (typeof value !== "string") throw invalidCloudEvent(`"${name}" is not a string`);
		return value === "" ? undefined : value;
	};
	const time = text("time") ?? given.time;
	if (Number.isNaN(parseTime(time))) {
		throw invalidCloudEvent('"time" is not a date and time with an offset, as RFC 3339 has it');
	}
	const traceparent = text("traceparent");
	return {
		...{ id: given.id, type, data, time },
		...{ source: text("source"), subject: text("subject"), key: text("partitionkey") },
		...{ correlationId: text("correlationid"), causationId: text("causationid") },
		traceparent: traceparent !== undefined && isTraceparent(traceparent) ? traceparent : undefined,
		version: readVersion(attributes.dataversion),
	};
}

function checkVersion(found: unknown): void {
	if (found === "1.0") return;
	if (typeof found !== "string" || found === "") {
		throw invalidCloudEvent('"specversion" is not a non-empty string');
	}
	throw new CallhookError(
		"ERR_CALLHOOK_CLOUDEVENTS_VERSION",
		'The "specversion" of a CloudEvent must be "1.0"',
		{ found: found.slice(0, 32) },
	);
}

function readVersion(value: unknown): number | undefined {
	return /^[1-9]\d{0,6}$/u.test(String(value)) ? Number(value) : undefined;
}

const quoted = /^"(?:[^"\\]|\\.)*"$/u;
const encoded = /(?:%[\da-f]{2})+/giu;

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values */
function decodeHeader(value: string): string {
	const text = quoted.test(value) ? value.slice(1, -1).replace(/\\(.)/gu, "$1") : value;
	return text.replace(encoded, (codes) => {
		const bytes = Uint8Array.from(codes.slice(1).split("%"), (code) => Number.parseInt(code, 16));
		try {
			return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
		} catch (cause) {
			throw invalidBody("a header is not UTF-8 behind its percent signs", { cause }, expected);
		}
	});
}

export function invalidCloudEvent(reason: string): CallhookError {
	return invalidBody(reason, {}, expected);
}
