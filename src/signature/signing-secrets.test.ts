import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { checkSecret, generateSecret, publicKeyOf, type SignatureScheme } from "./index.ts";

const schemes = ["v1", "v1a", "github", "stripe"] as const;
const pair = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const bytes = Buffer.from(pair, "base64");
const seed = bytes.subarray(0, 32).toString("base64");

function refusal(
	scheme: SignatureScheme,
	secret: unknown,
): CallhookError<"ERR_CALLHOOK_INVALID_SECRET"> | undefined {
	try {
		checkSecret(scheme, secret as string);
		return undefined;
	} catch (error) {
		if (isCallhookError(error, "ERR_CALLHOOK_INVALID_SECRET")) return error;
		throw error;
	}
}

describe("generateSecret()", () => {
	test.each([
		["v1", /^whsec_[A-Za-z0-9+/]{43}=$/],
		["v1a", /^whsk_[A-Za-z0-9+/]{86}==$/],
		["github", /^[\w-]{43}$/],
		["stripe", /^[\w-]{43}$/],
	] as const)("makes a secret of %s that passes its own check, different every time", (scheme, form) => {
		const secrets = Array.from({ length: 50 }, () => generateSecret(scheme));
		expect(new Set(secrets).size).toBe(50);
		for (const secret of secrets) {
			expect(secret).toMatch(form);
			expect(refusal(scheme, secret)).toBeUndefined();
		}
	});

	test("makes one of v1 where no scheme is named", () => {
		expect(generateSecret()).toMatch(/^whsec_/);
	});

	test("makes a key pair whose public half stands behind its seed", () => {
		const secret = generateSecret("v1a");
		const half = Buffer.from(secret.slice("whsk_".length), "base64").subarray(32);
		expect(publicKeyOf(secret)).toBe(`whpk_${half.toString("base64")}`);
	});
});

describe("publicKeyOf()", () => {
	test.each([`whsk_${pair}`, pair, `whsk_${seed}`, seed, seed.slice(0, -1)])(
		"gives the published public key, however the secret is written",
		(secret) => {
			expect(publicKeyOf(secret)).toBe(publicKey);
		},
	);

	test("refuses a secret of v1", () => {
		expect(() => publicKeyOf(generateSecret())).toThrow(/whsec_/);
	});
});

describe("checkSecret() - v1", () => {
	test("takes 24 to 64 bytes", () => {
		expect(refusal("v1", `whsec_${Buffer.alloc(24).toString("base64")}`)).toBeUndefined();
		expect(refusal("v1", Buffer.alloc(64).toString("base64"))).toBeUndefined();
		expect(refusal("v1", `whsec_${Buffer.alloc(23).toString("base64")}`)).toBeDefined();
		expect(refusal("v1", `whsk_${pair}`)?.details.reason).toMatch(/private half/);
	});
});

describe("checkSecret() - v1a", () => {
	test.each([
		["nothing", ""],
		["the prefix alone", "whsk_"],
		["undefined", undefined],
		["the published vector, cut off", `whsk_${pair.slice(0, -3)}`],
		["31 bytes", bytes.subarray(0, 31).toString("base64")],
		["33 bytes", bytes.subarray(0, 33).toString("base64")],
		["63 bytes", bytes.subarray(0, 63).toString("base64")],
		["65 bytes", Buffer.concat([bytes, Buffer.alloc(1)]).toString("base64")],
		["a line end", `whsk_${pair}\n`],
	])("refuses %s", (_, secret) => {
		expect(refusal("v1a", secret)).toBeDefined();
	});

	test("refuses a public half that belongs to another seed", () => {
		const other = Buffer.from(generateSecret("v1a").slice("whsk_".length), "base64");
		const mixed = Buffer.concat([bytes.subarray(0, 32), other.subarray(32)]).toString("base64");
		expect(refusal("v1a", `whsk_${mixed}`)?.details.reason).toMatch(/public half does not belong/);
	});

	test("says what it got instead: a public key, or a shared secret", () => {
		expect(refusal("v1a", publicKey)?.details.reason).toMatch(/whpk_.*only verifies/);
		expect(refusal("v1a", generateSecret())?.details.reason).toMatch(/whsec_.*both sides/);
	});
});

describe.each(["github", "stripe"] as const)("checkSecret() - %s", (scheme) => {
	test.each([
		"It's a Secret to Everybody",
		"whsec_1234567890",
		"x".repeat(256),
		"🔑".repeat(16),
		"é".repeat(16),
	])("takes %j", (secret) => {
		expect(refusal(scheme, secret)).toBeUndefined();
	});

	test.each([
		undefined,
		42,
		"",
		"x".repeat(15),
		"x".repeat(257),
		"a secret with a line end\n",
		"a secret with\ta tab",
		"\ufeffa secret with a byte order mark",
		"a secret with half a pair \ud83d",
		"a secret with a\u2028line separator",
		"a secret with\u007f",
	])("refuses %j", (secret) => {
		expect(refusal(scheme, secret)).toBeDefined();
	});
});

describe("checkSecret()", () => {
	test("never puts the secret into the error", () => {
		const secret = fc.oneof(
			fc.string({ minLength: 6, unit: "binary" }),
			fc.uint8Array({ minLength: 5 }).map((key) => Buffer.from(key).toString("base64")),
		);
		fc.assert(
			fc.property(
				fc.constantFrom(...schemes),
				secret,
				fc.constantFrom("", "whsk_"),
				(scheme, text, prefix) => {
					const error = refusal(scheme, prefix + text);
					if (error !== undefined) expect(`${error.message} ${error.details.reason}`).not.toContain(text);
				},
			),
			{ numRuns: 300 },
		);
	});

	test("refuses an unknown scheme, as generateSecret() does", () => {
		const unknown = expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_OPTION" });
		expect(() => checkSecret("v2" as "v1", generateSecret())).toThrow(unknown);
		expect(() => generateSecret("v2" as "v1")).toThrow(unknown);
	});
});
