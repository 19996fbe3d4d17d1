import { randomBytes } from "node:crypto";
import { invalidOption } from "../internal/options.ts";
import { generatePrivateKey, parsePrivateKey } from "./key-pair.ts";
import { invalidSecret, parseSecret, sharedPrefix } from "./secrets.ts";

/**
 * How messages are signed: Standard Webhooks with a shared secret (`v1`) or with a key pair (`v1a`), or in the manner of
 * GitHub or Stripe.
 */
export type SignatureScheme = "v1" | "v1a" | "github" | "stripe";

const generatedBytes = 32;
const textForm = "16 to 256 printable characters";
// No controls, no invisible characters, no line ends, and no half of a surrogate pair, which has no UTF-8.
const printableText = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{16,256}$/u;

/**
 * Makes a secret for a scheme. `v1`: `whsec_` and 32 random bytes in base64. `v1a`: `whsk_` and the 64 bytes of an
 * Ed25519 key pair, the seed first. `github` and `stripe`: a random text of 43 characters.
 *
 * @example
 * ```ts
 * const secret = generateSecret(); // "whsec_…", 50 characters
 * ```
 */
export function generateSecret(scheme: SignatureScheme = "v1"): string {
	switch (scheme) {
		case "v1":
			return sharedPrefix + randomBytes(generatedBytes).toString("base64");
		case "v1a":
			return generatePrivateKey();
		case "github":
		case "stripe":
			return randomBytes(generatedBytes).toString("base64url");
		default:
			throw unknownScheme(scheme);
	}
}

/**
 * Checks that a secret can sign: for `v1` 24 to 64 bytes in base64, with or without `whsec_`; for `v1a` an Ed25519 key
 * pair or its seed in base64, with or without `whsk_`; for `github` and `stripe` 16 to 256 printable characters. Throws
 * ERR_CALLHOOK_INVALID_SECRET, which never quotes it.
 */
export function checkSecret(scheme: SignatureScheme, secret: string): void {
	switch (scheme) {
		case "v1":
			parseSecret(secret);
			break;
		case "v1a":
			parsePrivateKey(secret);
			break;
		case "github":
		case "stripe":
			parseTextSecret(secret);
			break;
		default:
			throw unknownScheme(scheme);
	}
}

/** The key of a `github` or `stripe` secret: its whole text, a prefix included. Throws ERR_CALLHOOK_INVALID_SECRET. */
export function parseTextSecret(secret: string): Buffer {
	if (typeof secret !== "string" || secret === "") throw invalidSecret(textForm, "it is missing or empty");
	if (!printableText.test(secret)) {
		throw invalidSecret(textForm, "it is shorter or longer, or holds characters that do not show");
	}
	return Buffer.from(secret, "utf8");
}

export function unknownScheme(scheme: never): Error {
	return invalidOption("scheme", '"v1", "v1a", "github" or "stripe"', scheme);
}
