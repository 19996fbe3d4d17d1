import { createPattern, type EventDefinition, matchAny } from "../event/index.ts";
import { didYouMean } from "../internal/did-you-mean.ts";
import { checkOptions, invalidOption } from "../internal/options.ts";
import { serialize, storeRequired } from "../outbox/index.ts";
import { asyncApiDocument } from "./asyncapi.ts";
import type { BridgeBus, WebhookBridge } from "./bridge.ts";
import { type DescribedEvent, type MessageFormat, messageFormats } from "./described-message.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { openApiDocument } from "./openapi.ts";
import { payloadSchema, type SchemaDialect } from "./payload-schema.ts";

/** What the documents say beside the catalog; everything has a default. */
export interface DescribeWebhooksOptions {
	/** Default `Webhooks`. */
	readonly title?: string | undefined;
	/** The version of your webhooks. Default `1.0.0`. */
	readonly version?: string | undefined;
	/** The formats that endpoints may get. Default `["standard"]`. */
	readonly formats?: readonly MessageFormat[] | undefined;
}

/** The webhooks of an application, described for those who receive them; plain JSON. */
export interface WebhookDocuments {
	/** OpenAPI 3.1, with `webhooks`; its schemas are JSON Schema 2020-12. */
	readonly openapi: JsonObject;
	/** AsyncAPI 3.0, of the side that sends; its schemas are JSON Schema draft-07, which is what AsyncAPI builds on. */
	readonly asyncapi: JsonObject;
}

/**
 * Describes the event types of the catalog that the bridge forwards, in their order: descriptions and examples of the
 * catalog, JSON Schemas of the data as it is sent, headers, signatures, and what each answer means.
 *
 * Throws ERR_CALLHOOK_STORE_REQUIRED, and ERR_CALLHOOK_INVALID_OPTION, for a bus without a catalog too.
 *
 * @example
 * ```ts
 * const { openapi } = describeWebhooks(bus, bridge, { title: "Shop", version: "2026-01" });
 * writeFileSync("webhooks.openapi.json", JSON.stringify(openapi, null, 2));
 * ```
 */
export function describeWebhooks(
	bus: BridgeBus,
	bridge: Pick<WebhookBridge, "forward">,
	options: DescribeWebhooksOptions = {},
): WebhookDocuments {
	if (bus.outbox === undefined) throw storeRequired("describeWebhooks()");
	const { catalog } = bus.outbox;
	if (catalog === undefined)
		throw invalidOption("events", "given to createBus(), for describeWebhooks()", catalog);
	const { title, version, formats } = readOptions(options);
	const forwards = matchAny(bridge.forward.map((text) => createPattern(text, "describeWebhooks()")));
	const types = catalog.types.filter(forwards);
	const events = types.map((type): DescribedEvent => {
		const { description, examples = [] } = catalog.get(type) as EventDefinition;
		return {
			type,
			description: description ?? `An event of type ${type}.`,
			examples: examples.map((example) => asSent(type, catalog.parse(type, example))),
		};
	});
	const schemasIn = (dialect: SchemaDialect): JsonObject =>
		Object.fromEntries(
			types.map((type) => {
				const { schema } = catalog.get(type) as EventDefinition;
				return [type, payloadSchema(schema, dialect, `#/components/schemas/${type}`)];
			}),
		);
	const parts = { title, version, formats, events };
	return {
		openapi: plain(openApiDocument({ ...parts, schemas: schemasIn("draft-2020-12") })),
		asyncapi: plain(asyncApiDocument({ ...parts, schemas: schemasIn("draft-07") })),
	};
}

function asSent(type: string, data: unknown): JsonValue {
	return JSON.parse(serialize(type, data, undefined).dataJson) as JsonValue;
}

/** A copy in which no two places share an object. */
function plain(document: JsonObject): JsonObject {
	return JSON.parse(JSON.stringify(document)) as JsonObject;
}

function readOptions(options: DescribeWebhooksOptions): {
	readonly title: string;
	readonly version: string;
	readonly formats: readonly MessageFormat[];
} {
	checkOptions("describeWebhooks", options, ["title", "version", "formats"]);
	const { title = "Webhooks", version = "1.0.0", formats = ["standard"] } = options;
	for (const [option, text] of Object.entries({ title, version })) {
		if (typeof text !== "string" || text === "")
			throw invalidOption(option, "a text that is not empty", text);
	}
	if (!Array.isArray(formats) || formats.length === 0) {
		throw invalidOption("formats", "an array with at least one format", formats);
	}
	for (const [index, format] of formats.entries()) {
		if (messageFormats.includes(format as MessageFormat)) continue;
		const meant = typeof format === "string" ? didYouMean(format, messageFormats) : "";
		throw invalidOption(`formats[${index}]`, `one of ${messageFormats.join(", ")}${meant}`, format);
	}
	return { title, version, formats: [...new Set(formats as readonly MessageFormat[])] };
}
