import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { CallhookError } from "../errors.ts";
import { invalidOption } from "../internal/options.ts";

/** Encrypts what the store must not be able to tell: AES-256-GCM, under the first of several keys. */
export interface SecretBox {
	/** Encrypts; without a key it returns the text as it is. `owner` has to be the same to open it. */
	seal(text: string, owner: string): string;
	/** Decrypts what was sealed under any of the keys. Throws ERR_CALLHOOK_SECRET_KEY. */
	open(sealed: string, owner: string): string;
	/** Whether it was sealed under the first key: others may be retired once all are. */
	isCurrent(sealed: string): boolean;
}

interface BoxKey {
	readonly id: string;
	readonly key: Buffer;
}

const prefix = "sealed:1:";
const ivBytes = 12;
const tagBytes = 16;

/** `keys`: 32 bytes in base64 or hex each, the one in use first, then those that came before it. */
export function createSecretBox(keys: string | readonly string[] | undefined): SecretBox {
	const boxKeys = (keys === undefined ? [] : Array.isArray(keys) ? keys : [keys]).map(readKey);
	const [current] = boxKeys;
	// An empty list would mean no encryption, which nobody asks for so.
	if (keys !== undefined && current === undefined)
		throw invalidOption("secretKey", "a key, or several", keys);
	return {
		seal(text, owner) {
			if (current === undefined) return text;
			const iv = randomBytes(ivBytes);
			const cipher = createCipheriv("aes-256-gcm", current.key, iv).setAAD(Buffer.from(owner));
			const sealed = Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
			return `${prefix}${current.id}:${sealed.toString("base64")}`;
		},
		open(sealed, owner) {
			if (!sealed.startsWith(prefix)) return sealed;
			const [id, data] = sealed.slice(prefix.length).split(":");
			const found = boxKeys.find((each) => each.id === id);
			if (found === undefined) throw secretKeyError(owner, "it was encrypted with a key that is not given");
			try {
				const bytes = Buffer.from(data ?? "", "base64");
				const decipher = createDecipheriv("aes-256-gcm", found.key, bytes.subarray(0, ivBytes))
					.setAAD(Buffer.from(owner))
					.setAuthTag(bytes.subarray(-tagBytes));
				const text = decipher.update(bytes.subarray(ivBytes, -tagBytes));
				return Buffer.concat([text, decipher.final()]).toString("utf8");
			} catch (cause) {
				throw secretKeyError(owner, "it was changed after it was encrypted", cause);
			}
		},
		isCurrent: (sealed) => sealed.startsWith(current === undefined ? "" : `${prefix}${current.id}:`),
	};
}

function readKey(text: string, index: number): BoxKey {
	const isHex = /^[0-9a-f]{64}$/iu.test(String(text));
	const isBase64 = typeof text === "string" && /^[A-Za-z0-9+/]{43}=?$/u.test(text);
	// Of the key nothing is said.
	if (!isHex && !isBase64)
		throw invalidOption(`secretKey[${index}]`, "32 bytes in base64 or hex", "something else");
	const key = Buffer.from(text, isHex ? "hex" : "base64");
	return { id: createHash("sha256").update(key).digest("hex").slice(0, 8), key };
}

function secretKeyError(endpointId: string, reason: string, cause?: unknown): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_SECRET_KEY",
		`The secret of endpoint "${endpointId}" cannot be decrypted: ${reason}`,
		{ endpointId, reason },
		{ cause },
	);
}
