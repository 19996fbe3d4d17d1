import http from "node:http";
import { connect } from "node:net";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { listen } from "../../test/support/listener.ts";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { toNodeHandler } from "./node-handler.ts";
import { createReceiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: { note: "private" } };
const text = JSON.stringify(event);

function setup(options: Partial<ReceiverOptions> = {}) {
	const emit = vi.fn();
	const receiver = createReceiver({ secrets: secret, bus: { emit }, clock: standingClock, ...options });
	return { emit, receiver };
}

/** A body of which only a part ever comes. */
function stalling(part: string): ReadableStream<Uint8Array> {
	return new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(part)) });
}

describe("receiver.fetch() - limits", () => {
	test("a body that does not arrive in time is refused with 408, and no timer stays", async () => {
		const clock = fakeClock();
		const { emit, receiver } = setup({ clock, readTimeoutMs: 2_000 });
		const answer = receiver.fetch(signedRequest(text, { sent: stalling(text.slice(0, 9)) }));
		let isAnswered = false;
		void answer.then(() => {
			isAnswered = true;
		});
		await clock.advance(1_999);
		expect(isAnswered).toBe(false);
		await clock.advance(1);
		const response = await answer;
		expect([response.status, await response.json()]).toEqual([408, { error: "REQUEST_TIMEOUT" }]);
		expect([clock.timers, emit.mock.calls]).toEqual([0, []]);
	});

	test("over a socket, a slow sender gets its 408 and the connection closes", async () => {
		const clock = fakeClock();
		const { receiver } = setup({ clock, readTimeoutMs: 2_000 });
		const { port } = await listen(http.createServer(toNodeHandler(receiver)));
		const socket = connect(port, "127.0.0.1").setEncoding("latin1");
		socket.write(
			"POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
		);
		await vi.waitFor(() => expect(clock.timers).toBe(1));
		await clock.advance(2_000);
		const answer = String(await new Promise((resolve) => socket.once("data", resolve)));
		expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close/iu);
		socket.destroy();
	});

	test("headers over the limit are refused with 431, before the body is read", async () => {
		const { receiver } = setup({ maxHeaderBytes: 600 });
		expect((await receiver.fetch(signedRequest(event))).status).toBe(204);
		const large = signedRequest(event, { headers: { "x-large": "x".repeat(600) } });
		const response = await receiver.fetch(large);
		expect([response.status, await response.json()]).toEqual([431, { error: "HEADERS_TOO_LARGE" }]);
		expect(large.bodyUsed).toBe(false);
	});

	test("an event that came over webhooks before is left, unless so many are allowed", async () => {
		const hopped = (hops: string) => signedRequest(event, { headers: { "webhook-hops": hops } });
		const { emit, receiver } = setup();
		const left = await receiver.fetch(hopped("1"));
		expect([left.status, await left.json()]).toEqual([200, { ignored: "TOO_MANY_HOPS" }]);
		expect(emit).not.toHaveBeenCalled();
		const wider = setup({ maxHops: 1 });
		expect((await wider.receiver.fetch(hopped("1"))).status).toBe(204);
		expect(wider.emit.mock.lastCall?.[2]).toMatchObject({ metadata: { webhook: { hops: 2 } } });
		expect((await wider.receiver.fetch(hopped("2"))).status).toBe(200);
		// The header given twice.
		expect((await wider.receiver.fetch(hopped("1, 2"))).status).toBe(200);
		expect((await receiver.fetch(hopped("many"))).status).toBe(204);
		expect((await receiver.fetch(hopped("1000"))).status).toBe(200);
	});

	test.each([
		["mode", { mode: "later" }],
		["unknownTypes", { unknownTypes: "drop" }],
		["inlineTimeoutMs", { inlineTimeoutMs: 0 }],
		["readTimeoutMs", { readTimeoutMs: Number.POSITIVE_INFINITY }],
		["maxHops", { maxHops: -1 }],
		["maxHeaderBytes", { maxHeaderBytes: 10 }],
		["secrets", { preset: { name: "a", open: () => undefined } }],
		["preset", { secrets: undefined, preset: {} }],
	])("refuses an option %s that cannot work: %o", (option, options) => {
		expect(() => setup(options as unknown as Partial<ReceiverOptions>)).toThrow(
			expect.objectContaining({ details: expect.objectContaining({ option }) }),
		);
	});
});

