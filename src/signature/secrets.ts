import { CallhookError } from "../errors.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";

const secretPrefix = "whsec_";
const minBytes = 24;
const maxBytes = 64;
const generatedBytes = 32;

// Missing padding is tolerated, and so are stray bits in the last character: other libraries hand out and accept both.
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/**
 * Makes a signing secret from 32 random bytes: `whsec_` and base64.
 *
 * @example
 * ```ts
 * const secret = generateSecret(); // "whsec_…", 50 characters
 * ```
 */
export function generateSecret(): string {
	return secretPrefix + encodeBase64(crypto.getRandomValues(new Uint8Array(generatedBytes)));
}

/**
 * Reads a signing secret: 24 to 64 bytes in base64, with or without the prefix `whsec_`. Throws
 * ERR_CALLHOOK_INVALID_SECRET for anything else; the secret is in neither the message nor the details.
 */
export function parseSecret(secret: string): Uint8Array<ArrayBuffer> {
	// The type says string, but secrets come from the environment, where a missing one is undefined.
	if (typeof secret !== "string" || secret === "") throw invalidSecret("it is missing or empty");
	const encoded = secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret;
	if (!base64.test(encoded)) throw invalidSecret("it is not base64");
	const key = decodeBase64(encoded);
	if (key.length < minBytes || key.length > maxBytes) throw invalidSecret(`it holds ${key.length} bytes`);
	return key;
}

/** The error for a secret that cannot be used; `reason` must not quote it. */
export function invalidSecret(reason: string): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_SECRET",
		`A signing secret must be ${minBytes} to ${maxBytes} bytes in base64, with or without the prefix "${secretPrefix}", but ${reason}`,
		{ reason },
	);
}
