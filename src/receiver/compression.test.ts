import { deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { createReceiver } from "./receiver.ts";

const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: { note: "é".repeat(1_000) } };
const text = JSON.stringify(event);

function setup(maxBodyBytes?: number) {
	const emit = vi.fn();
	const receiver = createReceiver({ secrets: secret, bus: { emit }, clock: standingClock, maxBodyBytes });
	return { emit, receiver };
}

const packed = (sent: BodyInit, encoding: string, value: unknown = event) =>
	signedRequest(value, { sent, headers: { "content-encoding": encoding } });

describe("receiver.fetch() - a packed body", () => {
	test.each([
		["gzip", gzipSync(text)],
		["X-GZip", gzipSync(text)],
		["deflate", deflateSync(text)],
		["identity", Buffer.from(text)],
	])("%s: is unpacked, and the signature is that of the text", async (encoding, bytes) => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(packed(bytes, encoding))).status).toBe(204);
		expect(emit).toHaveBeenCalledExactlyOnceWith(event.type, event.data, expect.anything());
	});

	test.each(["br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "*"])(
		"%s: is refused with 415",
		async (encoding) => {
			const { emit, receiver } = setup();
			const response = await receiver.fetch(packed(gzipSync(text), encoding));
			expect([response.status, await response.json()]).toEqual([
				415,
				{ error: "UNSUPPORTED_CONTENT_ENCODING" },
			]);
			expect(response.headers.get("accept-encoding")).toBe("gzip, deflate");
			expect(emit).not.toHaveBeenCalled();
		},
	);

	test("that grows beyond the limit is refused with 413, without being unpacked to its end", async () => {
		const { emit, receiver } = setup();
		const bomb = gzipSync(Buffer.alloc(128 * 1_048_576));
		expect(bomb.length).toBeLessThan(200_000);
		const before = process.memoryUsage().rss;
		const response = await receiver.fetch(packed(bomb, "gzip"));
		expect([response.status, await response.json()]).toEqual([413, { error: "ERR_CALLHOOK_BODY_TOO_LARGE" }]);
		expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
		expect(emit).not.toHaveBeenCalled();
	});

	test("that is endless when packed, too, is refused with 413", async () => {
		let pulls = 0;
		const body = new ReadableStream<Uint8Array>({
			pull(controller) {
				pulls++;
				controller.enqueue(gzipSync(""));
			},
		});
		expect((await setup(1_000).receiver.fetch(packed(body, "gzip"))).status).toBe(413);
		expect(pulls).toBeLessThan(100);
	});

	test("counts what it unpacks to: exactly the limit passes", async () => {
		const bytes = gzipSync(text);
		const size = Buffer.byteLength(text);
		expect((await setup(size).receiver.fetch(packed(bytes, "gzip"))).status).toBe(204);
		expect((await setup(size - 1).receiver.fetch(packed(bytes, "gzip"))).status).toBe(413);
	});

	test("that is cut off, damaged or no gzip at all is refused, and never crashes", async () => {
		const { emit, receiver } = setup();
		const whole = gzipSync(text);
		const damaged = fc.oneof(
			fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
			fc.uint8Array({ maxLength: 200 }),
			fc.nat(whole.length - 1).map((at) => {
				const copy = Buffer.from(whole);
				copy[at] = (copy[at] as number) ^ 0xff;
				return copy;
			}),
		);
		await fc.assert(
			fc.asyncProperty(damaged, async (bytes) => {
				emit.mockClear();
				const response = await receiver.fetch(packed(new Uint8Array(bytes), "gzip"));
				// What stands in the header of gzip and nobody reads may be damaged: the text is the signed one.
				const isTaken = response.status === 204;
				expect(isTaken || [400, 401, 413].includes(response.status)).toBe(true);
				expect(emit.mock.calls.map(([, data]) => data as unknown)).toEqual(isTaken ? [event.data] : []);
			}),
			{ numRuns: 200 },
		);
	});
});
