import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { parsePublicKey, parseSecret } from "./secrets.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

type Refusal = CallhookError<"ERR_CALLHOOK_INVALID_SECRET">;

function refusal(secret: unknown, parse: (text: string) => Uint8Array = parseSecret): Refusal {
	try {
		parse(secret as string);
	} catch (error) {
		if (isCallhookError(error, "ERR_CALLHOOK_INVALID_SECRET")) return error;
		throw error;
	}
	throw new Error("the secret was accepted");
}

describe("parseSecret()", () => {
	test("reads a secret with and without its prefix", () => {
		const encoded = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
		expect(parseSecret(`whsec_${encoded}`)).toEqual(bytes(encoded));
		expect(parseSecret(encoded)).toEqual(bytes(encoded));
	});

	test("reads 24 to 64 bytes, padded or not", () => {
		for (const length of [24, 25, 26, 32, 63, 64]) {
			const padded = Buffer.alloc(length, 0xfb).toString("base64");
			expect(parseSecret(padded)).toEqual(bytes(padded));
			expect(parseSecret(`whsec_${padded.replaceAll("=", "")}`)).toEqual(bytes(padded));
		}
	});

	test("reads a secret with stray bits in its last character, as the Python library does", () => {
		expect(parseSecret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr")).toHaveLength(25);
	});

	test.each([0, 1, 23, 65, 1_000])("refuses a secret of %i bytes", (length) => {
		refusal(`whsec_${Buffer.alloc(length, 7).toString("base64")}`);
	});

	test.each([
		undefined,
		null,
		42,
		"",
		"whsec_",
		"whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		"whsec_MfKQ9r8GKYqrTwjU\nPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA=",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw====",
		"WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	])("refuses %j", (secret) => {
		refusal(secret);
	});

	test("says what the other half of a key pair is, and which half receivers take", () => {
		const pair = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
		expect(refusal(`whsk_${pair}`).details.reason).toMatch(/whsk_.*private half.*public half, whpk_/);
		expect(refusal(`whsk_${pair}`).message).not.toContain(pair.slice(0, 8));
		expect(refusal("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=").details.reason).toMatch(
			/public half/,
		);
	});

	test("never puts the secret into the error", () => {
		fc.assert(
			fc.property(fc.string({ minLength: 6 }), fc.uint8Array({ minLength: 65 }), (text, key) => {
				for (const secret of [`whsec_!${text}`, `!${text}`, Buffer.from(key).toString("base64")]) {
					const { message, details } = refusal(secret);
					const shown = `${message} ${details.reason}`;
					expect(shown.includes(secret.replace("whsec_", ""))).toBe(false);
				}
			}),
		);
	});
});

describe("parsePublicKey()", () => {
	const encoded = "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

	test("reads 32 bytes, padded or not", () => {
		expect(parsePublicKey(`whpk_${encoded}`)).toEqual(bytes(encoded));
		expect(parsePublicKey(`whpk_${encoded.slice(0, -1)}`)).toEqual(bytes(encoded));
	});

	test.each([
		["nothing", "whpk_"],
		["31 bytes", `whpk_${Buffer.alloc(31, 7).toString("base64")}`],
		["33 bytes", `whpk_${Buffer.alloc(33, 7).toString("base64")}`],
		["the URL alphabet", `whpk_${encoded.replace("1", "-")}`],
		["the prefix of a shared secret", `whsec_${encoded}`],
	])("refuses %s", (_, text) => {
		refusal(text, parsePublicKey);
	});
});
