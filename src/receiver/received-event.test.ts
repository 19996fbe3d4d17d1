import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCallhookError } from "../errors.ts";
import { parseStandardBody } from "./received-event.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const event = { type: "order.paid", timestamp: "2022-11-03T20:26:10.344522Z", data: { orderId: "o_1" } };

describe("parseStandardBody()", () => {
	test("reads type, timestamp and data, and leaves out the rest", () => {
		expect(parseStandardBody(encode(JSON.stringify({ ...event, tenant: "t" })))).toEqual(event);
	});

	test.each(["2022-11-03T20:26:10Z", "2022-11-03T20:26:10+05:30", "2022-11-03T20:26:10.1-00:00"])(
		"takes the timestamp %j as it is",
		(timestamp) => {
			expect(parseStandardBody(encode(JSON.stringify({ ...event, timestamp }))).timestamp).toBe(timestamp);
		},
	);

	test.each([null, false, 0, "", []])("takes %j as data", (data) => {
		expect(parseStandardBody(encode(JSON.stringify({ ...event, data }))).data).toEqual(data);
	});

	test.each([
		["no bytes", encode("")],
		["no JSON", encode("{")],
		["two values", encode("{}{}")],
		[
			"bytes that are not UTF-8",
			new Uint8Array(Buffer.from(JSON.stringify({ ...event, data: "\xff" }), "latin1")),
		],
		["UTF-16", new Uint8Array(Buffer.from(JSON.stringify(event), "utf16le"))],
		["null", encode("null")],
		["an array", encode(JSON.stringify([event]))],
		["a string", encode('"order.paid"')],
		["an empty object", encode("{}")],
		["an empty type", encode(JSON.stringify({ ...event, type: "" }))],
		["a type that is a number", encode(JSON.stringify({ ...event, type: 1 }))],
		["a timestamp that is a number", encode(JSON.stringify({ ...event, timestamp: 1_614_265_330 }))],
		["a timestamp without an offset", encode(JSON.stringify({ ...event, timestamp: "2022-11-03T20:26:10" }))],
		[
			"a timestamp in the 13th month",
			encode(JSON.stringify({ ...event, timestamp: "2022-13-03T20:26:10Z" })),
		],
		[
			"a timestamp with more behind it",
			encode(JSON.stringify({ ...event, timestamp: `${event.timestamp}\n` })),
		],
		["no data", encode(JSON.stringify({ ...event, data: undefined }))],
	])("refuses %s", (_, body) => {
		expect(() => parseStandardBody(body)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_BODY" }),
		);
	});

	test("throws nothing else, whatever the bytes", () => {
		const json = fc.json().map(encode);
		const record = fc.record({ type: fc.jsonValue(), timestamp: fc.jsonValue(), data: fc.jsonValue() });
		const nearly = record.map((value) => encode(JSON.stringify(value)));
		fc.assert(
			fc.property(fc.oneof(fc.uint8Array(), json, nearly), (body) => {
				try {
					parseStandardBody(body);
				} catch (error) {
					if (!isCallhookError(error, "ERR_CALLHOOK_INVALID_BODY")) throw error;
				}
			}),
		);
	});
});
