import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { decodeKey, invalidSecret, privatePrefix, publicPrefix } from "./secrets.ts";

const seedBytes = 32;
const pairBytes = 64;
const form = `the ${pairBytes} bytes of an Ed25519 key pair, or its seed of ${seedBytes}, in base64, with or without the prefix "${privatePrefix}"`;

// RFC 8410: an Ed25519 private key in PKCS #8 is these bytes and the seed.
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** Makes a secret of v1a: `whsk_` and base64 of the seed and its public key. */
export function generatePrivateKey(): string {
	const seed = randomBytes(seedBytes);
	return privatePrefix + Buffer.concat([seed, publicHalf(importSeed(seed))]).toString("base64");
}

/** Reads a secret of v1a, with or without its public half. Throws ERR_CALLHOOK_INVALID_SECRET, which never quotes it. */
export function parsePrivateKey(secret: string): KeyObject {
	const bytes = decodeKey(secret, privatePrefix, form);
	if (bytes.length !== seedBytes && bytes.length !== pairBytes) {
		throw invalidSecret(form, `it holds ${bytes.length} bytes`);
	}
	const key = importSeed(bytes.subarray(0, seedBytes));
	if (bytes.length === pairBytes && !publicHalf(key).equals(bytes.subarray(seedBytes))) {
		throw invalidSecret(form, "its public half does not belong to its seed");
	}
	return key;
}

/**
 * The public key of a v1a secret, which its receivers verify with. Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const publicKey = publicKeyOf(generateSecret("v1a")); // "whpk_…", 49 characters
 * ```
 */
export function publicKeyOf(secret: string): string {
	return publicPrefix + publicHalf(parsePrivateKey(secret)).toString("base64");
}

function importSeed(seed: Uint8Array): KeyObject {
	return createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
}

function publicHalf(key: KeyObject): Buffer {
	// SPKI ends with the raw key.
	return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-seedBytes);
}
