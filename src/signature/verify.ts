import { CallhookError } from "../errors.ts";
import { checkFunction, checkNumber, checkOptions, describe } from "../internal/options.ts";
import type { SignatureVersion } from "./headers.ts";
import { type Candidates, readMessageHeaders, type WebhookHeaders } from "./message-headers.ts";
import { invalidSecret } from "./secrets.ts";
import { importVerifyKey, type VerifyKey } from "./verify-key.ts";

export { invalidSecret };

/** What a verifier needs to know beforehand. */
export interface VerifierOptions {
	/**
	 * One secret (`whsec_…`) or public key (`whpk_…`), or several while one replaces another: a message signed with any of
	 * them passes.
	 */
	readonly secrets: string | readonly string[];
	/** How old, or how far ahead, a message may be; exactly as much still passes. Default: 300. */
	readonly toleranceSeconds?: number | undefined;
	/** Milliseconds since the Unix epoch. Default: `Date.now`. */
	readonly now?: (() => number) | undefined;
}

/** A message to verify, and with what; see {@link verifyWebhook}. */
export interface VerifyWebhookOptions extends VerifierOptions {
	/** The body as it came over the wire. Bytes, or a string if it was UTF-8; never the output of a JSON parser. */
	readonly body: string | Uint8Array;
	readonly headers: WebhookHeaders;
}

/** A message whose signature is genuine and whose time is within the tolerance. */
export interface WebhookMessage {
	/** The `webhook-id`: the same in every attempt to deliver this message. */
	readonly id: string;
	/** Unix seconds at which this attempt was made. */
	readonly timestamp: number;
	/** A copy of the very bytes that were verified. */
	readonly body: Uint8Array;
}

/** Verifies one message; rejects as {@link verifyWebhook} does. */
export type Verifier = (body: string | Uint8Array, headers: WebhookHeaders) => Promise<WebhookMessage>;

/**
 * Verifies one message signed as Standard Webhooks (standardwebhooks.com, 1.0.0) says, over the raw bytes of
 * `id.timestamp.body` and in constant time: `v1`, HMAC-SHA256 with a shared secret, or `v1a`, Ed25519 with the sender's
 * public key. A key verifies signatures of its own version only.
 *
 * Rejects with ERR_CALLHOOK_SIGNATURE_HEADER when one of the three headers is missing, empty, repeated or malformed,
 * ERR_CALLHOOK_SIGNATURE_TIMESTAMP when the timestamp is not a whole number, ERR_CALLHOOK_SIGNATURE_EXPIRED or
 * ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID outside the tolerance, ERR_CALLHOOK_SIGNATURE_MISMATCH when no signature is
 * genuine; and for the program's own mistakes with ERR_CALLHOOK_INVALID_SECRET, ERR_CALLHOOK_INVALID_OPTION, or
 * ERR_CALLHOOK_INVALID_BODY when the body is not raw. The private half of a key pair (`whsk_…`) is no secret for a
 * receiver: ERR_CALLHOOK_INVALID_SECRET.
 *
 * A message can be sent again within the tolerance: drop ids you have seen.
 *
 * @example
 * ```ts
 * const message = await verifyWebhook({ body: await request.text(), headers: request.headers, secrets: secret });
 * const order = JSON.parse(new TextDecoder().decode(message.body));
 * ```
 */
export async function verifyWebhook(options: VerifyWebhookOptions): Promise<WebhookMessage> {
	checkOptions("options", options, ["body", "headers", "secrets", "toleranceSeconds", "now"]);
	return createVerifier(options)(options.body, options.headers);
}

