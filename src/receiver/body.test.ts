import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readBody } from "./body.ts";

interface Source {
	readonly request: Request;
	/** How often a chunk was asked for, and whether the reader said it wants no more. */
	readonly seen: { pulls: number; cancelled: boolean };
}

function streamed(chunks: Iterable<Uint8Array>, headers: Record<string, string> = {}): Source {
	const seen = { pulls: 0, cancelled: false };
	const iterator = chunks[Symbol.iterator]();
	const body = new ReadableStream<Uint8Array>(
		{
			pull(controller) {
				seen.pulls++;
				const { done, value } = iterator.next();
				if (done === true) controller.close();
				else controller.enqueue(value);
			},
			cancel() {
				seen.cancelled = true;
			},
		},
		{ highWaterMark: 0 },
	);
	const init = { method: "POST", headers, body, duplex: "half" };
	return { request: new Request("http://localhost/", init), seen };
}

function* endless(size: number): Generator<Uint8Array> {
	for (;;) yield new Uint8Array(size);
}

describe("readBody()", () => {
	test("joins the chunks, however they are cut", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.uint8Array({ maxLength: 40_000, size: "max" }), { maxLength: 8 }),
				async (chunks) => {
					const { request } = streamed(chunks);
					expect(Buffer.compare(await readBody(request, 1_000_000), Buffer.concat(chunks))).toBe(0);
				},
			),
			{ numRuns: 30 },
		);
	});

	test("reads a request without a body as no bytes", async () => {
		expect(await readBody(new Request("http://localhost/", { method: "POST" }), 10)).toHaveLength(0);
	});

	test("takes exactly the limit and not a byte more", async () => {
		const cut = (size: number): Uint8Array[] => Array.from({ length: size }, () => new Uint8Array(1));
		expect(await readBody(streamed(cut(100)).request, 100)).toHaveLength(100);
		await expect(readBody(streamed(cut(101)).request, 100)).rejects.toMatchObject({
			code: "ERR_CALLHOOK_BODY_TOO_LARGE",
			details: { maxBodyBytes: 100 },
		});
	});

	test("stops an endless body at the limit", async () => {
		const { request, seen } = streamed(endless(1_000));
		await expect(readBody(request, 100_000)).rejects.toMatchObject({ code: "ERR_CALLHOOK_BODY_TOO_LARGE" });
		expect(seen).toEqual({ pulls: 101, cancelled: true });
	});

	test("reads nothing of a body that is announced as too long", async () => {
		const { request, seen } = streamed(endless(1), { "content-length": "101" });
		await expect(readBody(request, 100)).rejects.toMatchObject({ code: "ERR_CALLHOOK_BODY_TOO_LARGE" });
		expect(seen.pulls).toBe(0);
	});

	test("does not believe a short announcement", async () => {
		const { request } = streamed(endless(60), { "content-length": "1" });
		await expect(readBody(request, 100)).rejects.toMatchObject({ code: "ERR_CALLHOOK_BODY_TOO_LARGE" });
	});

	test("says so when the sender breaks off", async () => {
		const cause = new Error("aborted");
		const body = new ReadableStream({ pull: () => Promise.reject(cause) });
		const request = new Request("http://localhost/", { method: "POST", body, duplex: "half" } as RequestInit);
		await expect(readBody(request, 100)).rejects.toMatchObject({ code: "ERR_CALLHOOK_INVALID_BODY", cause });
	});
});
