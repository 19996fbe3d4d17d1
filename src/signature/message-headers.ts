import { CallhookError } from "../errors.ts";
import { decodeBase64 } from "../internal/base64.ts";
import { isMessageId } from "../internal/message-id.ts";
import { invalidOption } from "../internal/options.ts";
import {
	type SignatureVersion,
	webhookIdHeader,
	webhookSignatureHeader,
	webhookTimestampHeader,
} from "./headers.ts";

/** Request headers: a `Headers` object, or a plain one in which names may have any case. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** What the three headers of a message say, once each is well formed. Nothing here is to be trusted yet. */
export interface MessageHeaders {
	readonly id: string;
	/** As sent, since these very characters are signed. */
	readonly timestamp: string;
	/** The well-formed signatures of each version, decoded. */
	readonly candidates: Candidates;
}

export type Candidates = Readonly<Record<SignatureVersion, readonly Uint8Array<ArrayBuffer>[]>>;

// Twelve digits last until the year 33658; thirteen are milliseconds.
const timestampPattern = /^\d{1,12}$/;

// Exactly 32 and 64 bytes: the last character has bits to spare, which must be zero, so one signature has one spelling.
const hmacPattern = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const ed25519Pattern = /^[A-Za-z0-9+/]{85}[AQgw]==$/;
// A sender in the middle of rotations lists a handful, and one that is known lists up to 11; the bounds are what a forger
// may make us compare. An HMAC is hashed once for all of them, but each Ed25519 signature hashes the whole body again.
const maxHmacs = 32;
const maxEd25519 = 12;

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
	const entries = signatures.split(" ");
	return {
		id,
		timestamp,
		candidates: {
			v1: readCandidates(entries, "v1,", hmacPattern, maxHmacs),
			v1a: readCandidates(entries, "v1a,", ed25519Pattern, maxEd25519),
		},
	};
}

function readCandidates(
	entries: readonly string[],
	tag: `${SignatureVersion},`,
	pattern: RegExp,
	max: number,
): Uint8Array<ArrayBuffer>[] {
	return entries
		.filter((entry) => entry.startsWith(tag))
		.map((entry) => entry.slice(tag.length))
		.filter((signature) => pattern.test(signature))
		.slice(0, max)
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