/** Makes a verifier whose options are checked now: throws ERR_CALLHOOK_INVALID_SECRET or ERR_CALLHOOK_INVALID_OPTION. */
export function createVerifier(options: VerifierOptions): Verifier {
	const { secrets, toleranceSeconds = 300, now = Date.now } = options;
	checkNumber("toleranceSeconds", toleranceSeconds, { min: 0, integer: false });
	checkFunction("now", now);
	const keys = (Array.isArray(secrets) ? secrets : [secrets]).map(importVerifyKey);
	if (keys.length === 0) throw invalidSecret("given", "there is none");

	return async (body, headers) => {
		const message = readMessageHeaders(headers);
		const timestamp = Number(message.timestamp);
		checkAge(Math.floor(now() / 1_000) - timestamp, toleranceSeconds);
		// Copied before the first await, so that a caller who reuses the buffer cannot change what was verified.
		const prefix = new TextEncoder().encode(`${message.id}.${message.timestamp}.`);
		const signed = concat(prefix, rawBytes(body));
		for (const key of keys) {
			if (await isSignedWith(key, signed, message.candidates)) {
				return { id: message.id, timestamp, body: signed.subarray(prefix.length) };
			}
		}
		throw mismatch(new Set(keys.map(({ version }) => version)), message.candidates);
	};
}

/** Throws ERR_CALLHOOK_SIGNATURE_EXPIRED or ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID outside the tolerance. */
export function checkAge(ageSeconds: number, toleranceSeconds: number): void {
	// The comparisons are negated so that a clock which answers NaN refuses instead of accepting.
	if (!(ageSeconds <= toleranceSeconds)) {
		throw new CallhookError(
			"ERR_CALLHOOK_SIGNATURE_EXPIRED",
			`The message is ${ageSeconds} s old, more than the tolerance of ${toleranceSeconds} s`,
			{ ageSeconds, toleranceSeconds },
		);
	}
	if (!(-ageSeconds <= toleranceSeconds)) {
		throw new CallhookError(
			"ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID",
			`The message is dated ${-ageSeconds} s ahead, more than the tolerance of ${toleranceSeconds} s`,
			{ aheadSeconds: -ageSeconds, toleranceSeconds },
		);
	}
}

async function isSignedWith(
	{ version, key }: VerifyKey,
	signed: Uint8Array<ArrayBuffer>,
	candidates: Candidates,
): Promise<boolean> {
	const isSigned = version === "v1" ? isSignedWithSecret : isSignedWithPair;
	return isSigned(await key, signed, candidates[version]);
}

async function isSignedWithPair(
	key: CryptoKey,
	signed: Uint8Array<ArrayBuffer>,
	candidates: Candidates["v1a"],
): Promise<boolean> {
	for (const candidate of candidates) {
		if (await crypto.subtle.verify("Ed25519", key, candidate, signed)) return true;
	}
	return false;
}

async function isSignedWithSecret(
	key: CryptoKey,
	signed: Uint8Array<ArrayBuffer>,
	candidates: Candidates["v1"],
): Promise<boolean> {
	const [first, second] = candidates;
	if (first === undefined) return false;
	if (second === undefined) return crypto.subtle.verify("HMAC", key, first, signed);
	// Each verify hashes all it is given, so a forger's long list over a long body would be dear. The body is hashed
	// once; a candidate equals that signature if their own 32-byte HMACs are equal, which verify compares safely.
	const expected = await crypto.subtle.sign("HMAC", key, signed);
	const proof = await crypto.subtle.sign("HMAC", key, expected);
	for (const candidate of candidates) {
		if (await crypto.subtle.verify("HMAC", key, proof, candidate)) return true;
	}
	return false;
}

function rawBytes(body: string | Uint8Array): Uint8Array {
	if (typeof body === "string") return new TextEncoder().encode(body);
	// Not instanceof: test runners and sandboxes hand over the Uint8Array of another realm.
	if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
	const reason = `expected the raw bytes or text, but got ${describe(body)}, perhaps from a JSON parser`;
	throw new CallhookError("ERR_CALLHOOK_INVALID_BODY", `The body cannot be verified: ${reason}`, { reason });
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
	const bytes = new Uint8Array(head.length + tail.length);
	bytes.set(head);
	bytes.set(tail, head.length);
	return bytes;
}

function mismatch(versions: ReadonlySet<SignatureVersion>, given: Candidates): CallhookError {
	const candidates = [...versions].reduce((sum, version) => sum + given[version].length, 0);
	const message =
		candidates === 0
			? `The message carries no well-formed ${[...versions].join(" or ")} signature`
			: `None of ${candidates} signatures is genuine: another secret, or a body that was changed on the way`;
	return new CallhookError("ERR_CALLHOOK_SIGNATURE_MISMATCH", message, { candidates });
}
