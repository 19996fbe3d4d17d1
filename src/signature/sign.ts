import { createHmac, createSecretKey, type KeyObject, sign as signWith } from "node:crypto";
import { webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "./headers.ts";
import { parsePrivateKey } from "./key-pair.ts";
import { invalidSecret, parseSecret } from "./secrets.ts";
import { parseTextSecret, type SignatureScheme, unknownScheme } from "./signing-secrets.ts";

/** A secret and what it signs. */
export interface SigningKey {
	readonly scheme: SignatureScheme;
	readonly secret: string;
}

/** One attempt to deliver one message. */
export interface OutgoingMessage {
	/** Without a dot, or a receiver cannot tell where the timestamp begins. */
	readonly id: string;
	readonly type: string;
	/** When the attempt is made, a whole number. */
	readonly timestampSeconds: number;
	/** The very bytes that are sent. */
	readonly body: Uint8Array;
}

/** Signs messages with keys that were imported once; made by {@link createMessageSigner}. */
export interface MessageSigner {
	/** The headers to add to the request. */
	sign(message: OutgoingMessage): Record<string, string>;
}

type Signing = (message: OutgoingMessage) => string;

/**
 * Makes a signer of all the keys that hold now: several while one replaces another, or while an endpoint moves from
 * one scheme to another. Every message gets `webhook-id` and `webhook-timestamp`, and by scheme:
 *
 * - `v1`, `v1a`: one `webhook-signature` with an entry for each such key, in the order given.
 * - `github`: `x-hub-signature-256`, `x-github-event` and `x-github-delivery`. It holds one signature, so of several
 *   keys the first signs.
 * - `stripe`: `stripe-signature`, with a `v1` for each such key.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET for a secret that does not fit its scheme, and for no key at all.
 */
export function createMessageSigner(keys: readonly SigningKey[]): MessageSigner {
	if (keys.length === 0) throw invalidSecret("given", "there is none");
	const standard: Signing[] = [];
	const github: Signing[] = [];
	const stripe: Signing[] = [];
	for (const { scheme, secret } of keys) {
		switch (scheme) {
			case "v1":
				standard.push(signHmac(createSecretKey(parseSecret(secret))));
				break;
			case "v1a":
				standard.push(signEd25519(parsePrivateKey(secret)));
				break;
			case "github":
				github.push(signGithub(createSecretKey(parseTextSecret(secret))));
				break;
			case "stripe":
				stripe.push(signStripe(createSecretKey(parseTextSecret(secret))));
				break;
			default:
				throw unknownScheme(scheme);
		}
	}
	const [signAsGithub] = github;

	return {
		sign(message) {
			const timestamp = String(message.timestampSeconds);
			const headers: Record<string, string> = {
				[webhookIdHeader]: message.id,
				[webhookTimestampHeader]: timestamp,
			};
			if (standard.length > 0) headers[webhookSignatureHeader] = signAll(standard, message, " ");
			if (signAsGithub !== undefined) {
				headers["x-hub-signature-256"] = signAsGithub(message);
				headers["x-github-event"] = message.type;
				headers["x-github-delivery"] = message.id;
			}
			if (stripe.length > 0) headers["stripe-signature"] = `t=${timestamp},${signAll(stripe, message, ",")}`;
			return headers;
		},
	};
}

function signAll(signings: readonly Signing[], message: OutgoingMessage, separator: string): string {
	return signings.map((sign) => sign(message)).join(separator);
}

function signHmac(key: KeyObject): Signing {
	return ({ id, timestampSeconds, body }) => {
		const hmac = createHmac("sha256", key).update(`${id}.${timestampSeconds}.`).update(body);
		return `v1,${hmac.digest("base64")}`;
	};
}

function signEd25519(key: KeyObject): Signing {
	return ({ id, timestampSeconds, body }) => {
		// In one piece: Ed25519 reads what it signs twice.
		const signed = Buffer.concat([Buffer.from(`${id}.${timestampSeconds}.`), body]);
		return `v1a,${signWith(null, signed, key).toString("base64")}`;
	};
}

function signGithub(key: KeyObject): Signing {
	return ({ body }) => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
}

function signStripe(key: KeyObject): Signing {
	return ({ timestampSeconds, body }) => {
		const hmac = createHmac("sha256", key).update(`${timestampSeconds}.`).update(body);
		return `v1=${hmac.digest("hex")}`;
	};
}
