import { createHmac, createSecretKey } from "node:crypto";
import { hmacVersion } from "./headers.ts";
import { parseSecret } from "./secrets.ts";

/** Signs messages with one secret; made by {@link createSigner}. */
export interface Signer {
	/**
	 * Returns one entry of the `webhook-signature` header, over exactly these bytes. The id must not contain a dot and
	 * the timestamp must be a whole number, or the receiver cannot tell where the body begins.
	 */
	sign(id: string, timestampSeconds: number, body: Uint8Array): string;
}

/**
 * Makes a signer of Standard Webhooks `v1`: HMAC-SHA256 over `id.timestamp.body`. Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const signer = createSigner(generateSecret());
 * const signature = signer.sign("evt_1", 1614265330, new TextEncoder().encode("{}")); // "v1,…"
 * ```
 */
export function createSigner(secret: string): Signer {
	const key = createSecretKey(parseSecret(secret));
	return {
		sign(id, timestampSeconds, body) {
			const hmac = createHmac("sha256", key).update(`${id}.${timestampSeconds}.`).update(body);
			return `${hmacVersion},${hmac.digest("base64")}`;
		},
	};
}
