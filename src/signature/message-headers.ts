import { CallhookError } from "../errors.ts";
import { isMessageId } from "../internal/message-id.ts";
import { invalidOption } from "../internal/options.ts";
import { decodeBase64 } from "./base64.ts";
import { hmacVersion, webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "./headers.ts";

/** Request headers: a `Headers` object, or a plain one in which names may have any case. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** What the three headers of a message say, once each is well formed. Nothing here is to be trusted yet. */
export interface MessageHeaders {
	readonly id: string;
	/** As sent, since these very characters are signed. */
	readonly timestamp: string;
	/** The `v1` signatures, decoded. */
	readonly candidates: readonly Uint8Array<ArrayBuffer>[];
}

// Twelve digits last until the year 33658; thirteen are milliseconds.
const timestampPattern = /^\d{1,12}$/;
// Exactly 32 bytes: the last character has two bits to spare, which must be zero, so one signature has one spelling.
const signaturePattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
// A sender in the middle of rotations lists a handful; the bound is what a forger may make us compare.
const maxCandidates = 32;

/** Reads and judges the three headers. Throws ERR_CALLHOOK_SIGNATURE_HEADER or ERR_CALLHOOK_SIGNATURE_TIMESTAMP. */
export function readMessageHeaders(headers: WebhookHeaders): MessageHeaders {
	if (typeof headers !== "object" || headers === null) {
		throw invalidOption("headers", "a Headers object or a plain object", headers);
	}
	const id = readHeader(headers, webhookIdHeader);
	const timestamp = readHeader(headers, webhookTimestampHeader);
	const signatures = readHeader(headers, webhookSignatureHeader);
	if (!isMessageId(id)) {
		throw headerError(webhookIdHeader, "it is longer than 256 characters or holds one that is not allowed");
	}
	if (!timestampPattern.test(timestamp)) {
		throw new CallhookError(
			"ERR_CALLHOOK_SIGNATURE_TIMESTAMP",
			`Header "${webhookTimestampHeader}" must be a whole number of Unix seconds`,
			{ received: timestamp.slice(0, 32) },
		);
	}
	return { id, timestamp, candidates: readCandidates(signatures) };
}

function readCandidates(signatures: string): Uint8Array<ArrayBuffer>[] {
	return signatures
		.split(" ")
		.filter((entry) => entry.startsWith(`${hmacVersion},`))
		.map((entry) => entry.slice(hmacVersion.length + 1))
		.filter((signature) => signaturePattern.test(signature))
		.slice(0, maxCandidates)
		.map(decodeBase64);
}

function readHeader(headers: WebhookHeaders, name: string): string {
	const values = headerValues(headers, name);
	const [value] = values;
	if (value === undefined) throw headerError(name, "it is missing");
	// Headers objects and node:http join a repeated header with ", ", which no id or timestamp and no well-formed list has in it.
	if (values.length > 1 || value.includes(", ")) throw headerError(name, "it is repeated");
	if (value === "") throw headerError(name, "it is empty");
	return value;
}

function headerValues(headers: WebhookHeaders, name: string): readonly string[] {
	// Not instanceof: a Headers object may come from another realm or from a polyfill.
	if (isHeaders(headers)) {
		const value = headers.get(name);
		return value === null ? [] : [value];
	}
	return Object.entries(headers).flatMap(([key, value]) =>
		value !== undefined && key.length === name.length && key.toLowerCase() === name ? value : [],
	);
}

function isHeaders(headers: WebhookHeaders): headers is Headers {
	return typeof headers.get === "function";
}

function headerError(header: string, reason: string): CallhookError {
	return new CallhookError("ERR_CALLHOOK_SIGNATURE_HEADER", `Header "${header}" cannot be used: ${reason}`, {
		header,
		reason,
	});
}
