import { Parser } from "@asyncapi/parser";
import { validate } from "@scalar/openapi-parser";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { codeOf, optionOf } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { type Catalog, defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { createWebhookBridge } from "./bridge.ts";
import { type DescribeWebhooksOptions, describeWebhooks } from "./describe-webhooks.ts";
import { messageFormats } from "./described-message.ts";

// biome-ignore lint/suspicious/noExplicitAny: a document is read at many places, and a wrong one fails the test
type Json = any;

const formats = messageFormats;
const line = z.object({ sku: z.string(), count: z.int().min(1) }).meta({ id: "Line", description: "A line" });
interface Category {
	readonly name: string;
	readonly parts: readonly Category[];
}
const category: z.ZodType<Category> = z.object({
	name: z.string(),
	get parts() {
		return z.array(category);
	},
});
const catalog = defineEvents({
	"order.paid": {
		schema: z.object({
			orderId: z.string(),
			total: z.int(),
			lines: z.array(line),
			first: line.optional(),
			at: z.iso.datetime(),
			pair: z.tuple([z.string(), z.number()]),
			note: z.string().nullable(),
			tags: z.record(z.string(), z.string()),
		}),
		description: "Money came.",
		examples: [
			{
				...{ orderId: "o_1", total: 4200, lines: [{ sku: "a", count: 1 }], first: { sku: "a", count: 1 } },
				...{ at: "2026-01-02T03:04:05Z", pair: ["a", 1], note: null, tags: { a: "b" } },
			},
			{
				...{ orderId: "o_2", total: 1, lines: [], at: "2026-01-02T03:04:05Z", pair: ["", 0], note: "x" },
				tags: {},
			},
		],
	},
	"order.sorted": { schema: category, examples: [{ name: "a", parts: [{ name: "b", parts: [] }] }] },
	"order.closed": z.undefined(),
	"user.created": z.object({ password: z.string() }),
});

function describeAll(of: Catalog = catalog, options?: DescribeWebhooksOptions, forward = ["order.*"]) {
	const bus = createBus({ events: of, store: memoryStore() });
	// It has no endpoints, so nothing is sent.
	const bridge = createWebhookBridge(bus, { forward });
	return describeWebhooks(bus, bridge, options) as { openapi: Json; asyncapi: Json };
}

/** A validator for what stands at a place of a document. */
function validatorAt(document: object, place: string) {
	const ajv = new ("openapi" in document ? Ajv2020 : Ajv)({ strict: false });
	addFormats.default(ajv);
	ajv.addSchema({ $id: "https://shop.example/document", ...document });
	return ajv.compile({ $ref: `https://shop.example/document#${place}` });
}

const escapePointer = (name: string) => name.replaceAll("~", "~0").replaceAll("/", "~1");

describe("the OpenAPI document", () => {
	test.each([[["standard"]], [formats], [["cloudevents-binary"]], [[...formats].reverse()]] as const)(
		"is valid for @scalar/openapi-parser, with %s",
		async (some) => {
			const { valid, errors, version } = await validate(describeAll(catalog, { formats: some }).openapi);
			expect(errors ?? []).toEqual([]);
			expect(valid).toBe(true);
			expect(version).toBe("3.1");
		},
	);

	test("has a webhook for each type that is forwarded, in the order of the catalog", () => {
		const { openapi, asyncapi } = describeAll();
		expect(Object.keys(openapi.webhooks)).toEqual(["order.paid", "order.sorted", "order.closed"]);
		expect(Object.keys(openapi.components.schemas)).toEqual(Object.keys(openapi.webhooks));
		expect(Object.keys(asyncapi.operations)).toEqual(Object.keys(openapi.webhooks));
		expect(JSON.stringify([openapi, asyncapi])).not.toMatch(/password|user\.created/);
		expect(Object.keys(describeAll(catalog, {}, ["**"]).openapi.webhooks)).toContain("user.created");
	});

	test("says headers, signatures and answers", () => {
		const { openapi } = describeAll(catalog, { title: "Shop", version: "7" });
		expect(openapi.info).toMatchObject({ title: "Shop", version: "7" });
		const { post } = openapi.webhooks["order.paid"];
		expect(post.description).toBe("Money came.");
		expect(post.parameters).toEqual(
			["webhook-id", "webhook-timestamp", "webhook-signature", "traceparent"].map((name) => ({
				$ref: `#/components/parameters/${name}`,
			})),
		);
		expect(Object.keys(post.responses).sort()).toEqual(["2XX", "410", "429", "default"]);
		expect(openapi.components.responses.tooManyRequests.headers).toHaveProperty(["Retry-After"]);
		expect(post.security).toEqual([{ webhookSignature: [] }]);
		expect(openapi.components.securitySchemes.webhookSignature).toMatchObject({
			...{ type: "apiKey", in: "header", name: "webhook-signature" },
			description: expect.stringMatching(/`v1` is HMAC-SHA256.*`v1a` is ed25519/),
		});
	});

	test("wraps the data in the envelope of Standard Webhooks", () => {
		const { openapi } = describeAll();
		const { schema } = openapi.webhooks["order.paid"].post.requestBody.content["application/json"];
		expect(schema).toEqual({
			type: "object",
			properties: {
				type: { const: "order.paid" },
				timestamp: expect.objectContaining({ type: "string", format: "date-time" }),
				data: { $ref: "#/components/schemas/order.paid" },
			},
			required: ["type", "timestamp", "data"],
		});
	});

	test("has a header for each attribute in binary mode, required where there is no other format", () => {
		const required = (some: DescribeWebhooksOptions["formats"]) =>
			describeAll(catalog, { formats: some })
				.openapi.webhooks["order.paid"].post.parameters.filter((each: { name?: string }) => each.name)
				.map((each: { name: string; required: boolean }) => [each.name, each.required]);
		expect(required(["cloudevents-binary"])).toEqual([
			["ce-specversion", true],
			["ce-id", true],
			["ce-source", true],
			["ce-type", true],
			["ce-time", true],
			["ce-subject", false],
		]);
		expect(required(formats).every(([, isRequired]: [string, boolean]) => !isRequired)).toBe(true);
		expect(required(["standard", "cloudevents-structured"])).toEqual([]);
	});
});

describe("the AsyncAPI document", () => {
	test.each([[["standard"]], [formats]] as const)("is valid for @asyncapi/parser, with %s", async (some) => {
		const { asyncapi } = describeAll(catalog, { formats: some });
		const { document, diagnostics } = await new Parser().parse(asyncapi);
		// Severities 0 and 1 are errors and warnings.
		expect(diagnostics.filter(({ severity }) => severity < 2)).toEqual([]);
		expect(document?.version()).toBe("3.0.0");
		const operations = document!.operations().all();
		expect(operations.map((operation) => operation.id())).toEqual([
			"order.paid",
			"order.sorted",
			"order.closed",
		]);
		expect(operations.every((operation) => operation.isSend())).toBe(true);
		expect(operations[0]!.messages().all()).toHaveLength(some.length);
		expect(operations[0]!.reply()!.messages().all()).toHaveLength(4);
	});

	test("would not be valid with a reference that leads nowhere", async () => {
		const { asyncapi } = describeAll();
		delete asyncapi.components.schemas["order.paid"].definitions.Line;
		const { diagnostics } = await new Parser().parse(asyncapi);
		expect(diagnostics.some(({ severity }) => severity === 0)).toBe(true);
	});

	test("requires the same headers", () => {
		const { headers } = describeAll().asyncapi.components.messages["standard..order.paid"];
		expect(headers.required).toEqual(["webhook-id", "webhook-timestamp", "webhook-signature"]);
	});
});

describe("the examples", () => {
	test("are those of the catalog, accepted by it and by the schemas of both documents", () => {
		const { openapi, asyncapi } = describeAll(catalog, { formats });
		let examples = 0;
		for (const type of Object.keys(openapi.webhooks)) {
			const { content } = openapi.webhooks[type].post.requestBody;
			for (const [contentType, media] of Object.entries<Json>(content)) {
				const body = validatorAt(
					openapi,
					`/webhooks/${type}/post/requestBody/content/${escapePointer(contentType)}/schema`,
				);
				for (const [name, { value }] of Object.entries<Json>(media.examples ?? {})) {
					examples++;
					expect(body(value), `${name}: ${JSON.stringify(body.errors)}`).toBe(true);
					const data = name.startsWith("cloudevents-binary") ? value : value.data;
					expect(catalog.parse(type, data)).toEqual(data);
					expect(body({ ...value, type: "other", orderId: 1, name: 1 }), name).toBe(false);
				}
			}
			for (const format of formats) {
				const place = `/components/messages/${format}..${type}`;
				const body = validatorAt(asyncapi, `${place}/payload`);
				for (const { payload } of asyncapi.components.messages[`${format}..${type}`].examples ?? []) {
					examples++;
					expect(body(payload), `${place}: ${JSON.stringify(body.errors)}`).toBe(true);
					catalog.parse(type, format === "cloudevents-binary" ? payload : payload.data);
				}
			}
		}
		expect(examples).toBe(18);
	});

	test("are sent as consumers get them", () => {
		const { openapi } = describeAll(
			defineEvents({
				"order.paid": {
					schema: z.object({ total: z.string().transform(Number), at: z.date(), x: z.string().default("d") }),
					examples: [{ total: "42", at: new Date("2026-01-02T03:04:05Z") }],
				},
			}),
		);
		const media = openapi.webhooks["order.paid"].post.requestBody.content["application/json"];
		expect(media.examples["standard-1"].value.data).toEqual({
			...{ total: 42, at: "2026-01-02T03:04:05.000Z", x: "d" },
		});
		expect(openapi.components.schemas["order.paid"]).toEqual({
			type: "object",
			properties: {
				total: {},
				at: { type: "string", format: "date-time" },
				x: { default: "d", type: "string" },
			},
			required: ["total", "at", "x"],
		});
	});
});

describe("the schemas", () => {
	test("refer to themselves where they stand in the document", () => {
		const { openapi, asyncapi } = describeAll();
		const sorted = validatorAt(openapi, "/components/schemas/order.sorted");
		expect(sorted({ name: "a", parts: [{ name: "b", parts: [] }] })).toBe(true);
		expect(sorted({ name: "a", parts: [{ name: "b", parts: [1] }] })).toBe(false);
		const references = (document: object) =>
			[...JSON.stringify(document).matchAll(/"\$ref":"(#\/components\/schemas\/[^"]+)"/g)].map(
				([, to]) => to,
			);
		expect(references(openapi)).toContain("#/components/schemas/order.paid/$defs/Line");
		expect(references(asyncapi)).toContain("#/components/schemas/order.paid/definitions/Line");
	});

	test("let fields be added, unless the schema is strict", () => {
		const { schemas } = describeAll(
			defineEvents({ "order.a": z.object({ a: z.int() }), "order.b": z.strictObject({ a: z.int() }) }),
		).openapi.components;
		expect(schemas["order.a"].additionalProperties).toBeUndefined();
		expect(schemas["order.b"].additionalProperties).toBe(false);
	});

	test("of an event without data say null", () => {
		expect(describeAll().openapi.components.schemas["order.closed"]).toEqual({ type: "null" });
	});

	test("take null for what may be undefined, where JSON cannot leave it out", () => {
		const events = defineEvents({
			"order.a": z.object({ at: z.date() }).optional(),
			"order.b": z.array(z.date().optional()),
			"order.c": z.object({ a: z.string().optional() }),
		});
		const { openapi, asyncapi } = describeAll(events);
		const cases: readonly (readonly [string, unknown, boolean])[] = [
			["order.a", { at: "2026-01-02T03:04:05Z" }, true],
			["order.a", null, true],
			["order.a", {}, false],
			["order.b", ["2026-01-02T03:04:05Z", null], true],
			["order.b", [1], false],
			["order.c", {}, true],
			["order.c", { a: null }, false],
			["order.c", null, false],
		];
		for (const document of [openapi, asyncapi]) {
			for (const [type, data, isValid] of cases) {
				const validate = validatorAt(document, `/components/schemas/${type}`);
				expect(validate(data), `${type} ${JSON.stringify(data)}`).toBe(isValid);
			}
		}
	});

	test("of a library that leaves keywords undefined are what JSON has of them", () => {
		const output = () => ({ type: "string", default: undefined, const: undefined, properties: undefined });
		const standard = { version: 1 as const, vendor: "other", validate: (value: unknown) => ({ value }) };
		const schema = { "~standard": { ...standard, jsonSchema: { output } } };
		const { openapi } = describeAll(defineEvents({ "order.a": schema }));
		expect(openapi.components.schemas["order.a"]).toEqual({ type: "string" });
	});

	test("come from any library that offers them, and from one that does not say so", () => {
		const standard = { version: 1 as const, vendor: "other", validate: (value: unknown) => ({ value }) };
		const output = ({ target }: { target: string }) => ({
			...{
				$schema: "x",
				title: target,
				properties: { $ref: { const: { $ref: "#/a" } } },
				not: { $ref: "#" },
			},
		});
		const offering = { "~standard": { ...standard, jsonSchema: { output } } };
		const throwing = {
			"~standard": {
				...standard,
				jsonSchema: {
					output: () => {
						throw new Error("cannot");
					},
				},
			},
		};
		const events = defineEvents({
			"order.a": offering,
			"order.b": { "~standard": standard },
			"order.c": throwing,
		});
		const { openapi, asyncapi } = describeAll(events);
		expect(openapi.components.schemas["order.a"]).toEqual({
			title: "draft-2020-12",
			properties: { $ref: { const: { $ref: "#/a" } } },
			not: { $ref: "#/components/schemas/order.a" },
		});
		expect(asyncapi.components.schemas["order.a"].title).toBe("draft-07");
		const none = { description: "Any value: its schema, of other, offers no JSON Schema." };
		expect(openapi.components.schemas["order.b"]).toEqual(none);
		expect(openapi.components.schemas["order.c"]).toEqual(none);
	});
});

