import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { createBus } from "../bus/index.ts";
import { CallhookError } from "../errors.ts";
import { defineEvents } from "../event/index.ts";
import { systemClock } from "../internal/clock.ts";
import { createMessageSigner, generateSecret, publicKeyOf } from "../signature/index.ts";
import { createReceiver, type Receiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const seconds = 1_614_265_330;
const id = "msg_1";
const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10.5Z", data: { orderId: "o_1" } };
const events = defineEvents({ "order.paid": z.object({ orderId: z.string() }) });

const metadata = { webhook: { hops: 1 } };

function setup(options: Partial<ReceiverOptions> = {}) {
	const emit = vi.fn();
	const clock = { ...systemClock, now: () => seconds * 1_000 };
	return { emit, receiver: createReceiver({ secrets: secret, bus: { emit }, clock, ...options }) };
}

function signedHeaders(body: string, at = seconds): Record<string, string> {
	return {
		"content-type": "application/json",
		"webhook-id": id,
		"webhook-timestamp": String(at),
		"webhook-signature": new Webhook(secret).sign(id, new Date(at * 1_000), body),
	};
}

function post(value: unknown, headers: Record<string, string> = {}): Request {
	const body = typeof value === "string" ? value : JSON.stringify(value);
	return new Request("https://shop.test/hooks", {
		method: "POST",
		body,
		headers: { ...signedHeaders(body), ...headers },
	});
}

async function expectRefusal(response: Response, status: number, error: string): Promise<void> {
	expect(response.status).toBe(status);
	expect(response.headers.get("content-type")).toContain("application/json");
	expect(await response.json()).toEqual({ error });
}

test("receiver.fetch() - waits for an asynchronous sink, and rejects when that fails: it must not be answered 204", async () => {
	const failure = new Error("db down");
	const { receiver } = setup({ bus: { emit: () => Promise.reject(failure) } });
	await expect(receiver.fetch(post(event))).rejects.toBe(failure);
});

describe("receiver.fetch() - accepts", () => {
	test("a signed event: emits it under its own id and time, and answers 204 without a body", async () => {
		const { emit, receiver } = setup();
		const response = await receiver.fetch(post(event));
		expect(response.status).toBe(204);
		expect(await response.text()).toBe("");
		expect(emit.mock.calls).toEqual([[event.type, event.data, { id, time: event.timestamp, metadata }]]);
	});

	test("the answer comes after emit", async () => {
		const order: string[] = [];
		const { receiver } = setup({ bus: { emit: () => order.push("emit") } });
		await receiver.fetch(post(event)).then(() => order.push("answer"));
		expect(order).toEqual(["emit", "answer"]);
	});

	test("fetch handed on without its receiver", async () => {
		const { fetch } = setup().receiver;
		expect((await fetch(post(event))).status).toBe(204);
	});

	test.each(["application/json; charset=utf-8", "Application/JSON", "application/json ;charset=UTF-8"])(
		"content type %j",
		async (type) => {
			expect((await setup().receiver.fetch(post(event, { "content-type": type }))).status).toBe(204);
		},
	);

	test("a type of the catalog, and hands on the data as received", async () => {
		const converting = defineEvents({ "order.paid": z.object({ orderId: z.string().transform(Number) }) });
		const { emit, receiver } = setup({ events: converting });
		expect((await receiver.fetch(post({ ...event, data: { orderId: "7" } }))).status).toBe(204);
		expect(emit).toHaveBeenCalledWith("order.paid", { orderId: "7" }, expect.anything());
	});

	test("each of two secrets", async () => {
		const other = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
		for (const secrets of [
			[other, secret],
			[secret, other],
		]) {
			expect((await setup({ secrets }).receiver.fetch(post(event))).status).toBe(204);
		}
	});

	test("what a sender's public key verifies, alone and beside a secret, and refuses another's", async () => {
		const pair = generateSecret("v1a");
		const body = new TextEncoder().encode(JSON.stringify(event));
		const signer = createMessageSigner([{ scheme: "v1a", secret: pair }]);
		const headers = signer.sign({ id, type: event.type, timestampSeconds: seconds, body });
		for (const secrets of [publicKeyOf(pair), [secret, publicKeyOf(pair)]]) {
			expect((await setup({ secrets }).receiver.fetch(post(event, headers))).status).toBe(204);
		}
		const { emit, receiver } = setup({ secrets: publicKeyOf(generateSecret("v1a")) });
		await expectRefusal(await receiver.fetch(post(event, headers)), 401, "ERR_CALLHOOK_SIGNATURE_MISMATCH");
		expect(emit).not.toHaveBeenCalled();
	});
});

describe("receiver.fetch() - the header traceparent", () => {
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

	test("is that of the event", async () => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(post(event, { traceparent }))).status).toBe(204);
		expect(emit.mock.calls).toEqual([
			[event.type, event.data, { id, time: event.timestamp, traceparent, metadata }],
		]);
	});

	test.each(["", "text", traceparent.toUpperCase(), `${traceparent}-more`, `${traceparent}, ${traceparent}`])(
		"is ignored where it is malformed: %j",
		async (malformed) => {
			const { emit, receiver } = setup();
			expect((await receiver.fetch(post(event, { traceparent: malformed }))).status).toBe(204);
			expect(emit.mock.calls).toStrictEqual([
				[event.type, event.data, { id, time: event.timestamp, metadata }],
			]);
		},
	);
});

