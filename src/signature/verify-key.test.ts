import { expect, test } from "vitest";
import { generateSecret } from "./signing-secrets.ts";
import { importVerifyKey } from "./verify-key.ts";

test("importVerifyKey() - imports a secret once, and forgets the oldest of too many", () => {
	const secret = generateSecret();
	const key = importVerifyKey(secret);
	expect(importVerifyKey(secret)).toBe(key);
	for (let i = 0; i < 255; i++) void importVerifyKey(generateSecret());
	expect(importVerifyKey(secret)).toBe(key);
	void importVerifyKey(generateSecret());
	expect(importVerifyKey(secret)).not.toBe(key);
});
