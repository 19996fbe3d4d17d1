import { z } from "zod";
import type { Schema } from "../event/index.ts";
import type { JsonObject, JsonValue } from "./json.ts";

/** A version of JSON Schema. */
export type SchemaDialect = "draft-2020-12" | "draft-07";

/** What a Standard Schema offers that can say itself as JSON Schema. */
interface JsonSchemaOffer {
	readonly vendor?: unknown;
	readonly jsonSchema?: { output?(options: { target: SchemaDialect }): unknown } | undefined;
}

/**
 * The JSON Schema of what a schema returns, as it is in JSON. It is meant for this place of a document: its references
 * are made to lead there. Where a library offers none it accepts anything, and its description says so.
 */
export function payloadSchema(schema: Schema, dialect: SchemaDialect, place: string): JsonObject {
	const offer = schema["~standard"] as Schema["~standard"] & JsonSchemaOffer;
	let written: unknown;
	try {
		const asOffered = isZodSchema(schema)
			? z.toJSONSchema(orNull(schema), {
					...{ target: dialect, io: "output", unrepresentable: "any", override: asSent },
				})
			: offer.jsonSchema?.output?.({ target: dialect });
		// Of other libraries it may hold what is no JSON, such as a keyword that is undefined.
		written = JSON.parse(JSON.stringify(asOffered));
	} catch {
		// A library throws for what JSON Schema cannot say.
	}
	if (typeof written !== "object" || written === null) {
		return { description: `Any value: its schema, of ${String(offer.vendor)}, offers no JSON Schema.` };
	}
	const { $schema: _, ...rest } = written as Record<string, unknown>;
	return moveSchema(rest, place) as JsonObject;
}

function isZodSchema(schema: unknown): schema is z.core.$ZodType {
	return (typeof schema === "object" || typeof schema === "function") && schema !== null && "_zod" in schema;
}

/** An event without data is sent with null. */
function orNull(schema: z.core.$ZodType): z.core.$ZodType {
	return isLeftOut(schema) ? z.union([schema, z.null()]) : schema;
}

/** Whether it lets a value be undefined, so that JSON has null in its place where it cannot leave it out. */
function isLeftOut({ _zod: { def, optout } }: z.core.$ZodType): boolean {
	return optout === "optional" && def.type !== "undefined" && def.type !== "void";
}

/** What zod cannot know: that the value goes through JSON, and that fields may be added to an object one day. */
function asSent({
	zodSchema,
	jsonSchema,
	path,
}: {
	zodSchema: z.core.$ZodTypes;
	jsonSchema: z.core.JSONSchema.BaseSchema;
	path: (string | number)[];
}): void {
	const { def } = zodSchema._zod;
	if (def.type === "date") Object.assign(jsonSchema, { type: "string", format: "date-time" });
	else if (def.type === "nan") jsonSchema.type = "null";
	else if (def.type === "map" || def.type === "set") jsonSchema.type = "object";
	else if (def.type === "object" && def.catchall === undefined) delete jsonSchema.additionalProperties;
	else if (def.type === "array" && isLeftOut(def.element))
		jsonSchema.items = { anyOf: [jsonSchema.items as z.core.JSONSchema.BaseSchema, { type: "null" }] };
	// An event without data is sent with null.
	else if ((def.type === "undefined" || def.type === "void") && path.length === 0) jsonSchema.type = "null";
}

/** Keywords with values that are no schemas, even where they look like one. */
const literalKeywords = new Set(["const", "enum", "default", "examples", "example"]);
/** Keywords that hold schemas by name, which may be that of a keyword. */
const mapKeywords = new Set([
	"properties",
	"patternProperties",
	"dependentSchemas",
	"dependencies",
	"$defs",
	"definitions",
]);

/** A copy whose references, which lead from its own root, lead from that of a document. */
function moveSchema(schema: unknown, place: string): JsonValue {
	if (Array.isArray(schema)) return schema.map((each: unknown) => moveSchema(each, place));
	if (typeof schema !== "object" || schema === null) return schema as JsonValue;
	const entries = Object.entries(schema).map(([keyword, value]: [string, unknown]): [string, JsonValue] => {
		if (literalKeywords.has(keyword)) return [keyword, value as JsonValue];
		if (mapKeywords.has(keyword) && typeof value === "object" && value !== null) {
			const named = Object.entries(value);
			return [keyword, Object.fromEntries(named.map(([name, each]) => [name, moveSchema(each, place)]))];
		}
		if (keyword === "$ref" && typeof value === "string" && /^#(\/|$)/.test(value)) {
			return [keyword, place + value.slice(1)];
		}
		return [keyword, moveSchema(value, place)];
	});
	return Object.fromEntries(entries);
}
