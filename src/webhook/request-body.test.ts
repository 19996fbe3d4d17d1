import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { encodeRequestBody } from "./request-body.ts";

describe("encodeRequestBody()", () => {
	const body = Buffer.from(JSON.stringify({ data: "webhook ".repeat(200) }));

	test("leaves a body alone unless it is asked to compress", () => {
		expect(encodeRequestBody(body, undefined)).toEqual({ body });
	});

	test("compresses to the same bytes each time, and says so", () => {
		const encoded = encodeRequestBody(body, "gzip");
		expect(encoded.encoding).toBe("gzip");
		expect(encoded.body.length).toBeLessThan(100);
		expect(gunzipSync(encoded.body)).toEqual(body);
		expect(encodeRequestBody(body, "gzip")).toEqual(encoded);
	});

	test("leaves a body alone that would not get smaller", () => {
		for (const text of ["", "{}", '{"type":"a","data":1}']) {
			const small = Buffer.from(text);
			expect(encodeRequestBody(small, "gzip")).toEqual({ body: small });
		}
	});
});