describe("describeWebhooks()", () => {
	test("gives the same plain JSON each time", () => {
		const documents = describeAll(catalog, { formats });
		expect(JSON.stringify(documents)).toBe(JSON.stringify(describeAll(catalog, { formats })));
		expect(JSON.parse(JSON.stringify(documents))).toStrictEqual(documents);
	});

	test("refuses options that cannot work", () => {
		const refused = (options: unknown) =>
			optionOf(() => describeAll(catalog, options as DescribeWebhooksOptions));
		expect(refused({ titel: "x" })).toBe("describeWebhooks.titel");
		expect(refused({ title: "" })).toBe("title");
		expect(refused({ version: 1 })).toBe("version");
		expect(refused({ formats: [] })).toBe("formats");
		expect(refused({ formats: "standard" })).toBe("formats");
		expect(refused({ formats: ["standard", "cloudevents"] })).toBe("formats[1]");
	});

	test("needs a store and a catalog", () => {
		expect(codeOf(() => describeWebhooks(createBus(), { forward: ["**"] }))).toBe(
			"ERR_CALLHOOK_STORE_REQUIRED",
		);
		const bus = createBus({ store: memoryStore() });
		expect(optionOf(() => describeWebhooks(bus, { forward: ["**"] }))).toBe("events");
	});
});
