import {
	commonHeaders,
	type DescribedEvent,
	type DescribedHeader,
	describedAnswers,
	describeMessage,
	generalDescription,
	type MessageFormat,
	retryAfter,
	signatureDescription,
} from "./described-message.ts";
import type { JsonObject, JsonValue } from "./json.ts";

/** What a document is made of. */
export interface DescribedWebhooks {
	readonly title: string;
	readonly version: string;
	readonly formats: readonly MessageFormat[];
	readonly events: readonly DescribedEvent[];
	/** The JSON Schema of the data of each type, as a component of the document. */
	readonly schemas: JsonObject;
}

/** An OpenAPI 3.1 document with a webhook for each event type. */
export function openApiDocument({ title, version, formats, events, schemas }: DescribedWebhooks): JsonObject {
	return {
		openapi: "3.1.0",
		info: { title, version, description: generalDescription },
		jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
		webhooks: Object.fromEntries(events.map((event) => [event.type, { post: operationOf(event, formats) }])),
		components: {
			schemas,
			parameters: Object.fromEntries(commonHeaders.map((header) => [header.name, parameterOf(header)])),
			responses: Object.fromEntries(
				Object.entries(describedAnswers).map(([name, { description }]): [string, JsonObject] => [
					name,
					name === "tooManyRequests"
						? { description, headers: { "Retry-After": { ...retryAfter } } }
						: { description },
				]),
			),
			securitySchemes: {
				webhookSignature: {
					type: "apiKey",
					in: "header",
					name: "webhook-signature",
					description: signatureDescription,
				},
			},
		},
	};
}

function operationOf(
	{ type, description, examples }: DescribedEvent,
	formats: readonly MessageFormat[],
): JsonObject {
	const data = { $ref: `#/components/schemas/${type}` };
	const messages = formats.map((format) => ({ format, ...describeMessage(format, type) }));
	const content: Record<string, JsonObject> = {};
	for (const contentType of new Set(messages.map((message) => message.contentType))) {
		const ofType = messages.filter((message) => message.contentType === contentType);
		const bodies = ofType.map(({ body }) => body(data));
		const named = ofType.flatMap(({ format, exampleOf }) =>
			examples.map((example, index): [string, JsonValue] => [
				`${format}-${index + 1}`,
				{ value: exampleOf(example) },
			]),
		);
		content[contentType] = {
			schema: bodies.length === 1 ? (bodies[0] as JsonObject) : { anyOf: bodies },
			...(named.length === 0 ? {} : { examples: Object.fromEntries(named) }),
		};
	}
	// A header of one format is in no request of another.
	const headers = messages.flatMap((message) =>
		message.headers.map((header) => ({ ...header, isRequired: header.isRequired && messages.length === 1 })),
	);
	return {
		operationId: type,
		summary: type,
		description,
		parameters: [
			...commonHeaders.map(({ name }) => ({ $ref: `#/components/parameters/${name}` })),
			...headers.map(parameterOf),
		],
		requestBody: { required: true, content },
		responses: Object.fromEntries(
			Object.entries(describedAnswers).map(([name, { status }]) => [
				status,
				{ $ref: `#/components/responses/${name}` },
			]),
		),
		security: [{ webhookSignature: [] }],
	};
}

function parameterOf({ name, description, isRequired, schema }: DescribedHeader): JsonObject {
	return { name, in: "header", required: isRequired, description, schema };
}
