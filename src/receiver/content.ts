import { CallhookError } from "../errors.ts";
import { isDeeperThan } from "./json-depth.ts";

/** How the events of a request are written. */
export type ContentFormat = "json" | "cloudevents-structured" | "cloudevents-batch" | "cloudevents-binary";

/** The format that the headers announce; `undefined` for one that is not taken. */
export function readFormat(headers: Headers): ContentFormat | undefined {
	const type = mediaType(headers);
	if (type === "application/cloudevents+json") return "cloudevents-structured";
	if (type === "application/cloudevents-batch+json") return "cloudevents-batch";
	if (type !== "application/json") return undefined;
	return headers.has("ce-specversion") ? "cloudevents-binary" : "json";
}

// Parameters do not matter: JSON has no charset of its own, and bytes that are not UTF-8 are refused when read.
export function mediaType(headers: Headers): string | undefined {
	return withoutParameters(headers.get("content-type") ?? undefined);
}

export function withoutParameters(contentType: string | undefined): string | undefined {
	return contentType?.split(";")[0]?.trim().toLowerCase();
}

/** Whether a media type is JSON, under its own name or as the syntax of another. */
export function isJsonType(type: string): boolean {
	return type === "application/json" || type === "text/json" || type.endsWith("+json");
}

/** How a body is packed: not at all, or in one of the ways that web standards unpack. */
export type ContentEncoding = "identity" | "gzip" | "deflate";

const encodings = new Map<string, ContentEncoding>([
	["", "identity"],
	["identity", "identity"],
	["gzip", "gzip"],
	["x-gzip", "gzip"],
	["deflate", "deflate"],
]);

/** The packing that the headers announce; `undefined` for one that is not taken, such as two of them. */
export function readEncoding(headers: Headers): ContentEncoding | undefined {
	return encodings.get(headers.get("content-encoding")?.trim().toLowerCase() ?? "");
}

/** How deep JSON may be. What is far deeper can be parsed, but neither checked nor written again: that would be our fault. */
const maxDepth = 500;

/** The JSON value in a body. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseJson(body: Uint8Array): unknown {
	if (isDeeperThan(body, maxDepth)) throw invalidBody(`it is JSON more than ${maxDepth} deep`);
	try {
		return JSON.parse(readText(body));
	} catch (cause) {
		throw invalidBody("it is not JSON in UTF-8", { cause });
	}
}

/** The text in a body. Throws ERR_CALLHOOK_INVALID_BODY where it is not UTF-8. */
export function readText(body: Uint8Array): string {
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(body);
	} catch (cause) {
		throw invalidBody("it is not UTF-8", { cause });
	}
}

/** The same, for a body that must be an object. */
export function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> {
	const value = parseJson(body);
	if (!isObject(value)) throw invalidBody("it is not an object");
	return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function invalidBody(
	reason: string,
	options?: ErrorOptions,
	expected = "a known event",
): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_BODY",
		`The body must be ${expected}: ${reason}`,
		{ reason },
		options,
	);
}
