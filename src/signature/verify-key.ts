import type { SignatureVersion } from "./headers.ts";
import { invalidSecret, parsePublicKey, parseSecret, publicPrefix } from "./secrets.ts";

/** A key and the only signatures it verifies. */
export interface VerifyKey {
	readonly version: SignatureVersion;
	/** Rejects with ERR_CALLHOOK_INVALID_SECRET where the runtime cannot use it. */
	readonly key: Promise<CryptoKey>;
}

// Far more secrets than one receiver uses at a time; the bound is for programs that look a secret up per tenant.
const capacity = 256;
const imported = new Map<string, VerifyKey>();

/**
 * The WebCrypto key of a shared secret or, by its prefix `whpk_`, of a public key; imported once while it is in use.
 * Throws ERR_CALLHOOK_INVALID_SECRET at once, not in the promise.
 */
export function importVerifyKey(secret: string): VerifyKey {
	const known = imported.get(secret);
	if (known !== undefined) return known;
	const key = isPublicKey(secret) ? importPublicKey(secret) : importSecret(secret);
	const [oldest] = imported.keys();
	if (imported.size >= capacity && oldest !== undefined) imported.delete(oldest);
	imported.set(secret, key);
	return key;
}

function isPublicKey(secret: unknown): boolean {
	return typeof secret === "string" && secret.startsWith(publicPrefix);
}

function importSecret(secret: string): VerifyKey {
	const algorithm = { name: "HMAC", hash: "SHA-256" };
	const key = crypto.subtle.importKey("raw", parseSecret(secret), algorithm, false, ["sign", "verify"]);
	return { version: "v1", key };
}

function importPublicKey(text: string): VerifyKey {
	const imports = crypto.subtle.importKey("raw", parsePublicKey(text), "Ed25519", false, ["verify"]);
	const key = imports.catch((cause: unknown) => {
		const reason = `the WebCrypto of this runtime does not take it (${(cause as Error).name})`;
		throw invalidSecret("a public key that Ed25519 can use", reason, cause);
	});
	// Whoever verifies with it sees the rejection. Until then nobody waits for it, which must not end the process.
	key.catch(() => undefined);
	return { version: "v1a", key };
}
