import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { secret, signedRequest, standingClock } from "../../../test/support/signed-request.ts";
import { createReceiver } from "../receiver.ts";
import { type CloudEventsVerification, cloudEvents } from "./cloud-events.ts";

const token = "a-token-of-the-shop";
const source = "https://shop.example/orders";
const attributes = { specversion: "1.0", id: "1", source, type: "order.paid", time: "2021-02-25T15:02:10Z" };
const structuredType = "application/cloudevents+json";
const batchType = "application/cloudevents-batch+json";
const inHeaders = Object.fromEntries(
	Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]),
);
const authorized = { authorization: `Bearer ${token}` };

function setup(verify: CloudEventsVerification = { token }) {
	const emit = vi.fn();
	const receiver = createReceiver({ preset: cloudEvents({ verify }), bus: { emit }, clock: standingClock });
	const post = async (body: BodyInit, headers: Record<string, string>) => {
		const request = new Request("http://localhost/", { method: "POST", body, headers });
		// A body may bring a content type of its own.
		if (!("content-type" in headers)) request.headers.delete("content-type");
		const response = await receiver.fetch(request);
		const text = await response.text();
		return [response.status, text === "" ? undefined : (JSON.parse(text) as { readonly error?: string })];
	};
	const structured = (value: unknown, headers: Record<string, string> = authorized) =>
		post(JSON.stringify(value), { "content-type": structuredType, ...headers });
	return { emit, post, structured, receiver };
}

const refused = (code: string) => [400, { error: `ERR_CALLHOOK_${code}` }];

