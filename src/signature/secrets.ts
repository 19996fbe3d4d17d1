import { CallhookError } from "../errors.ts";
import { decodeBase64 } from "../internal/base64.ts";

/** What the text of a key begins with, by its kind. */
export const sharedPrefix = "whsec_";
export const privatePrefix = "whsk_";
export const publicPrefix = "whpk_";

const kinds: Readonly<Record<string, string>> = {
	[sharedPrefix]: "the secret that both sides of v1 share",
	[privatePrefix]: `the private half of a v1a key pair, which only signs; receivers take its public half, ${publicPrefix}…`,
	[publicPrefix]: "the public half of a v1a key pair, which only verifies",
};

const minBytes = 24;
const maxBytes = 64;
const sharedForm = `${minBytes} to ${maxBytes} bytes in base64, with or without the prefix "${sharedPrefix}"`;

const publicKeyBytes = 32;
const publicForm = `"${publicPrefix}" and ${publicKeyBytes} bytes in base64`;

// Missing padding is tolerated, and so are stray bits in the last character: other libraries hand out and accept both.
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/**
 * Reads a secret of v1: 24 to 64 bytes in base64, with or without the prefix `whsec_`. Throws
 * ERR_CALLHOOK_INVALID_SECRET for anything else; the secret is in neither the message nor the details.
 */
export function parseSecret(secret: string): Uint8Array<ArrayBuffer> {
	const key = decodeKey(secret, sharedPrefix, sharedForm);
	if (key.length >= minBytes && key.length <= maxBytes) return key;
	throw invalidSecret(sharedForm, `it holds ${key.length} bytes`);
}

/** Reads a public key of v1a: `whpk_` and 32 bytes in base64. Throws ERR_CALLHOOK_INVALID_SECRET. */
export function parsePublicKey(text: string): Uint8Array<ArrayBuffer> {
	const key = decodeKey(text, publicPrefix, publicForm);
	if (key.length === publicKeyBytes) return key;
	throw invalidSecret(publicForm, `it holds ${key.length} bytes`);
}

/** The bytes of a key with or without its prefix; `form` says what was expected. Throws ERR_CALLHOOK_INVALID_SECRET. */
export function decodeKey(text: string, prefix: string, form: string): Uint8Array<ArrayBuffer> {
	// The type says string, but secrets come from the environment, where a missing one is undefined.
	if (typeof text !== "string" || text === "") throw invalidSecret(form, "it is missing or empty");
	for (const [other, kind] of Object.entries(kinds)) {
		if (other !== prefix && text.startsWith(other)) {
			throw invalidSecret(form, `it begins with "${other}": that is ${kind}`);
		}
	}
	const encoded = text.startsWith(prefix) ? text.slice(prefix.length) : text;
	if (!base64.test(encoded)) throw invalidSecret(form, "it is not base64");
	return decodeBase64(encoded);
}

/** The error for a key that cannot be used; neither `form`, which was expected, nor `reason` may quote it. */
export function invalidSecret(form: string, reason: string, cause?: unknown): CallhookError {
	const message = `A signing secret must be ${form}, but ${reason}`;
	const options = cause === undefined ? {} : { cause };
	return new CallhookError("ERR_CALLHOOK_INVALID_SECRET", message, { reason }, options);
}