describe("receiver.fetch() - refuses", () => {
	test.each(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])("%s with 405", async (method) => {
		const { emit, receiver } = setup();
		const response = await receiver.fetch(new Request("https://shop.test/", { method }));
		expect(response.headers.get("allow")).toBe("POST");
		await expectRefusal(response, 405, "METHOD_NOT_ALLOWED");
		expect(emit).not.toHaveBeenCalled();
	});

	test.each(["text/plain", "application/jsonp", "application/json, text/plain"])(
		"content type %j with 415",
		async (type) => {
			const { emit, receiver } = setup();
			const response = await receiver.fetch(post(event, { "content-type": type }));
			await expectRefusal(response, 415, "UNSUPPORTED_MEDIA_TYPE");
			expect(emit).not.toHaveBeenCalled();
		},
	);

	test("no content type with 415", async () => {
		const request = post(event);
		request.headers.delete("content-type");
		await expectRefusal(await setup().receiver.fetch(request), 415, "UNSUPPORTED_MEDIA_TYPE");
	});

	test("a body over the limit with 413, before anything is verified", async () => {
		const { emit, receiver } = setup({ maxBodyBytes: 20 });
		await expectRefusal(await receiver.fetch(post(event)), 413, "ERR_CALLHOOK_BODY_TOO_LARGE");
		expect(emit).not.toHaveBeenCalled();
	});

	test("a body over 1 MiB with 413, and not one of 1 MiB", async () => {
		const filled = (size: number): string =>
			JSON.stringify({ ...event, data: "" }).replace('""', `"${"x".repeat(size)}"`);
		const rest = filled(0).length;
		expect((await setup().receiver.fetch(post(filled(1_048_576 - rest)))).status).toBe(204);
		const response = await setup().receiver.fetch(post(filled(1_048_577 - rest)));
		await expectRefusal(response, 413, "ERR_CALLHOOK_BODY_TOO_LARGE");
	});

	test.each([
		["another secret", { "webhook-signature": `v1,${"A".repeat(43)}=` }, "ERR_CALLHOOK_SIGNATURE_MISMATCH"],
		["a repeated header", { "webhook-id": `${id}, ${id}` }, "ERR_CALLHOOK_SIGNATURE_HEADER"],
		["no timestamp", { "webhook-timestamp": "" }, "ERR_CALLHOOK_SIGNATURE_HEADER"],
		["half a timestamp", { "webhook-timestamp": "123.9" }, "ERR_CALLHOOK_SIGNATURE_TIMESTAMP"],
		["an old message", signedHeaders(JSON.stringify(event), seconds - 301), "ERR_CALLHOOK_SIGNATURE_EXPIRED"],
		[
			"a message ahead",
			signedHeaders(JSON.stringify(event), seconds + 301),
			"ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID",
		],
	])("%s with 401", async (_, headers, code) => {
		const { emit, receiver } = setup();
		await expectRefusal(await receiver.fetch(post(event, headers)), 401, code);
		expect(emit).not.toHaveBeenCalled();
	});

	test("an old message that a wider tolerance lets through, and not one older still", async () => {
		const old = (age: number): Request => post(event, signedHeaders(JSON.stringify(event), seconds - age));
		const { receiver } = setup({ toleranceSeconds: 600 });
		expect((await receiver.fetch(old(600))).status).toBe(204);
		await expectRefusal(await receiver.fetch(old(601)), 401, "ERR_CALLHOOK_SIGNATURE_EXPIRED");
	});

	test("a signed body that is no event with 400", async () => {
		const { emit, receiver } = setup();
		for (const body of ["", "{}", "[", JSON.stringify([event])]) {
			await expectRefusal(await receiver.fetch(post(body)), 400, "ERR_CALLHOOK_INVALID_BODY");
		}
		expect(emit).not.toHaveBeenCalled();
	});

	test("what the catalog does not know or does not allow with 400", async () => {
		const { emit, receiver } = setup({ events });
		const unknown = post({ ...event, type: "order.lost" });
		await expectRefusal(await receiver.fetch(unknown), 400, "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		const invalid = post({ ...event, data: { orderId: 1 } });
		await expectRefusal(await receiver.fetch(invalid), 400, "ERR_CALLHOOK_INVALID_DATA");
		expect(emit).not.toHaveBeenCalled();
	});

	test.each([
		[400, new CallhookError("ERR_CALLHOOK_INVALID_DATA", "private", { type: "a", issues: [] })],
		[400, new CallhookError("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE", "private", { type: "a", known: ["private"] })],
		[400, new CallhookError("ERR_CALLHOOK_INVALID_EVENT_TYPE", "private", { type: "a" })],
		[503, new CallhookError("ERR_CALLHOOK_CLOSED", "private", { what: "bus" })],
	])("with %i what the bus does not take, and says no more than the code", async (status, error) => {
		const bus = {
			emit() {
				throw error;
			},
		};
		await expectRefusal(await setup({ bus }).receiver.fetch(post(event)), status, error.code);
	});

	test("a body that somebody has read with 500 and a message for the developer", async () => {
		const read = post(event);
		await read.json();
		const locked = post(event);
		locked.body?.getReader();
		const begun = post(event);
		const reader = begun.body?.getReader();
		await reader?.read();
		reader?.releaseLock();
		for (const request of [read, locked, begun]) {
			const response = await setup().receiver.fetch(request);
			expect(response.status).toBe(500);
			expect(await response.json()).toEqual({
				error: "ERR_CALLHOOK_INVALID_BODY",
				message: expect.stringContaining("JSON parser"),
			});
		}
	});
});

