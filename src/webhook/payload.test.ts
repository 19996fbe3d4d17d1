import { type CloudEvent, HTTP } from "cloudevents";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoredEvent } from "../outbox/ports.ts";
import { createPayload, type Payload, type PayloadFormat } from "./payload.ts";

const formats = ["standard", "cloudevents-structured", "cloudevents-binary"] as const;

const plain: StoredEvent = {
	id: "evt_1",
	type: "order.paid",
	time: "2026-01-02T03:04:05.678Z",
	source: "/shop",
	dataJson: '{"orderId":"o_1","total":12.5}',
	metadataJson: '{"secret":"stays here"}',
};
const full: StoredEvent = {
	...plain,
	version: 3,
	key: "customer 7",
	subject: "orders/ö_1",
	correlationId: "cor_1",
	causationId: "evt_0",
	traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
};
const attributes = {
	...{ specversion: "1.0", id: "evt_1", source: "/shop", type: "order.paid", time: plain.time },
	...{ subject: "orders/ö_1", correlationid: "cor_1", causationid: "evt_0", traceparent: full.traceparent },
	...{ partitionkey: "customer 7", dataversion: "3" },
};

const parse = ({ body }: Payload): unknown => JSON.parse(body.toString());

describe("createPayload() - standard", () => {
	test("gives type, timestamp and data, and nothing else of the event", () => {
		const payload = createPayload("standard", { ...full, traceparent: undefined });
		expect(payload.headers).toEqual({ "content-type": "application/json" });
		expect(payload.body.toString()).toBe(
			`{"type":"order.paid","timestamp":"${plain.time}","data":${plain.dataJson}}`,
		);
	});
});

describe("createPayload() - cloudevents-structured", () => {
	test("gives all attributes and the data", () => {
		const payload = createPayload("cloudevents-structured", full);
		expect(payload.headers).toEqual({
			"content-type": "application/cloudevents+json; charset=utf-8",
			traceparent: full.traceparent,
		});
		expect(parse(payload)).toEqual({
			...attributes,
			datacontenttype: "application/json",
			data: { orderId: "o_1", total: 12.5 },
		});
	});

	test("leaves out what the event does not have", () => {
		const { specversion, id, source, type, time } = attributes;
		expect(parse(createPayload("cloudevents-structured", plain))).toEqual({
			...{ specversion, id, source, type, time },
			datacontenttype: "application/json",
			data: { orderId: "o_1", total: 12.5 },
		});
	});
});

describe("createPayload() - cloudevents-binary", () => {
	test("gives all attributes as headers, percent-encoded, and the data alone as the body", () => {
		const { headers, body } = createPayload("cloudevents-binary", full);
		expect(headers).toEqual({
			"content-type": "application/json",
			"ce-specversion": "1.0",
			"ce-id": "evt_1",
			"ce-source": "/shop",
			"ce-type": "order.paid",
			"ce-time": plain.time,
			"ce-subject": "orders/%C3%B6_1",
			"ce-correlationid": "cor_1",
			"ce-causationid": "evt_0",
			"ce-traceparent": full.traceparent,
			"ce-partitionkey": "customer%207",
			"ce-dataversion": "3",
			traceparent: full.traceparent,
		});
		expect(body.toString()).toBe(plain.dataJson);
	});

	test("leaves out what the event does not have", () => {
		expect(Object.keys(createPayload("cloudevents-binary", plain).headers)).toEqual([
			"content-type",
			...["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"],
		]);
	});

	// The example of the specification's HTTP binding is the first one.
	test.each([
		["Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"],
		['100% "sure"\r\n\t', "100%25%20%22sure%22%0D%0A%09"],
		["!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", "!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"],
		["\u007f\u0080", "%7F%C2%80"],
		["half a pair \ud83d", "half%20a%20pair%20%EF%BF%BD"],
	])("encodes %j", (subject, encoded) => {
		const { headers } = createPayload("cloudevents-binary", { ...plain, subject });
		expect(headers["ce-subject"]).toBe(encoded);
	});
});

