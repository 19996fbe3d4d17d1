import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { CallhookErrorCode } from "../errors.ts";
import { createMessageSigner, generateSecret, publicKeyOf, type SigningKey } from "./index.ts";
import { createVerifier, type VerifyWebhookOptions, verifyWebhook, type WebhookMessage } from "./verify.ts";

const privateKey =
	"whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const sharedSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const timestamp = 1_614_265_330;
const text = '{"test": 2432232314}';
const signature = "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const genuine = `v1a,${signature}`;
const hmac = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const decoy = `v1a,${Buffer.alloc(64, 7).toString("base64")}`;
const headers = {
	"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
	"webhook-timestamp": String(timestamp),
	"webhook-signature": genuine,
};
const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
const now = () => timestamp * 1_000;

function verify(changes: Partial<VerifyWebhookOptions> = {}): Promise<WebhookMessage> {
	return verifyWebhook({ body: text, headers, secrets: publicKey, now, ...changes });
}

function listed(entries: string): Partial<VerifyWebhookOptions> {
	return { headers: { ...headers, "webhook-signature": entries } };
}

function signed(keys: readonly SigningKey[], body: Uint8Array = encode(text)): Record<string, string> {
	return createMessageSigner(keys).sign({ id: "msg_1", type: "a", timestampSeconds: timestamp, body });
}

async function refused(code: CallhookErrorCode, changes: Partial<VerifyWebhookOptions>): Promise<void> {
	await expect(verify(changes)).rejects.toMatchObject({ code });
}

describe("verifyWebhook() with a public key - accepts", () => {
	test("the published vector, and gives back id, timestamp and bytes", async () => {
		expect(await verify()).toEqual({ id: headers["webhook-id"], timestamp, body: encode(text) });
	});

	test.each([
		["between decoys and other versions", `${decoy} ${hmac} v2,${signature} ${genuine} ${decoy}`],
		["behind any number of entries that are not well formed", `${"v1a,AAAA ".repeat(300)}${genuine}`],
		["behind any number of v1 entries", `${`${hmac} `.repeat(300)}${genuine}`],
		["behind 11 forgeries", `${`${decoy} `.repeat(11)}${genuine}`],
	])("a genuine signature %s", async (_, entries) => {
		await verify(listed(entries));
	});

	test("either version while an endpoint moves from one to the other", async () => {
		const secrets = [sharedSecret, publicKey];
		const both: SigningKey[] = [
			{ scheme: "v1", secret: sharedSecret },
			{ scheme: "v1a", secret: privateKey },
		];
		for (const keys of [both.slice(0, 1), both.slice(1), both, [...both].reverse()]) {
			await verify({ secrets, headers: signed(keys) });
			await verify({ secrets: [...secrets].reverse(), headers: signed(keys) });
		}
		await verify({ headers: signed(both) });
		await verify({ secrets: sharedSecret, headers: signed(both) });
	});

	test("any of several public keys", async () => {
		const other = generateSecret("v1a");
		const secrets = [publicKeyOf(other), publicKey];
		await verify({ secrets });
		await verify({ secrets, headers: signed([{ scheme: "v1a", secret: other }]) });
	});

	test("any bytes with their own signature, and none with another's", async () => {
		const keys: SigningKey[] = [{ scheme: "v1a", secret: privateKey }];
		const bytes = fc.uint8Array({ maxLength: 300 });
		await fc.assert(
			fc.asyncProperty(bytes, bytes, async (body, other) => {
				const given = signed(keys, body);
				expect((await verify({ body, headers: given })).body).toEqual(body);
				if (Buffer.compare(body, other) === 0) return;
				await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { body: other, headers: given });
			}),
		);
	});
});

