import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { createSigner } from "./sign.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const timestamp = 1_614_265_330;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("createSigner()", () => {
	test("gives the published test vector", () => {
		expect(createSigner(secret).sign(id, timestamp, encode('{"test": 2432232314}'))).toBe(
			"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		);
	});

	test("signs what npm standardwebhooks signs, for any text", () => {
		const signer = createSigner(secret);
		const oracle = new Webhook(secret);
		fc.assert(
			fc.property(fc.string({ unit: "grapheme" }), fc.nat(4_000_000_000), (text, seconds) => {
				const expected = oracle.sign(id, new Date(seconds * 1_000), text);
				expect(signer.sign(id, seconds, encode(text))).toBe(expected);
			}),
		);
	});

	test("signs bytes, not the text they decode to", () => {
		const signer = createSigner(secret);
		const signatures = [0xff, 0xfe].map((byte) =>
			signer.sign(id, timestamp, Uint8Array.of(0x22, byte, 0x22)),
		);
		expect(signatures[0]).not.toBe(signatures[1]);
	});

	test("refuses a short secret", () => {
		expect(() => createSigner("whsec_AAAA")).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});
});