describe.each(formats)("createPayload() - %s, as every format", (format: PayloadFormat) => {
	test("has the traceparent as a header, and none without one", () => {
		expect(createPayload(format, full).headers.traceparent).toBe(full.traceparent);
		expect(createPayload(format, plain).headers).not.toHaveProperty("traceparent");
	});

	test("writes the data it is given in place of the event's", () => {
		const { body } = createPayload(format, full, '{"other":true}');
		expect(body.toString()).toContain('{"other":true}');
		expect(body.toString()).not.toContain('o_1"');
	});

	test("keeps the metadata here", () => {
		const { headers, body } = createPayload(format, full);
		expect(JSON.stringify(headers) + body.toString()).not.toContain("stays here");
	});

	test("writes data of any kind byte for byte as it was stored", () => {
		for (const dataJson of ["null", "0", '"é\\u2028"', "[]", '{"a":1.0,"a":1e400}', "12345678901234567890"]) {
			expect(createPayload(format, { ...plain, dataJson }).body.toString()).toContain(dataJson);
		}
	});
});

/** Reads a header value as the HTTP binding says: quotes off first, then one pass of percent-decoding. */
function decodeHeader(value: string): string {
	expect(value).toMatch(/^[!-~]+$/);
	const unquoted = value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, "$1") : value;
	return unquoted.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (octets) =>
		new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(octets.replaceAll("%", ""), "hex")),
	);
}

/** The attributes and the data, read as a consumer of CloudEvents does. */
function decode({ headers, body }: Payload): Record<string, unknown> {
	const { "content-type": contentType = "" } = headers;
	if (contentType.startsWith("application/cloudevents+json")) return JSON.parse(body.toString());
	const named = Object.entries(headers).filter(([name]) => name.startsWith("ce-"));
	const decoded = named.map(([name, value]) => [name.slice("ce-".length), decodeHeader(value)]);
	return { ...Object.fromEntries(decoded), datacontenttype: contentType, data: JSON.parse(body.toString()) };
}

/** Reads it with npm cloudevents, which does not decode what the HTTP binding encodes. */
function readWithLibrary({ headers, body }: Payload): CloudEvent<unknown> {
	const decoded = Object.entries(headers).map(([name, value]) => [
		name,
		name.startsWith("ce-") ? decodeHeader(value) : value,
	]);
	return HTTP.toEvent({ headers: Object.fromEntries(decoded), body: body.toString() }) as CloudEvent<unknown>;
}

describe.each(["cloudevents-structured", "cloudevents-binary"] as const)(
	"createPayload() - %s, as a consumer reads it",
	(format) => {
		const text = fc.string({ unit: "binary", minLength: 1 });
		const time = fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true });
		const required = {
			id: fc.stringMatching(/^[!-\-/-~]{1,40}$/),
			type: fc.constantFrom("order.paid", "a", "a-b.c_d"),
			time: time.map((date) => date.toISOString()),
			source: fc.constantFrom("", "/", "/shop", "https://shop.example/a?b=c#d", "urn:shop"),
			dataJson: fc.json(),
			metadataJson: fc.constant("{}"),
		};
		const optional = {
			version: fc.nat(),
			key: text,
			subject: text,
			correlationId: text,
			causationId: text,
			traceparent: fc.constant("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
		};
		const stored = fc.record(
			{ ...required, ...optional },
			{ requiredKeys: ["id", "type", "time", "source", "dataJson", "metadataJson"] },
		);

		function expected(event: StoredEvent): Record<string, unknown> {
			const { id, type, time: at, subject, traceparent } = event;
			const all = {
				...{ specversion: "1.0", id, type, time: at, source: event.source || "/", subject, traceparent },
				...{ correlationid: event.correlationId, causationid: event.causationId, partitionkey: event.key },
				...{ dataversion: event.version?.toString(), datacontenttype: "application/json" },
			};
			return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
		}

		test("has the attributes and the data of the event", () => {
			fc.assert(
				fc.property(stored, (event) => {
					const { data, ...got } = decode(createPayload(format, event));
					expect(got).toEqual(expected(event));
					expect(data).toEqual(JSON.parse(event.dataJson));
				}),
			);
		});

		test("is a valid event to npm cloudevents, with the same attributes", () => {
			fc.assert(
				fc.property(stored, (event) => {
					const got = readWithLibrary(createPayload(format, event, plain.dataJson));
					expect(got.validate()).toBe(true);
					expect({ ...got, time: got.time }).toMatchObject(expected(event));
					expect(got.data).toEqual(JSON.parse(plain.dataJson));
				}),
			);
		});
	},
);
