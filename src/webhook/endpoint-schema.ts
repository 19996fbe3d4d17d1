import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { z } from "zod";
import { CallhookError, type DataIssue } from "../errors.ts";
import { createPattern } from "../event/index.ts";
import { describe } from "../internal/options.ts";
import { checkSecret, type SignatureScheme } from "../signature/index.ts";
import { headerFault, maxHeaders } from "./custom-headers.ts";
import type { EndpointInput, EndpointSettings } from "./endpoint.ts";
import { whereSchema } from "./where-schema.ts";

const longestDelayMs = 2_147_483_647;

/** Makes a check of zod from one that throws. */
function passes<Value>(check: (value: Value) => unknown): (value: Value, context: z.RefinementCtx) => void {
	return (value, context) => {
		try {
			check(value);
		} catch (error) {
			context.addIssue({ code: "custom", message: (error as Error).message });
		}
	};
}

const pattern = z.string().superRefine(passes((text) => createPattern(text, "endpoints")));

const headers = z.record(z.string(), z.unknown()).superRefine((given, context) => {
	if (Object.keys(given).length > maxHeaders)
		context.addIssue({ code: "custom", message: `more than ${maxHeaders}` });
	const seen = new Set<string>();
	for (const [name, value] of Object.entries(given)) {
		const lower = name.toLowerCase();
		const fault = seen.has(lower) ? "is given twice" : headerFault(name, value);
		seen.add(lower);
		if (fault !== undefined) context.addIssue({ code: "custom", path: [name], message: fault });
	}
});

const tls = z
	.strictObject({ ca: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
	.superRefine(({ ca, cert, key }, context) => {
		if ((cert === undefined) !== (key === undefined)) {
			context.addIssue({ code: "custom", message: "cert and key belong together" });
			return;
		}
		try {
			// A context takes any text for an authority, and an empty one for none given.
			for (const pem of [ca, cert]) if (pem !== undefined) new X509Certificate(pem);
			if (key === "") throw new Error("empty");
			createSecureContext({ ca, cert, key });
		} catch {
			// Of its message nothing is said: it may quote the key.
			context.addIssue({ code: "custom", message: "is not PEM, or the key does not fit the certificate" });
		}
	});

const delayMs = z.number().min(0).max(longestDelayMs);

const fields = {
	url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }).max(2_048),
	events: z.array(pattern).min(1).max(200),
	// It is a column of its own: PostgreSQL takes no NUL there, and halves of pairs, which have no UTF-8, become one text.
	tenant: z
		.string()
		.min(1)
		.max(256)
		.regex(/^[^\0\p{Cs}]*$/u, "expected well-formed text without NUL")
		.optional(),
	description: z.string().max(1_000).optional(),
	where: whereSchema.optional(),
	filter: z.string().optional(),
	transform: z.string().optional(),
	format: z.enum(["standard", "cloudevents-structured", "cloudevents-binary"]).default("standard"),
	headers: headers.optional(),
	concurrency: z.int().min(1).max(1_000).default(4),
	rateLimit: z
		.strictObject({ count: z.int().min(1), perMs: z.number().min(1).max(longestDelayMs) })
		.optional(),
	order: z.enum(["none", "key", "endpoint"]).default("none"),
	timeoutMs: z.number().min(1).max(600_000).optional(),
	retry: z
		.strictObject({
			delaysMs: z.array(delayMs).max(100).optional(),
			jitter: z.number().min(0).max(1).optional(),
		})
		.optional(),
	compress: z.enum(["gzip"]).optional(),
	tls: tls.optional(),
	verify: z.enum(["challenge", "cloudevents"]).optional(),
};

const settingsSchema = z.strictObject(fields);
const inputSchema = z.strictObject({
	...fields,
	signature: z.enum(["v1", "v1a", "github", "stripe"]).default("v1"),
	secret: z.string().optional(),
});

/** What of a bridge an endpoint may name or need. */
export interface NamedFunctions {
	readonly origin: string | undefined;
	readonly filters: ReadonlyMap<string, unknown>;
	readonly transforms: ReadonlyMap<string, unknown>;
}

/** Checks the fields of a new endpoint; throws ERR_CALLHOOK_INVALID_ENDPOINT with an issue for each bad one. */
export function readEndpointInput(
	input: EndpointInput,
	named: NamedFunctions,
): {
	readonly settings: EndpointSettings;
	readonly signature: SignatureScheme;
	readonly secret?: string | undefined;
} {
	const { signature, secret, ...settings } = parse(inputSchema, input, named);
	return { settings: settings as EndpointSettings, signature, secret };
}

/** Checks all fields of an endpoint that was changed; throws as {@link readEndpointInput} does. */
export function readEndpointSettings(settings: unknown, named: NamedFunctions): EndpointSettings {
	return parse(settingsSchema, settings, named) as EndpointSettings;
}

function parse<Schema extends typeof settingsSchema | typeof inputSchema>(
	schema: Schema,
	value: unknown,
	{ origin, filters, transforms }: NamedFunctions,
): z.output<Schema> {
	const result = schema.safeParse(value);
	const issues: DataIssue[] = result.success
		? []
		: result.error.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message }));
	for (const [field, known] of [
		["filter", filters],
		["transform", transforms],
	] as const) {
		const name: unknown = (value as Partial<Record<string, unknown>> | null)?.[field];
		if (typeof name !== "string" || known.has(name)) continue;
		const names = [...known.keys()].join(", ") || "none";
		issues.push({ path: field, message: `the bridge has no ${field} ${describe(name)}; it has ${names}` });
	}
	if (origin === undefined && (value as Partial<EndpointInput> | null)?.verify === "cloudevents")
		issues.push({
			path: "verify",
			message: "the bridge has no origin, which cloudevents asks in the name of",
		});
	// Not a refinement of zod, which asks none where another field is wrong.
	const { signature = "v1", secret } = (value ?? {}) as EndpointInput;
	if (schema === inputSchema && typeof secret === "string" && isScheme(signature)) {
		try {
			checkSecret(signature, secret);
		} catch (error) {
			issues.push({ path: "secret", message: (error as Error).message });
		}
	}
	if (issues.length > 0 || !result.success) throw invalidEndpoint(issues);
	return result.data as z.output<Schema>;
}

export function isScheme(signature: unknown): signature is SignatureScheme {
	return inputSchema.shape.signature.safeParse(signature).success;
}

export function invalidEndpoint(issues: readonly DataIssue[]): CallhookError {
	const list = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
	return new CallhookError("ERR_CALLHOOK_INVALID_ENDPOINT", `Invalid endpoint: ${list}`, { issues });
}