describe("verifyWebhook() with a public key - refuses", () => {
	// The order of the group, little-endian: S + L would verify too if S were not checked to be below it.
	const order = 2n ** 252n + 27742317777372353535851937790883648493n;
	const malleable = Buffer.from(signature, "base64");
	const s = BigInt(`0x${Buffer.from(malleable.subarray(32)).reverse().toString("hex")}`) + order;
	Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse().copy(malleable, 32);

	test.each([
		["a decoy", decoy],
		["nothing behind the version", "v1a,"],
		["the signature of another version", hmac],
		["an Ed25519 signature under the tag of v1", `v1,${signature}`],
		["an HMAC under the tag of v1a", `v1a,${hmac.slice(3)}`],
		["the version in capitals", `V1A,${signature}`],
		["no padding", genuine.slice(0, -2)],
		["half its padding", genuine.slice(0, -1)],
		["more padding", `${genuine}=`],
		["another spelling of the same bytes", genuine.replace("Ag==", "Ah==")],
		["the URL alphabet", genuine.replaceAll("+", "-").replaceAll("/", "_")],
		["63 bytes", `v1a,${Buffer.from(signature, "base64").subarray(0, 63).toString("base64")}`],
		["65 bytes", `v1a,${Buffer.alloc(65, 7).toString("base64")}`],
		["the same signature with S + L for S", `v1a,${malleable.toString("base64")}`],
		["12 forgeries before it", `${`${decoy} `.repeat(12)}${genuine}`],
	])("a signature that is %s", async (_, entries) => {
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", listed(entries));
	});

	test("what is signed with the public key as a shared secret, which everybody could", async () => {
		const keys: SigningKey[] = [{ scheme: "v1", secret: publicKey.slice("whpk_".length) }];
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { headers: signed(keys) });
	});

	test("what another key signed, another id, and another second", async () => {
		const other: SigningKey = { scheme: "v1a", secret: generateSecret("v1a") };
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { headers: signed([other]) });
		for (const change of [{ "webhook-id": "msg_1" }, { "webhook-timestamp": String(timestamp + 1) }]) {
			await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { headers: { ...headers, ...change } });
		}
	});

	test("and says which versions it looked for, and how many signatures of them it found", async () => {
		const secrets = [publicKey, sharedSecret];
		await expect(verify(listed(hmac))).rejects.toThrow("no well-formed v1a signature");
		await expect(verify({ ...listed("v2,AAAA"), secrets })).rejects.toThrow(
			"no well-formed v1a or v1 signature",
		);
		await expect(verify({ ...listed(`${decoy} ${hmac}`), secrets, body: "{}" })).rejects.toMatchObject({
			details: { candidates: 2 },
		});
		await expect(verify({ ...listed(`${decoy} ${hmac}`), body: "{}" })).rejects.toMatchObject({
			details: { candidates: 1 },
		});
	});

	test("an old message, as with a shared secret", async () => {
		await refused("ERR_CALLHOOK_SIGNATURE_EXPIRED", { now: () => (timestamp + 301) * 1_000 });
	});
});

describe("createVerifier() with a public key", () => {
	test.each(["whpk_", `${publicKey.slice(0, -4)}`, `${publicKey}!`, privateKey.replace("whsk_", "whpk_")])(
		"refuses %j",
		(secrets) => {
			expect(() => createVerifier({ secrets })).toThrow(
				expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
			);
		},
	);

	test("refuses the private half, says so, and does not show it", () => {
		const refusal = expect.objectContaining({
			code: "ERR_CALLHOOK_INVALID_SECRET",
			message: expect.not.stringContaining(privateKey.slice(5, 20)),
			details: { reason: expect.stringMatching(/private half.*receivers take its public half, whpk_/) },
		});
		expect(() => createVerifier({ secrets: [publicKey, privateKey] })).toThrow(refusal);
	});

	test("in a runtime without Ed25519 rejects each message, and nothing before the first", async () => {
		const cause = new DOMException("Unrecognized name", "NotSupportedError");
		const importKey = vi.spyOn(crypto.subtle, "importKey").mockRejectedValueOnce(cause);
		onTestFinished(() => importKey.mockRestore());
		const unhandled = vi.fn();
		process.once("unhandledRejection", unhandled);
		onTestFinished(() => void process.off("unhandledRejection", unhandled));
		const verifier = createVerifier({ secrets: publicKeyOf(generateSecret("v1a")), now });
		await new Promise((resolve) => setImmediate(resolve));
		expect(unhandled).not.toHaveBeenCalled();
		for (let attempt = 0; attempt < 2; attempt++) {
			await expect(verifier(text, headers)).rejects.toMatchObject({
				code: "ERR_CALLHOOK_INVALID_SECRET",
				details: { reason: expect.stringContaining("NotSupportedError") },
				cause,
			});
		}
	});
});
