import type { StoredEvent } from "../outbox/ports.ts";

/** How an event becomes a request: the payload of Standard Webhooks, or a mode of CloudEvents 1.0 over HTTP. */
export type PayloadFormat = "standard" | "cloudevents-structured" | "cloudevents-binary";

/** What is sent of an event, before it is signed. */
export interface Payload {
	readonly headers: Record<string, string>;
	readonly body: Buffer;
}

/**
 * Writes an event in a format; `dataJson` stands in for the event's own data. In every format the event's `traceparent`
 * is also a header of its own.
 *
 * - `standard`: `{ type, timestamp, data }`.
 * - `cloudevents-structured`: the whole event in the body.
 * - `cloudevents-binary`: the data in the body, everything else in `ce-` headers, percent-encoded.
 *
 * CloudEvents has no names for some of it, so these are extensions: `correlationid`, `causationid`, `traceparent`,
 * `partitionkey` (the event's key) and `dataversion` (its version). `metadata` is in no format.
 */
export function createPayload(
	format: PayloadFormat,
	event: StoredEvent,
	dataJson: string = event.dataJson,
): Payload {
	const { headers, body } = writers[format](event, dataJson);
	if (event.traceparent !== undefined) headers.traceparent = event.traceparent;
	return { headers, body: Buffer.from(body) };
}

type Writer = (event: StoredEvent, dataJson: string) => { headers: Record<string, string>; body: string };

const writers: Readonly<Record<PayloadFormat, Writer>> = {
	standard({ type, time }, dataJson) {
		return {
			headers: { "content-type": "application/json" },
			body: `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(time)},"data":${dataJson}}`,
		};
	},
	"cloudevents-structured"(event, dataJson) {
		// The data is JSON already: it goes in front of the brace that closes the attributes.
		const attributes = JSON.stringify({ ...readAttributes(event), datacontenttype: "application/json" });
		return {
			headers: { "content-type": "application/cloudevents+json; charset=utf-8" },
			body: `${attributes.slice(0, -1)},"data":${dataJson}}`,
		};
	},
	"cloudevents-binary"(event, dataJson) {
		const headers: Record<string, string> = { "content-type": "application/json" };
		for (const [name, value] of Object.entries(readAttributes(event))) {
			headers[`ce-${name}`] = percentEncode(value);
		}
		return { headers, body: dataJson };
	},
};

/** The attributes that the event has. Each is a non-empty string, as CloudEvents demands. */
function readAttributes(event: StoredEvent): Record<string, string> {
	const attributes = {
		...{ specversion: "1.0", id: event.id, source: event.source || "/", type: event.type, time: event.time },
		subject: event.subject,
		correlationid: event.correlationId,
		causationid: event.causationId,
		traceparent: event.traceparent,
		partitionkey: event.key,
		dataversion: event.version?.toString(),
	};
	return Object.fromEntries(
		Object.entries(attributes).filter((entry): entry is [string, string] => Boolean(entry[1])),
	);
}

// What the HTTP binding of CloudEvents does not let stand in a header: the space, `"`, `%` and all beyond U+0021 to U+007E.
const unsafe = /[^!#$&-~]/gu;

function percentEncode(text: string): string {
	return text.replace(unsafe, (character) =>
		// Not encodeURIComponent, which throws on half of a surrogate pair and spares no other character that may stand.
		Buffer.from(character).toString("hex").toUpperCase().replace(/../g, "%$&"),
	);
}