describe("cloudEvents() - who may send", () => {
	test.each([
		...[undefined, {}, { verify: undefined }, { verify: "none" }, { verify: true }, { verify: null }],
		...[{ verify: {} }, { verify: { token, secrets: secret } }, { verify: { token, header: "a b" } }],
	])("to verify nothing takes the word for it: %j is refused", (options) => {
		expect(() => cloudEvents(options as never)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_OPTION" }),
		);
	});

	test("a token in the wrong place is not shown", () => {
		expect(() => cloudEvents({ verify: token as "nothing" })).toThrow(
			expect.objectContaining({ message: expect.not.stringContaining(token) }),
		);
	});

	test.each([
		...[{ token: undefined }, { token: "" }, { token: [] }, { token: "short" }, { token: [token, ""] }],
		...[{ token: "a token with an é in it" }, { token: "two, as of two headers" }],
		...[{ secrets: undefined }, { secrets: "" }],
	])("a secret that is not set is an error: %j", (verify) => {
		expect(() => setup(verify as never)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});

	test("a token as Bearer, each of two, and nothing else", async () => {
		const { emit, structured } = setup({ token: ["the-token-of-yesterday", token] });
		for (const value of [`Bearer ${token}`, `bearer  ${token}`, "Bearer the-token-of-yesterday"]) {
			expect(await structured(attributes, { authorization: value })).toEqual([204, undefined]);
		}
		emit.mockClear();
		const wrong = [token, `Basic ${token}`, `Bearer ${token}x`, "Bearer", `Bearer ${token.slice(1)}`];
		for (const value of wrong) {
			expect(await structured(attributes, { authorization: value })).toEqual([
				401,
				{ error: "ERR_CALLHOOK_SIGNATURE_MISMATCH" },
			]);
		}
		for (const headers of [{}, { authorization: `Bearer ${token}, Bearer ${token}` }]) {
			expect(await structured(attributes, headers as Record<string, string>)).toEqual([
				401,
				{ error: "ERR_CALLHOOK_SIGNATURE_HEADER" },
			]);
		}
		expect(emit).not.toHaveBeenCalled();
	});

	test("asks for no random value before there is a request, which edge runtimes refuse while a module loads", async () => {
		const generateKey = vi.spyOn(crypto.subtle, "generateKey");
		onTestFinished(() => generateKey.mockRestore());
		const { structured } = setup({ token });
		expect(generateKey).not.toHaveBeenCalled();
		expect((await structured(attributes))[0]).toBe(204);
		expect((await structured(attributes))[0]).toBe(204);
		expect(generateKey).toHaveBeenCalledTimes(1);
	});

	test("a token in a header of its own", async () => {
		const { structured } = setup({ token, header: "X-Api-Key" });
		expect((await structured(attributes, { "x-api-key": token }))[0]).toBe(204);
		expect((await structured(attributes, authorized))[0]).toBe(401);
	});

	test("a signature, which covers no header: the id is the signed one, lest a body comes again in another mode", async () => {
		const { emit, receiver } = setup({ secrets: secret });
		const structured = { headers: { "content-type": structuredType } };
		expect((await receiver.fetch(signedRequest(attributes, structured))).status).toBe(204);
		expect((await receiver.fetch(signedRequest({}, { headers: inHeaders, id: "msg_7" }))).status).toBe(204);
		expect(emit.mock.calls.map(([, , { id }]) => id as string)).toEqual([
			expect.not.stringMatching(/^ce_/),
			"msg_7",
		]);
		const forged = { ...structured, sent: JSON.stringify({ ...attributes, id: "2" }) };
		expect((await receiver.fetch(signedRequest(attributes, forged))).status).toBe(401);
		expect((await receiver.fetch(signedRequest({ ...attributes, type: "a" }))).status).toBe(415);
	});

	test("from anyone, where that was asked for; whose verifications are not answered, since it would vouch for nobody", async () => {
		const { emit, structured } = setup("nothing");
		expect(await structured({ ...attributes, data: 1 }, {})).toEqual([204, undefined]);
		const asked = { ...attributes, type: "webhook.verification", data: { challenge: "c" } };
		expect(await structured(asked, {})).toEqual([204, undefined]);
		expect(emit).toHaveBeenCalledTimes(2);
	});
});

describe("cloudEvents() - what the bus gets", () => {
	const nameOf = async (changes: object) => {
		const { emit, structured } = setup();
		expect((await structured({ ...attributes, ...changes }))[0]).toBe(204);
		const [, , { id }] = emit.mock.lastCall as [
			type: string,
			data: unknown,
			options: { readonly id: string },
		];
		return id;
	};

	test("an id of source and id together, the same each time; the sender's own stands in the metadata", async () => {
		const { emit, structured } = setup();
		await structured({ ...attributes, data: { total: 1 } });
		expect(emit.mock.calls).toEqual([
			[
				"order.paid",
				{ total: 1 },
				{
					...{ id: expect.stringMatching(/^ce_[\da-f]{64}$/), time: attributes.time },
					metadata: { webhook: { hops: 1, source, id: "1" } },
				},
			],
		]);
		const id = await nameOf({});
		expect(await nameOf({ data: 2 })).toBe(id);
		expect(await nameOf({ id: "2" })).not.toBe(id);
		expect(await nameOf({ source: "/other" })).not.toBe(id);
		expect(await nameOf({ id: "with spaces, dots . and é" })).toMatch(/^ce_/);
	});

	test("binary, structured and in a batch: the same event under the same id", async () => {
		const { emit, post, structured } = setup();
		await structured({ ...attributes, data: [1] });
		await post("[1]", { ...authorized, ...inHeaders, "content-type": "application/json; charset=utf-8" });
		await post(JSON.stringify([{ ...attributes, data: [1] }]), { ...authorized, "content-type": batchType });
		const [first, ...rest] = emit.mock.calls;
		expect(rest).toEqual([first, first]);
	});

	test.each([
		["JSON under another name", "application/vnd.shop+json", '{"a":1}', { a: 1 }],
		["text", "text/plain", "é", "é"],
		["XML", "application/xml", "<a/>", "<a/>"],
		["bytes", "application/octet-stream", new Uint8Array([0, 255]), "AP8="],
		["nothing", "application/json", "", null],
	])("of binary mode, %s", async (_, type, body, data) => {
		const { emit, post } = setup();
		expect((await post(body, { ...authorized, ...inHeaders, "content-type": type }))[0]).toBe(204);
		expect(emit.mock.lastCall?.[1]).toEqual(data);
	});

	test.each([
		["bytes", {}, "AP8="],
		["JSON in base64", { datacontenttype: "application/json" }, "eyJhIjoxfQ==", { a: 1 }],
		["text in base64", { datacontenttype: "Text/Plain; charset=utf-8" }, "w6k=", "é"],
	])("of structured mode, %s", async (_, changes, encoded, data: unknown = encoded) => {
		const { emit, structured } = setup();
		expect((await structured({ ...attributes, ...changes, data_base64: encoded }))[0]).toBe(204);
		expect(emit.mock.lastCall?.[1]).toEqual(data);
	});

	test("headers are unquoted, then decoded once", async () => {
		const { emit, post } = setup();
		const headers = { "ce-subject": '"a \\"b\\" %C3%A9"', "ce-id": "100%2525" };
		await post("{}", { ...authorized, ...inHeaders, ...headers });
		expect(emit.mock.lastCall?.[2]).toMatchObject({
			subject: 'a "b" é',
			metadata: { webhook: { id: "100%25" } },
		});
	});
});

describe("cloudEvents() - what is refused", () => {
	test.each([
		["another version", { specversion: "0.3" }, "CLOUDEVENTS_VERSION"],
		["no version", { specversion: undefined }, "INVALID_BODY"],
		["no id", { id: undefined }, "INVALID_BODY"],
		["an empty id", { id: "" }, "INVALID_BODY"],
		["an id that is a number", { id: 1 }, "INVALID_BODY"],
		["an id with half a character", { id: "\ud800" }, "INVALID_BODY"],
		["no source", { source: undefined }, "INVALID_BODY"],
		["a source that is none", { source: "a b" }, "INVALID_BODY"],
		["no type", { type: undefined }, "INVALID_BODY"],
		["a bad time", { time: "yesterday" }, "INVALID_BODY"],
		["a subject that is a list", { subject: ["a"] }, "INVALID_BODY"],
		["a content type that is a number", { datacontenttype: 1 }, "INVALID_BODY"],
		["data twice", { data: 1, data_base64: "AA==" }, "INVALID_BODY"],
		["loose base64", { data_base64: "A A=" }, "INVALID_BODY"],
		["base64 that is no JSON", { data_base64: "AA==", datacontenttype: "application/json" }, "INVALID_BODY"],
	])("%s, alone and in a batch as a whole", async (_, changes, code) => {
		const { emit, post, structured } = setup();
		const bad = { ...attributes, ...changes };
		expect(await structured(bad)).toEqual(refused(code));
		const batch = JSON.stringify([attributes, bad]);
		expect(await post(batch, { ...authorized, "content-type": batchType })).toEqual(refused(code));
		expect(emit).not.toHaveBeenCalled();
	});

	test.each([
		["an id twice", { "ce-id": "1, 1" }, 400],
		["a source twice", { "ce-source": "/a, /b" }, 400],
		["a header that is not UTF-8", { "ce-subject": "%FF" }, 400],
		["JSON that is none", { "content-type": "application/json" }, 400],
		["text that is not UTF-8", { "content-type": "text/plain" }, 400],
		["a format that is not taken", { "content-type": "application/cloudevents+avro" }, 415],
	])("in binary mode, %s", async (_, headers, status) => {
		const { emit, post } = setup();
		const body = new Uint8Array([0x22, 0xff, 0x22]);
		expect((await post(body, { ...authorized, ...inHeaders, ...headers }))[0]).toBe(status);
		expect(emit).not.toHaveBeenCalled();
	});

	test("a body of another mode, and one without an event", async () => {
		const { post } = setup();
		const headers = { ...authorized, "content-type": structuredType };
		expect((await post(JSON.stringify([attributes]), headers))[0]).toBe(400);
		expect((await post(JSON.stringify(attributes), { ...headers, "content-type": batchType }))[0]).toBe(400);
		expect((await post("{}", { ...authorized, "content-type": "application/json" }))[0]).toBe(415);
	});

	test("two bad events of a batch are one answer, and no rejection that nobody handles", async () => {
		const { post } = setup();
		const bad = [
			{ ...attributes, id: "" },
			{ ...attributes, data_base64: "!" },
		];
		expect(await post(JSON.stringify(bad), { ...authorized, "content-type": batchType })).toEqual(
			refused("INVALID_BODY"),
		);
	});

	test("whatever comes: no event without a token, no fault, nothing told but a code", async () => {
		const { emit, post } = setup();
		const name = fc.constantFrom(
			"ce-id",
			"ce-type",
			"ce-source",
			"ce-specversion",
			"ce-time",
			"ce-__proto__",
		);
		const value = fc.oneof(
			fc.string({ unit: fc.integer({ min: 33, max: 255 }).map((code) => String.fromCharCode(code)) }),
			fc.constantFrom("%", "%ff", "%00", '"', '"\\"', "1.0", "\\"),
		);
		const headers = fc.record({
			"content-type": fc.constantFrom(structuredType, batchType, "application/json", "text/plain"),
			authorization: fc.constantFrom("", `Bearer ${token}`, "Bearer", "Bearer wrong-wrong-wrong"),
		});
		const member = fc.constantFrom(...Object.keys(attributes), "data", "data_base64", "__proto__", "subject");
		const json = fc.oneof(
			fc.dictionary(member, fc.jsonValue()).map((changes) => ({ ...attributes, ...changes })),
			fc.array(fc.dictionary(member, fc.jsonValue()).map((changes) => ({ ...attributes, ...changes }))),
			fc.jsonValue(),
		);
		const body = fc.oneof(
			fc.uint8Array(),
			json.map((each) => JSON.stringify(each)),
		);
		await fc.assert(
			fc.asyncProperty(headers, fc.dictionary(name, value), body, async (given, extra, sent) => {
				emit.mockClear();
				const [status, answer] = await post(sent as BodyInit, { ...extra, ...given });
				expect([204, 400, 401, 415]).toContain(status);
				if (given.authorization !== `Bearer ${token}`) expect([401, 415]).toContain(status);
				if (status !== 204) {
					expect(emit).not.toHaveBeenCalled();
					expect(answer).toEqual({ error: expect.stringMatching(/^[A-Z_]+$/) });
				}
				expect(({} as Record<string, unknown>).specversion).toBeUndefined();
			}),
			{ numRuns: 500 },
		);
	});
});
