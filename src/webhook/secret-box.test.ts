import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { createSecretBox } from "./secret-box.ts";

const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const [oldKey, newKey] = [first.toString("base64"), second.toString("hex")];

describe("createSecretBox()", () => {
	test("opens what it has sealed, whatever it is, and never seals twice alike", () => {
		const box = createSecretBox(oldKey);
		fc.assert(
			fc.property(fc.string({ unit: "grapheme" }), fc.string(), (text, owner) => {
				const sealed = box.seal(text, owner);
				expect(box.open(sealed, owner)).toBe(text);
				expect(box.seal(text, owner)).not.toBe(sealed);
				expect(sealed).toMatch(/^sealed:1:[0-9a-f]{8}:[A-Za-z0-9+/]+=*$/);
			}),
			{ seed: 20_260_202, numRuns: 200 },
		);
	});

	test("shows nothing of the text or of the key", () => {
		const sealed = createSecretBox(oldKey).seal("whsec_secret", "ep_1");
		expect(sealed).not.toContain("secret");
		expect(Buffer.from(sealed.split(":")[3] as string, "base64").toString("latin1")).not.toContain("secret");
		expect(sealed).not.toContain(first.toString("hex").slice(0, 8));
	});

	test("takes a key in base64, with or without its end, and in hex, all the same", () => {
		const sealed = createSecretBox(first.toString("hex")).seal("text", "o");
		for (const key of [oldKey, oldKey.replace("=", ""), first.toString("hex").toUpperCase()])
			expect(createSecretBox(key).open(sealed, "o")).toBe("text");
	});

	test("seals under the first key and opens under all", () => {
		const before = createSecretBox(oldKey).seal("text", "o");
		const box = createSecretBox([newKey, oldKey]);
		expect(box.open(before, "o")).toBe("text");
		expect([box.isCurrent(before), box.isCurrent(box.seal("text", "o"))]).toEqual([false, true]);
		expect(createSecretBox(newKey).open(box.seal("text", "o"), "o")).toBe("text");
	});

	test("opens plain text, which is not current where there is a key", () => {
		const box = createSecretBox(oldKey);
		expect([box.open("whsec_x", "o"), box.isCurrent("whsec_x")]).toEqual(["whsec_x", false]);
	});

	test("without a key seals nothing, and what it cannot open is no current text either way", () => {
		const box = createSecretBox(undefined);
		expect([box.seal("whsec_x", "o"), box.open("whsec_x", "o"), box.isCurrent("whsec_x")]).toEqual([
			...["whsec_x", "whsec_x", true],
		]);
	});

	test("refuses another key, another owner, and every change of a bit", () => {
		const box = createSecretBox(oldKey);
		const sealed = box.seal("text", "ep_1");
		const refuse = (open: () => unknown): void => {
			const error = thrownBy(open);
			expect(error.code).toBe("ERR_CALLHOOK_SECRET_KEY");
			expect(error.message).not.toMatch(/text|AQEB/);
		};
		refuse(() => createSecretBox(newKey).open(sealed, "ep_1"));
		refuse(() => createSecretBox(undefined).open(sealed, "ep_1"));
		refuse(() => box.open(sealed, "ep_2"));
		const at = sealed.lastIndexOf(":") + 1;
		const bytes = Buffer.from(sealed.slice(at), "base64");
		for (let bit = 0; bit < bytes.length * 8; bit++) {
			const changed = Buffer.from(bytes);
			changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
			refuse(() => box.open(sealed.slice(0, at) + changed.toString("base64"), "ep_1"));
		}
		for (let length = 0; length < bytes.length; length++)
			refuse(() => box.open(sealed.slice(0, at) + bytes.subarray(0, length).toString("base64"), "ep_1"));
		refuse(() => box.open(sealed.slice(0, at - 1), "ep_1"));
	});

	test("refuses keys that are none, by their place, and quotes none of them", () => {
		const wrong = ["", "short", randomBytes(31).toString("base64"), randomBytes(33).toString("hex"), 5, null];
		for (const key of wrong) {
			const error = thrownBy(() => createSecretBox([newKey, key as string]));
			expect(optionOf(error)).toBe("secretKey[1]");
			if (typeof key === "string" && key !== "") expect(error.message).not.toContain(key);
		}
		expect(optionOf(() => createSecretBox([]))).toBe("secretKey");
	});
});
