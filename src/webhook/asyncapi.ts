import {
	commonHeaders,
	type DescribedEvent,
	describedAnswers,
	describeMessage,
	generalDescription,
	type MessageFormat,
	retryAfter,
	signatureDescription,
} from "./described-message.ts";
import type { JsonObject } from "./json.ts";
import type { DescribedWebhooks } from "./openapi.ts";

const httpBinding: JsonObject = { bindingVersion: "0.3.0" };
/** No event type: those have no colon. */
const answerChannel = "http:responses";

/** An AsyncAPI 3.0 document of the application that sends, with a channel and an operation for each event type. */
export function asyncApiDocument({
	title,
	version,
	formats,
	events,
	schemas,
}: DescribedWebhooks): JsonObject {
	const answers = answerMessages();
	const answerNames = Object.keys(answers);
	return {
		asyncapi: "3.0.0",
		info: { title, version, description: generalDescription },
		defaultContentType: "application/json",
		channels: {
			...Object.fromEntries(events.map((event) => [event.type, channelOf(event, formats)])),
			[answerChannel]: {
				address: null,
				description: "The answers to the requests.",
				messages: Object.fromEntries(
					answerNames.map((name) => [name, { $ref: `#/components/messages/${answerKey(name)}` }]),
				),
			},
		},
		operations: Object.fromEntries(
			events.map(({ type, description }): [string, JsonObject] => [
				type,
				{
					action: "send",
					description,
					channel: { $ref: pointerTo("channels", type) },
					messages: formats.map((format) => ({ $ref: `${pointerTo("channels", type)}/messages/${format}` })),
					security: [{ $ref: "#/components/securitySchemes/webhookSignature" }],
					bindings: { http: { method: "POST", ...httpBinding } },
					reply: {
						channel: { $ref: pointerTo("channels", answerChannel) },
						messages: answerNames.map((name) => ({
							$ref: `${pointerTo("channels", answerChannel)}/messages/${name}`,
						})),
					},
				},
			]),
		),
		components: {
			schemas,
			messages: {
				...Object.fromEntries(
					events.flatMap((event) =>
						formats.map((format) => [messageKey(event.type, format), messageOf(event, format)]),
					),
				),
				...Object.fromEntries(answerNames.map((name) => [answerKey(name), answers[name] as JsonObject])),
			},
			securitySchemes: {
				webhookSignature: {
					type: "httpApiKey",
					in: "header",
					name: "webhook-signature",
					description: signatureDescription,
				},
			},
		},
	};
}

function channelOf({ type, description }: DescribedEvent, formats: readonly MessageFormat[]): JsonObject {
	return {
		// The URL of each endpoint.
		address: null,
		description,
		messages: Object.fromEntries(
			formats.map((format) => [format, { $ref: `#/components/messages/${messageKey(type, format)}` }]),
		),
	};
}

function messageOf({ type, description, examples }: DescribedEvent, format: MessageFormat): JsonObject {
	const { contentType, headers, body, exampleOf } = describeMessage(format, type);
	const all = [...commonHeaders, ...headers];
	return {
		name: type,
		title: type,
		description,
		contentType,
		headers: {
			type: "object",
			properties: Object.fromEntries(
				all.map((header) => [header.name, { description: header.description, ...header.schema }]),
			),
			required: all.filter(({ isRequired }) => isRequired).map(({ name }) => name),
		},
		payload: body({ $ref: `#/components/schemas/${type}` }),
		...(examples.length === 0
			? {}
			: {
					examples: examples.map((example, index) => ({
						name: `${format}-${index + 1}`,
						payload: exampleOf(example),
					})),
				}),
		bindings: { http: httpBinding },
	};
}

function answerMessages(): Readonly<Record<string, JsonObject>> {
	const { received, gone, tooManyRequests, failed } = describedAnswers;
	return {
		received: { description: received.description, bindings: { http: { statusCode: 204, ...httpBinding } } },
		gone: { description: gone.description, bindings: { http: { statusCode: 410, ...httpBinding } } },
		tooManyRequests: {
			description: tooManyRequests.description,
			headers: {
				type: "object",
				properties: { "Retry-After": { description: retryAfter.description, ...retryAfter.schema } },
			},
			bindings: { http: { statusCode: 429, ...httpBinding } },
		},
		failed: { description: failed.description, bindings: { http: { statusCode: 500, ...httpBinding } } },
	};
}

/** No two types share one, though a type may end as another does with a format. */
function messageKey(type: string, format: MessageFormat): string {
	return `${format}..${type}`;
}

function answerKey(name: string): string {
	return `response..${name}`;
}

function pointerTo(section: string, name: string): string {
	return `#/${section}/${name}`;
}
