import { CallhookError } from "../../errors.ts";
import { invalidSecret } from "../../signature/verify.ts";
import { readHeader } from "./shared-secret.ts";

/** Rejects a request whose header holds none of the tokens. */
export type CheckToken = (headers: Headers) => Promise<void>;

const minCharacters = 16;
// What can stand in a header, and is not taken for a list of two, which has a comma and a space.
const usable = /^(?!.*, )[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const bearer = /^bearer +/iu;

/**
 * Tokens as `Authorization: Bearer` has them, or as the value of another header. Throws ERR_CALLHOOK_INVALID_SECRET at once
 * for what can be no token.
 */
export function createTokenCheck(token: string | readonly string[], header: string | undefined): CheckToken {
	const tokens: readonly unknown[] = Array.isArray(token) ? token : [token];
	if (tokens.length === 0) throw invalidSecret("given", "there is none");
	for (const each of tokens) {
		if (typeof each === "string" && each.length >= minCharacters && usable.test(each)) continue;
		throw invalidSecret(
			`a token of at least ${minCharacters} printable ASCII characters, no comma in front of a space`,
			each === undefined || each === "" ? "it is missing or empty" : "it is not",
		);
	}
	let proofs: ReturnType<typeof prove> | undefined;
	const name = header ?? "authorization";
	return async (headers) => {
		const value = readHeader(headers, name);
		const given = header === undefined ? value.replace(bearer, "") : value;
		// With the first request: edge runtimes refuse random values while a module loads.
		proofs ??= prove(tokens as readonly string[]);
		const { key, signatures } = await proofs;
		const bytes = new TextEncoder().encode(given);
		// All of them, so that the time does not tell which.
		const matches = await Promise.all(
			signatures.map((proof) => crypto.subtle.verify("HMAC", key, proof, bytes)),
		);
		const isBearer = header !== undefined || bearer.test(value);
		if (isBearer && matches.includes(true)) return;
		throw new CallhookError(
			"ERR_CALLHOOK_SIGNATURE_MISMATCH",
			`Header "${name}" holds no token that is known`,
			{
				candidates: 1,
			},
		);
	};
}

/** What is compared are HMACs under a key of this moment: their verification takes the same time for every text. */
async function prove(
	tokens: readonly string[],
): Promise<{ readonly key: CryptoKey; readonly signatures: readonly ArrayBuffer[] }> {
	const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
	const sign = (token: string) => crypto.subtle.sign("HMAC", key, new TextEncoder().encode(token));
	return { key, signatures: await Promise.all(tokens.map(sign)) };
}
