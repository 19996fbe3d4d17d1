import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBodyReader } from "./response-body.ts";

const encoders: Readonly<Record<string, (text: string | Buffer) => Buffer>> = {
	gzip: zlib.gzipSync,
	"X-GZIP": zlib.gzipSync,
	" gzip ": zlib.gzipSync,
	deflate: zlib.deflateSync,
	Deflate: zlib.deflateRawSync,
	br: zlib.brotliCompressSync,
	identity: Buffer.from,
	"": Buffer.from,
};
const encodings = Object.entries(encoders);

/** What is kept of a body that comes in these pieces; `end` says whether it ends. */
function read(encoding: string | undefined, pieces: Iterable<Uint8Array>, end = true): Promise<string> {
	return new Promise((resolve) => {
		const reader = createBodyReader(encoding, resolve);
		for (const piece of pieces) reader.write(Buffer.from(piece));
		if (end) reader.end();
	});
}

function* slice(bytes: Buffer, size: number): Generator<Buffer> {
	for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("createBodyReader()", () => {
	test.each(encodings)("%j: gives the text back, in whatever pieces it came", async (encoding, encode) => {
		await fc.assert(
			fc.asyncProperty(
				fc.string({ unit: "grapheme", maxLength: 2_000 }),
				fc.integer({ min: 1, max: 500 }),
				async (text, size) => {
					expect(await read(encoding, slice(encode(text), size))).toBe(text);
				},
			),
			{ numRuns: 30 },
		);
	});

	test.each(encodings)("%j: keeps 16 KiB, whole when it has less", async (encoding, encode) => {
		for (const length of [16_383, 16_384, 16_385, 100_000]) {
			const text = await read(encoding, [encode("x".repeat(length))]);
			expect(text.length, String(length)).toBe(Math.min(length, 16_384));
		}
	});

	test.each(encodings)("%j: does not wait for the end of what is long enough", async (encoding, encode) => {
		const noise = Buffer.from(
			Array.from({ length: 60_000 }, (_, index) => 32 + ((index * index * 7919) % 90)),
		);
		expect(await read(encoding, slice(encode(noise), 1_000), false)).toBe(noise.toString("utf8", 0, 16_384));
	});

	test.each(encodings)("%j: an empty body is an empty text", async (encoding, encode) => {
		expect(await read(encoding, [])).toBe("");
		expect(await read(encoding, [encode("")])).toBe("");
	});

	test.each(["gzip", "deflate", "br"])(
		"%j: what is cut off or damaged counts up to there",
		async (encoding) => {
			const encode = encoders[encoding] as (text: string) => Buffer;
			const text = Array.from({ length: 3_000 }, (_, index) => `line ${index * 7919}`)
				.join("\n")
				.slice(0, 16_000);
			const bytes = encode(text);
			const cut = await read(encoding, [bytes.subarray(0, bytes.length >> 1)]);
			expect(cut.length).toBeGreaterThan(100);
			expect(text.startsWith(cut.replace(/\uFFFD+$/u, ""))).toBe(true);
			expect(await read(encoding, [Buffer.from("no such coding")])).toBe("");
			const damaged = Buffer.from(bytes).fill(0xff, bytes.length >> 1);
			expect((await read(encoding, [damaged])).length).toBeLessThanOrEqual(16_384);
		},
	);

	test.each(["zstd", "compress", "gzip, br", "br, gzip", "toString", "__proto__"])(
		"%j: nothing is kept of a coding that is not known",
		async (encoding) => {
			expect(await read(encoding, [Buffer.from("x".repeat(1_000))])).toBe("");
		},
	);

	test.each(["gzip", "deflate", "br"])("%j: a bomb is not blown up", async (encoding) => {
		const encode = encoders[encoding] as (text: Buffer) => Buffer;
		const bomb = encode(Buffer.alloc(20_000_000));
		const before = process.memoryUsage().rss;
		const texts = await Promise.all(
			Array.from({ length: 20 }, () => read(encoding, slice(bomb, 16_384), false)),
		);
		for (const text of texts) expect(text).toBe("\0".repeat(16_384));
		expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
	});

	test("reads no more than 64 KiB of what decompresses to nothing", async () => {
		const nothing = zlib.gzipSync("");
		const reader = { pieces: 0 };
		const text = new Promise<string>((resolve) => {
			const body = createBodyReader("gzip", resolve);
			for (; reader.pieces < 10_000; reader.pieces++) body.write(nothing);
		});
		expect(await text).toBe("");
	});

	test("calls back once, and not after it was destroyed", async () => {
		for (const encoding of ["", "gzip"]) {
			let calls = 0;
			const once = createBodyReader(encoding, () => calls++);
			const bytes = (encoders[encoding] as (text: string) => Buffer)("x".repeat(20_000));
			once.write(bytes);
			once.end();
			once.end();
			const never = createBodyReader(encoding, () => expect.fail("called back"));
			never.write(bytes.subarray(0, 10));
			never.destroy();
			never.write(bytes.subarray(10));
			never.end();
			// What another decoder does after them, they had the time to do.
			await read("gzip", [zlib.gzipSync("x")]);
			await read("gzip", [zlib.gzipSync("x")]);
			expect(calls).toBe(1);
		}
	});
});
