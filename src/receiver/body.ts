import { CallhookError } from "../errors.ts";

const firstBytes = 16_384;

/**
 * Reads a body of at most `maxBodyBytes`, and stops reading as soon as it is longer. Throws
 * ERR_CALLHOOK_BODY_TOO_LARGE, or ERR_CALLHOOK_INVALID_BODY when the sender broke off.
 */
export async function readBody(request: Request, maxBodyBytes: number): Promise<Uint8Array> {
	if (Number(request.headers.get("content-length")) > maxBodyBytes) throw tooLarge(maxBodyBytes);
	if (request.body === null) return new Uint8Array();
	const reader = request.body.getReader();
	// One growing buffer, not a list of chunks: a body sent byte by byte would cost a hundred times its size.
	let buffer = new Uint8Array(Math.min(firstBytes, maxBodyBytes));
	let size = 0;
	for (;;) {
		const { done, value } = await reader.read().catch(brokenOff);
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

function brokenOff(cause: unknown): never {
	const reason = "the connection broke off";
	throw new CallhookError(
		"ERR_CALLHOOK_INVALID_BODY",
		`The body could not be read: ${reason}`,
		{ reason },
		{ cause },
	);
}
