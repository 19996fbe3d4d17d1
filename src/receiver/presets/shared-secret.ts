import { CallhookError } from "../../errors.ts";
import { isMessageId } from "../../internal/message-id.ts";
import { invalidSecret } from "../../signature/verify.ts";
import { invalidBody } from "../content.ts";

/** What a preset needs of its sender. */
export interface PresetOptions {
	/** The secret that the sender shows, as it shows it; or several while one replaces another. */
	readonly secret: string | readonly string[];
}

/** Whether one of the signatures is the HMAC-SHA256 of the text with one of the secrets; in constant time. */
export type IsSigned = (signed: Uint8Array, signatures: readonly Uint8Array[]) => Promise<boolean>;

const minCharacters = 8;
const algorithm = { name: "HMAC", hash: "SHA-256" };

/** Throws ERR_CALLHOOK_INVALID_SECRET at once for what can be no secret. */
export function createHmacVerifier(secret: PresetOptions["secret"]): IsSigned {
	const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
	if (secrets.length === 0) throw invalidSecret("given", "there is none");
	const keys = secrets.map((each) => {
		if (typeof each !== "string" || each.length < minCharacters) {
			const reason = typeof each === "string" && each !== "" ? "it is shorter" : "it is missing or empty";
			throw invalidSecret(`a text of at least ${minCharacters} characters`, reason);
		}
		return crypto.subtle.importKey("raw", new TextEncoder().encode(each), algorithm, false, ["verify"]);
	});
	return async (signed, signatures) => {
		for (const key of keys) {
			for (const signature of signatures) {
				if (await crypto.subtle.verify("HMAC", await key, copy(signature), copy(signed))) return true;
			}
		}
		return false;
	};
}

// WebCrypto takes no view of a buffer that threads share, and the type says it might be one.
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	return new Uint8Array(bytes);
}

/** The bytes of `prefix` and of the body behind it. */
export function joinText(prefix: string, body: Uint8Array): Uint8Array {
	const head = new TextEncoder().encode(prefix);
	const joined = new Uint8Array(head.length + body.length);
	joined.set(head);
	joined.set(body, head.length);
	return joined;
}

/** The 32 bytes of a hash in lower-case hex; `undefined` for anything else. */
export function readHex(text: string): Uint8Array | undefined {
	if (!/^[\da-f]{64}$/u.test(text)) return undefined;
	return Uint8Array.from({ length: 32 }, (_, index) =>
		Number.parseInt(text.slice(index * 2, index * 2 + 2), 16),
	);
}

/** Throws ERR_CALLHOOK_SIGNATURE_HEADER where a header is missing, empty or repeated. */
export function readHeader(headers: Headers, name: string): string {
	const value = headers.get(name);
	if (value === null) throw headerError(name, "it is missing");
	if (value === "") throw headerError(name, "it is empty");
	if (value.includes(", ")) throw headerError(name, "it is repeated");
	return value;
}

/** The same for a header that becomes an event's id. */
export function readIdHeader(headers: Headers, name: string): string {
	const id = readHeader(headers, name);
	if (isMessageId(id)) return id;
	throw headerError(name, "it is longer than 256 characters or holds one that is not allowed");
}

export function headerError(header: string, reason: string): CallhookError {
	return new CallhookError("ERR_CALLHOOK_SIGNATURE_HEADER", `Header "${header}" cannot be used: ${reason}`, {
		header,
		reason,
	});
}

/** Unix seconds. Throws ERR_CALLHOOK_SIGNATURE_TIMESTAMP. */
export function readSeconds(text: string): number {
	if (/^\d{1,12}$/u.test(text)) return Number(text);
	throw new CallhookError(
		"ERR_CALLHOOK_SIGNATURE_TIMESTAMP",
		"The timestamp must be a whole number of Unix seconds",
		{
			received: text.slice(0, 32),
		},
	);
}

export function mismatch(candidates: number): CallhookError {
	const message = "No signature is genuine: another secret, or a body that was changed on the way";
	return new CallhookError("ERR_CALLHOOK_SIGNATURE_MISMATCH", message, { candidates });
}

/** A member of the body that has to be a text. Throws ERR_CALLHOOK_INVALID_BODY. */
export function readText(body: Readonly<Record<string, unknown>>, name: string): string {
	const value = body[name];
	if (typeof value === "string" && value !== "") return value;
	throw invalidBody(`"${name}" is not a non-empty string`);
}

/** The same for one that becomes an event's id. */
export function readId(body: Readonly<Record<string, unknown>>, name: string): string {
	const id = readText(body, name);
	if (isMessageId(id)) return id;
	throw invalidBody(`"${name}" cannot be an id`);
}

/** Whether the content type is JSON: all that presets take. */
export function isJson(headers: Headers): boolean {
	return headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() === "application/json";
}

export function toIso(seconds: number): string {
	// Twelve digits of seconds are far within what a Date can hold.
	return new Date(seconds * 1_000).toISOString();
}
