import { parseSecret } from "./secrets.ts";

// Far more secrets than one receiver uses at a time; the bound is for programs that look a secret up per tenant.
const capacity = 256;
const imported = new Map<string, Promise<CryptoKey>>();

/**
 * The WebCrypto key of a secret, imported once while it is in use. Throws ERR_CALLHOOK_INVALID_SECRET at once, not in
 * the promise.
 */
export function importVerifyKey(secret: string): Promise<CryptoKey> {
	const known = imported.get(secret);
	if (known !== undefined) return known;
	const algorithm = { name: "HMAC", hash: "SHA-256" };
	const key = crypto.subtle.importKey("raw", parseSecret(secret), algorithm, false, ["sign", "verify"]);
	const [oldest] = imported.keys();
	if (imported.size >= capacity && oldest !== undefined) imported.delete(oldest);
	imported.set(secret, key);
	return key;
}
