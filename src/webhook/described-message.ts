import { webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "../signature/index.ts";
import type { JsonObject, JsonValue } from "./json.ts";

/** How an event is written into a request. */
export type MessageFormat = "standard" | "cloudevents-structured" | "cloudevents-binary";

/** An event type as the documents describe it. */
export interface DescribedEvent {
	readonly type: string;
	readonly description: string;
	/** Its examples as they are sent. */
	readonly examples: readonly JsonValue[];
}

/** A header of a request. */
export interface DescribedHeader {
	readonly name: string;
	readonly description: string;
	readonly isRequired: boolean;
	readonly schema: JsonObject;
}

/** What one format makes of an event. */
export interface DescribedMessage {
	readonly contentType: string;
	/** Its headers beside those of every format. */
	readonly headers: readonly DescribedHeader[];
	/** The JSON Schema of its body, for data with this schema. */
	readonly body: (data: JsonObject) => JsonObject;
	/** Its body for an example. */
	readonly exampleOf: (data: JsonValue) => JsonValue;
}

export const messageFormats: readonly MessageFormat[] = [
	"standard",
	"cloudevents-structured",
	"cloudevents-binary",
];

const exampleTime = "2026-01-02T03:04:05.678Z";
const exampleId = "evt_01985c2e-7b1a-7c3d-9e4f-5a6b7c8d9e0f";

/** The headers of every request, in every format. */
export const commonHeaders: readonly DescribedHeader[] = [
	{
		name: webhookIdHeader,
		description:
			"Names the message, the same in all its attempts: a receiver drops what it has already seen under this id.",
		isRequired: true,
		schema: { type: "string" },
	},
	{
		name: webhookTimestampHeader,
		description:
			"When this attempt was made, in Unix seconds. A receiver refuses one that is more than five minutes off.",
		isRequired: true,
		schema: { type: "integer" },
	},
	{
		name: webhookSignatureHeader,
		description:
			"The signatures of this attempt, separated by spaces; see the security scheme webhookSignature.",
		isRequired: true,
		schema: { type: "string", pattern: "^(v1|v1a),[A-Za-z0-9+/]+={0,2}( (v1|v1a),[A-Za-z0-9+/]+={0,2})*$" },
	},
	{
		name: "traceparent",
		description: "W3C Trace Context of what caused the event.",
		isRequired: false,
		schema: { type: "string" },
	},
];

/** How a receiver knows that a message is genuine. */
export const signatureDescription: string = [
	"Signed as Standard Webhooks 1.0 says, over the bytes of `{webhook-id}.{webhook-timestamp}.{body}`.",
	"`webhook-signature` is a list of entries `version,base64`, separated by spaces; one that is valid is enough.",
	"`v1` is HMAC-SHA256 with the secret of the endpoint: what stands behind `whsec_`, decoded from base64.",
	"`v1a` is ed25519, to be verified with the public key of the endpoint: what stands behind `whpk_`, decoded from base64.",
	"Verify before parsing, over the raw body, and compare in constant time.",
].join(" ");

export const generalDescription: string = [
	"Each event is sent as a POST request, at least once, not always in order.",
	"Any 2XX answer means that it was received; after another one, or none, it is sent again on a schedule, under the same `webhook-id`.",
	"Fields may be added to the data: ignore those you do not know.",
].join(" ");

/** What an answer to a request means. */
export const describedAnswers = {
	received: { status: "2XX", description: "Received: it is not sent again." },
	gone: { status: "410", description: "Gone: the endpoint is disabled, and gets no more messages." },
	tooManyRequests: {
		status: "429",
		description: "Too many requests: it is sent again later, not before Retry-After says.",
	},
	failed: { status: "default", description: "Failed: it is sent again later, on a schedule." },
} as const;

/** The header of 429: seconds, or a date. */
export const retryAfter: { readonly description: string; readonly schema: JsonObject } = {
	description: "When to try again: seconds from now, or an HTTP date.",
	schema: { type: "string" },
};

/** How a format writes events of a type. */
export function describeMessage(format: MessageFormat, type: string): DescribedMessage {
	switch (format) {
		case "standard":
			return {
				contentType: "application/json",
				headers: [],
				body: (data) => objectOf({ type: { const: type }, timestamp: timeSchema, data }, []),
				exampleOf: (data) => ({ type, timestamp: exampleTime, data }),
			};
		case "cloudevents-structured":
			return {
				contentType: "application/cloudevents+json",
				headers: [],
				body: (data) => objectOf({ ...attributesOf(type), data }, ["subject", "datacontenttype"]),
				exampleOf: (data) => ({
					...{ specversion: "1.0", id: exampleId, source: "/", type, time: exampleTime },
					...{ datacontenttype: "application/json", data },
				}),
			};
		case "cloudevents-binary":
			return {
				contentType: "application/json",
				headers: Object.entries(attributesOf(type))
					.filter(([name]) => name !== "datacontenttype")
					.map(([name, schema]) => ({
						name: `ce-${name}`,
						description: `The CloudEvents attribute ${name}, percent-encoded where HTTP needs it.`,
						isRequired: name !== "subject",
						schema,
					})),
				body: (data) => data,
				exampleOf: (data) => data,
			};
	}
}

const timeSchema: JsonObject = {
	type: "string",
	format: "date-time",
	description: "When it happened, the same in all attempts.",
};

/** The attributes of CloudEvents 1.0. */
function attributesOf(type: string): Readonly<Record<string, JsonObject>> {
	return {
		specversion: { const: "1.0" },
		id: { type: "string", description: `The same as ${webhookIdHeader}.` },
		source: { type: "string", format: "uri-reference" },
		type: { const: type },
		time: timeSchema,
		subject: { type: "string" },
		datacontenttype: { const: "application/json" },
	};
}

function objectOf(properties: Readonly<Record<string, JsonObject>>, optional: readonly string[]): JsonObject {
	const required = Object.keys(properties).filter((name) => !optional.includes(name));
	return { type: "object", properties, required };
}