describe("receiver.fetch() - fuzzed", () => {
	const header = fc.constantFrom(
		...["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-encoding"],
	);
	const printable = fc.string({
		unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
		maxLength: 100,
	});
	/** What somebody between sender and receiver may do to a message. */
	const tampering = fc.oneof(
		fc.record({ drop: header }),
		fc.record({ twice: header }),
		fc.record({ set: header, value: printable }),
		fc.record({ cut: fc.nat(text.length - 1) }),
		fc.record({ at: fc.nat(text.length - 1), xor: fc.integer({ min: 1, max: 255 }) }),
		fc.record({ append: fc.uint8Array({ minLength: 1, maxLength: 50 }) }),
		fc.record({ recode: fc.constantFrom<BufferEncoding>("utf16le", "base64", "hex") }),
	);

	function tamper(change: Partial<Record<string, unknown>>): Request {
		const genuine = signedRequest(event);
		const headers = new Headers(genuine.headers);
		let bytes = Buffer.from(text);
		if (typeof change.drop === "string") headers.delete(change.drop);
		if (typeof change.twice === "string") headers.append(change.twice, headers.get(change.twice) ?? "gzip");
		if (typeof change.set === "string") headers.set(change.set, change.value as string);
		if (typeof change.cut === "number") bytes = bytes.subarray(0, change.cut);
		if (typeof change.at === "number")
			bytes[change.at] = (bytes[change.at] as number) ^ (change.xor as number);
		if (change.append instanceof Uint8Array) bytes = Buffer.concat([bytes, change.append]);
		if (change.recode !== undefined) bytes = Buffer.from(bytes.toString(change.recode as BufferEncoding));
		// In pieces, as a slow sender has it.
		const pieces = Array.from({ length: Math.ceil(bytes.length / 17) }, (_, i) =>
			bytes.subarray(i * 17, i * 17 + 17),
		);
		const body = new ReadableStream<Uint8Array>({
			start(controller) {
				for (const piece of pieces) controller.enqueue(piece);
				controller.close();
			},
		});
		return new Request(genuine.url, { method: "POST", headers, body, duplex: "half" } as RequestInit);
	}

	test("what was tampered with is never accepted, never crashes and tells nothing", async () => {
		const { emit, receiver } = setup({ maxBodyBytes: 1_000, dedupe: memoryStore() });
		await fc.assert(
			fc.asyncProperty(tampering, async (change) => {
				const request = tamper(change);
				// What changes nothing that counts is still the genuine message.
				fc.pre(!isHarmless(change as { drop?: string; set?: string; value?: string }));
				const response = await receiver.fetch(request);
				expect([400, 401, 413, 415]).toContain(response.status);
				const answer = await response.text();
				expect(answer).toMatch(/^\{"error":"[A-Z_]{1,60}"\}$/u);
				expect(emit).not.toHaveBeenCalled();
			}),
			{ numRuns: 500 },
		);
	});

	function isHarmless({ drop, set, value }: { drop?: string; set?: string; value?: string }): boolean {
		const isEncoding = [drop, set].includes("content-encoding");
		const isNoEncoding = value === undefined || ["", "identity"].includes(value.trim().toLowerCase());
		const isSameType = set === "content-type" && /^\s*application\/json\s*(;|$)/iu.test(value ?? "");
		return (isEncoding && isNoEncoding) || isSameType;
	}

	test("a message that is replayed a hundred times at once runs once", async () => {
		const { emit, receiver } = setup({ dedupe: memoryStore() });
		const answers = await Promise.all(
			Array.from({ length: 100 }, () => receiver.fetch(signedRequest(event))),
		);
		expect(emit).toHaveBeenCalledOnce();
		const statuses = answers.map(({ status }) => status);
		expect(statuses.filter((status) => status === 204)).toHaveLength(1);
		expect(statuses.filter((status) => ![200, 204, 503].includes(status))).toEqual([]);
	});
});
