import { describe, expect, test } from "vitest";
import { maskHeaders } from "./custom-headers.ts";

describe("maskHeaders()", () => {
	test("hides the values of headers whose names speak of a secret", () => {
		const names = [
			...[
				"authorization",
				"Proxy-Auth",
				"cookie",
				"x-api-key",
				"apikey",
				"x-access-token",
				"x-client-secret",
			],
			...["x-password", "X-Passphrase", "x-pass", "x-pwd", "x-jwt", "x-bearer", "x-hmac", "x-credentials"],
			...["x-session-id", "x-signature"],
		];
		for (const name of names) expect(maskHeaders({ [name]: "hunter2" })).toEqual({ [name]: "(hidden)" });
	});

	test("shows others", () => {
		const headers = { "x-region": "eu", "x-api-version": "2026-01", accept: "application/json" };
		expect(maskHeaders(headers)).toEqual(headers);
	});
});
