import { CallhookError } from "../errors.ts";
import type { ContentEncoding } from "./content.ts";

const firstBytes = 16_384;

/**
 * Reads a body of at most `maxBodyBytes`, packed and unpacked, and stops reading as soon as it is longer or `signal`
 * fires. Throws ERR_CALLHOOK_BODY_TOO_LARGE, the reason of the signal, or ERR_CALLHOOK_INVALID_BODY when the sender broke
 * off or the packing is damaged.
 */
export async function readBody(
	request: Request,
	maxBodyBytes: number,
	{
		encoding = "identity",
		signal,
	}: { readonly encoding?: ContentEncoding; readonly signal?: AbortSignal } = {},
): Promise<Uint8Array> {
	if (Number(request.headers.get("content-length")) > maxBodyBytes) throw tooLarge(maxBodyBytes);
	if (request.body === null) return new Uint8Array();
	const reader = request.body.getReader();
	const onAbort = (): void => void reader.cancel(signal?.reason).catch(() => undefined);
	signal?.addEventListener("abort", onAbort, { once: true });
	try {
		const packed = await readAll(reader, maxBodyBytes, "the connection broke off");
		signal?.throwIfAborted();
		return encoding === "identity" ? packed : await unpack(packed, encoding, maxBodyBytes);
	} finally {
		signal?.removeEventListener("abort", onAbort);
	}
}

/**
 * What is small when packed and endless when not stops at the limit. Not unpacked as it arrives: streams of some runtimes
 * take in far more than they have unpacked, past any limit.
 */
function unpack(
	packed: Uint8Array<ArrayBuffer>,
	encoding: "gzip" | "deflate",
	maxBodyBytes: number,
): Promise<Uint8Array> {
	const { body } = new Response(packed);
	if (body === null) return Promise.resolve(packed);
	const unpacking = body.pipeThrough(new DecompressionStream(encoding));
	return readAll(unpacking.getReader(), maxBodyBytes, `it is no ${encoding}`);
}

async function readAll(
	reader: ReadableStreamDefaultReader<Uint8Array>,
	maxBodyBytes: number,
	fault: string,
): Promise<Uint8Array<ArrayBuffer>> {
	// One growing buffer, not a list of chunks: a body sent byte by byte would cost a hundred times its size.
	let buffer = new Uint8Array(Math.min(firstBytes, maxBodyBytes));
	let size = 0;
	for (;;) {
		const { done, value } = await reader.read().catch((cause: unknown) => unreadable(cause, fault));
		if (done) return buffer.subarray(0, size);
		const needed = size + value.length;
		if (needed > maxBodyBytes) {
			// Not awaited, since a source may take its time to stop; and how it stops is of no interest any more.
			reader.cancel().catch(() => undefined);
			throw tooLarge(maxBodyBytes);
		}
		if (needed > buffer.length) {
			buffer = grow(buffer, Math.min(Math.max(needed, buffer.length * 2), maxBodyBytes));
		}
		buffer.set(value, size);
		size = needed;
	}
}

function grow(buffer: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
	const larger = new Uint8Array(length);
	larger.set(buffer);
	return larger;
}

function tooLarge(maxBodyBytes: number): CallhookError {
	return new CallhookError("ERR_CALLHOOK_BODY_TOO_LARGE", `The body is longer than ${maxBodyBytes} bytes`, {
		maxBodyBytes,
	});
}

function unreadable(cause: unknown, reason: string): never {
	throw new CallhookError(
		"ERR_CALLHOOK_INVALID_BODY",
		`The body could not be read: ${reason}`,
		{ reason },
		{ cause },
	);
}