describe("receiver.fetch() - on a real bus", () => {
	test("an event comes out as it went in at the sender, converted by the catalog of the bus", async () => {
		const converting = defineEvents({ "order.paid": z.object({ orderId: z.string().transform(Number) }) });
		const bus = createBus({ events: converting });
		const callback = vi.fn();
		bus.on("order.paid", callback);
		const { receiver } = setup({ bus, events: converting });
		expect((await receiver.fetch(post({ ...event, data: { orderId: "7" } }))).status).toBe(204);
		const expected = { id, type: event.type, time: "2021-02-25T15:02:10.500Z", data: { orderId: 7 } };
		expect(callback).toHaveBeenCalledExactlyOnceWith({ orderId: 7 }, expect.objectContaining(expected));
	});

	test("what its catalog does not take is a 400, a closed bus a 503", async () => {
		const bus = createBus({ events });
		const { receiver } = setup({ bus });
		const unknown = post({ ...event, type: "order.lost" });
		await expectRefusal(await receiver.fetch(unknown), 400, "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		const invalid = post({ ...event, data: {} });
		await expectRefusal(await receiver.fetch(invalid), 400, "ERR_CALLHOOK_INVALID_DATA");
		await bus.close();
		await expectRefusal(await receiver.fetch(post(event)), 503, "ERR_CALLHOOK_CLOSED");
	});

	test("a bus with types only takes any well-formed type", async () => {
		const bus = createBus<{ "order.paid": { orderId: string } }>();
		const { receiver } = setup({ bus });
		expect((await receiver.fetch(post(event))).status).toBe(204);
		const malformed = post({ ...event, type: "order..paid" });
		await expectRefusal(await receiver.fetch(malformed), 400, "ERR_CALLHOOK_INVALID_EVENT_TYPE");
	});
});

test("receiver.fetch() - rejects with a fault of this program, for the framework to report", async () => {
	const asynchronous = new CallhookError("ERR_CALLHOOK_ASYNC_SCHEMA", "a schema", { type: "order.paid" });
	for (const fault of [new Error("a bug"), asynchronous]) {
		const bus = {
			emit() {
				throw fault;
			},
		};
		await expect(setup({ bus }).receiver.fetch(post(event))).rejects.toBe(fault);
	}
});

describe("createReceiver() - refuses", () => {
	test.each([
		["no secrets", { secrets: [] }],
		["an empty secret", { secrets: [secret, ""] }],
		["a secret that is not set", { secrets: undefined }],
	])("%s", (_, options) => {
		expect(() => setup(options as Partial<ReceiverOptions>)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});

	test.each([
		["bus", { bus: undefined }],
		["bus", { bus: { on() {} } }],
		["events", { events: {} }],
		["clock", { clock: Date.now() }],
		["maxBodyBytes", { maxBodyBytes: 0 }],
		["maxBodyBytes", { maxBodyBytes: Number.POSITIVE_INFINITY }],
		["toleranceSeconds", { toleranceSeconds: -1 }],
		["options.secret", { secret }],
	])("an option %s that cannot work: %o", (option, options) => {
		expect(() => setup(options as unknown as Partial<ReceiverOptions>)).toThrow(
			expect.objectContaining({
				code: "ERR_CALLHOOK_INVALID_OPTION",
				details: expect.objectContaining({ option }),
			}),
		);
	});
});

describe("receiver.fetch() - properties", () => {
	/** Answers, whatever came: never by accepting it, never by crashing, never with more than a code. */
	async function expectNoEntry(receiver: Receiver, request: Request): Promise<void> {
		const response = await receiver.fetch(request);
		expect([400, 401, 405, 413, 415]).toContain(response.status);
		expect(await response.json()).toEqual({ error: expect.stringMatching(/^[A-Z_]+$/) });
	}

	test("a signed body that is changed in one byte is never accepted", async () => {
		const { emit, receiver } = setup();
		const body = JSON.stringify(event);
		await fc.assert(
			fc.asyncProperty(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), async (at, difference) => {
				const changed = new TextEncoder().encode(body);
				changed[at] = (changed[at] as number) ^ difference;
				const init = { method: "POST", headers: signedHeaders(body), body: changed };
				await expectNoEntry(receiver, new Request("https://shop.test/", init));
			}),
		);
		expect(emit).not.toHaveBeenCalled();
	});

	test("arbitrary requests are never accepted", async () => {
		const { emit, receiver } = setup({ maxBodyBytes: 200, events });
		const value = fc.string({
			unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
		});
		const name = fc.constantFrom(
			"webhook-id",
			"webhook-timestamp",
			"webhook-signature",
			"content-type",
			"x-other",
		);
		const changes = fc.dictionary(name, value, { minKeys: 1 });
		await fc.assert(
			fc.asyncProperty(changes, fc.uint8Array({ maxLength: 300 }), async (headers, body) => {
				const init = { method: "POST", headers: { ...signedHeaders(""), ...headers }, body };
				await expectNoEntry(receiver, new Request("https://shop.test/", init));
			}),
			{ numRuns: 300 },
		);
		expect(emit).not.toHaveBeenCalled();
	});

	test("any JSON value arrives as it was sent", async () => {
		const { emit, receiver } = setup();
		await fc.assert(
			fc.asyncProperty(fc.jsonValue(), async (data) => {
				expect((await receiver.fetch(post({ ...event, data }))).status).toBe(204);
				const received: unknown = emit.mock.lastCall?.[1];
				expect(JSON.stringify(received)).toBe(JSON.stringify(data));
			}),
		);
	});
});
