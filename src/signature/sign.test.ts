import { createHmac, createPublicKey, verify } from "node:crypto";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import {
	createMessageSigner,
	generateSecret,
	type OutgoingMessage,
	publicKeyOf,
	type SigningKey,
} from "./index.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const privateKey =
	"whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const hmacEntry = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const ed25519Entry =
	"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The message of the published vectors. */
const message: OutgoingMessage = {
	id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
	type: "order.paid",
	timestampSeconds: 1_614_265_330,
	body: encode('{"test": 2432232314}'),
};
const always = { "webhook-id": message.id, "webhook-timestamp": "1614265330" };

function sign(keys: readonly SigningKey[], changes: Partial<OutgoingMessage> = {}): Record<string, string> {
	return createMessageSigner(keys).sign({ ...message, ...changes });
}

describe("createMessageSigner() - v1 and v1a", () => {
	test("give the published vectors and no other header", () => {
		expect(sign([{ scheme: "v1", secret }])).toEqual({ ...always, "webhook-signature": hmacEntry });
		expect(sign([{ scheme: "v1a", secret: privateKey }])).toEqual({
			...always,
			"webhook-signature": ed25519Entry,
		});
	});

	test("put an entry for each key into one header, in the order given", () => {
		const other = generateSecret();
		const [otherEntry] = Object.values(sign([{ scheme: "v1", secret: other }])).slice(-1);
		const keys: SigningKey[] = [
			{ scheme: "v1a", secret: privateKey },
			{ scheme: "v1", secret: other },
			{ scheme: "v1", secret },
		];
		expect(sign(keys)["webhook-signature"]).toBe(`${ed25519Entry} ${otherEntry} ${hmacEntry}`);
		expect(sign([...keys].reverse())["webhook-signature"]).toBe(`${hmacEntry} ${otherEntry} ${ed25519Entry}`);
	});

	test("v1 signs what npm standardwebhooks signs, for any text", () => {
		const signer = createMessageSigner([{ scheme: "v1", secret }]);
		const oracle = new Webhook(secret);
		fc.assert(
			fc.property(fc.string({ unit: "grapheme" }), fc.nat(4_000_000_000), (text, timestampSeconds) => {
				const expected = oracle.sign(message.id, new Date(timestampSeconds * 1_000), text);
				const headers = signer.sign({ ...message, timestampSeconds, body: encode(text) });
				expect(headers["webhook-signature"]).toBe(expected);
			}),
		);
	});

	test("v1a signs what the public key verifies, for any bytes", () => {
		const generated = generateSecret("v1a");
		const signer = createMessageSigner([{ scheme: "v1a", secret: generated }]);
		const x = Buffer.from(publicKeyOf(generated).slice("whpk_".length), "base64").toString("base64url");
		const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (body, timestampSeconds) => {
				const { "webhook-signature": entry = "" } = signer.sign({ ...message, timestampSeconds, body });
				const signed = Buffer.concat([Buffer.from(`${message.id}.${timestampSeconds}.`), body]);
				const signature = Buffer.from(entry.slice("v1a,".length), "base64");
				expect(verify(null, signed, publicKey, signature)).toBe(true);
			}),
		);
	});

	test.each(["v1", "v1a"] as const)("%s signs bytes, not the text they decode to", (scheme) => {
		const key = { scheme, secret: generateSecret(scheme) };
		const [one, other] = [0xff, 0xfe].map((byte) => sign([key], { body: Uint8Array.of(0x22, byte, 0x22) }));
		expect(one).not.toEqual(other);
	});
});

describe("createMessageSigner() - github", () => {
	const key: SigningKey = { scheme: "github", secret: "It's a Secret to Everybody" };

	test("gives GitHub's published vector, with event and delivery", () => {
		expect(sign([key], { body: encode("Hello, World!") })).toEqual({
			...always,
			"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
			"x-github-event": "order.paid",
			"x-github-delivery": message.id,
		});
	});

	test("signs with the first of several keys", () => {
		const other: SigningKey = { scheme: "github", secret: generateSecret("github") };
		expect(sign([key, other])).toEqual(sign([key]));
		expect(sign([other, key])).toEqual(sign([other]));
	});
});

describe("createMessageSigner() - stripe", () => {
	// Stripe's own secrets begin with whsec_ too, but their whole text is the key.
	const secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret with an é in it"];
	const keys = secrets.map((text): SigningKey => ({ scheme: "stripe", secret: text }));
	const hex = secrets.map((text) =>
		createHmac("sha256", Buffer.from(text, "utf8")).update('1614265330.{"test": 2432232314}').digest("hex"),
	);

	test("signs timestamp and body", () => {
		expect(sign(keys.slice(0, 1))).toEqual({ ...always, "stripe-signature": `t=1614265330,v1=${hex[0]}` });
	});

	test("puts a v1 for each key into one header", () => {
		expect(sign(keys)["stripe-signature"]).toBe(`t=1614265330,v1=${hex[0]},v1=${hex[1]}`);
	});
});

describe("createMessageSigner()", () => {
	test("gives every scheme its headers where there are several", () => {
		const schemes = ["stripe", "v1", "github", "v1a"] as const;
		const keys = schemes.map((scheme): SigningKey => ({ scheme, secret: generateSecret(scheme) }));
		const expected = Object.assign({}, ...keys.map((key) => sign([key])));
		const signatures = keys.flatMap((key) => sign([key])["webhook-signature"] ?? []);
		expect(sign(keys)).toEqual({ ...expected, "webhook-signature": signatures.join(" ") });
	});

	test.each([
		["no key", []],
		["a short secret of v1", [{ scheme: "v1", secret: "whsec_AAAA" }]],
		["a public key", [{ scheme: "v1a", secret: publicKeyOf(privateKey) }]],
		["a short secret of github", [{ scheme: "github", secret: "short" }]],
		[
			"a short secret of stripe behind a good one",
			[
				{ scheme: "v1", secret },
				{ scheme: "stripe", secret: "short" },
			],
		],
	] as const)("refuses %s", (_, keys) => {
		expect(() => createMessageSigner(keys)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});

	test("refuses an unknown scheme", () => {
		expect(() => createMessageSigner([{ scheme: "v2" as "v1", secret }])).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_OPTION" }),
		);
	});
});
