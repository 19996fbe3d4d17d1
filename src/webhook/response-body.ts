import type { Transform } from "node:stream";
import zlib from "node:zlib";

/** Keeps the beginning of a response body, decompressed, and says once what it is. */
export interface BodyReader {
	write(chunk: Buffer): void;
	/** There is no more to come. */
	end(): void;
	/** Nobody asks any more. */
	destroy(): void;
}

/** What is kept of a body. Reading stops there, so an endless body costs no memory and no time. */
const maxBodyBytes = 16_384;
// Of a compressed body at most so many bytes are read: one that decompresses to nothing, as empty gzip blocks do, must end.
const maxEncodedBytes = 65_536;
// The window of a decoder is what it may allocate: brotli's is up to 16 MiB where the sender says so, deflate's 32 KiB.
const decoderOptions = { chunkSize: maxBodyBytes, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const brotliOptions = { chunkSize: maxBodyBytes, finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH };

type CreateDecoder = (first: Buffer) => Transform;

const decoders: Readonly<Record<string, CreateDecoder>> = {
	gzip: () => zlib.createGunzip(decoderOptions),
	"x-gzip": () => zlib.createGunzip(decoderOptions),
	// It means the zlib format, but many servers send what is inside of that: the first byte tells.
	deflate: ([first = 0]) =>
		(first & 0x0f) === 8 ? zlib.createInflate(decoderOptions) : zlib.createInflateRaw(decoderOptions),
	br: () => zlib.createBrotliDecompress(brotliOptions),
};

/**
 * Reads a body with a `Content-Encoding` (gzip, deflate or br; of another nothing is kept) and calls `done` once with its
 * first 16 KiB as text: when there are as many, or at its end. A compressed body that is damaged or cut off counts up to there.
 */
export function createBodyReader(encoding: string | undefined, done: (text: string) => void): BodyReader {
	const name = encoding?.trim().toLowerCase() ?? "";
	if (name === "" || name === "identity") return new PlainBody(done);
	const create = Object.hasOwn(decoders, name) ? decoders[name] : undefined;
	return create === undefined ? new PlainBody(() => done("")) : new EncodedBody(create, done);
}

class PlainBody implements BodyReader {
	#done: ((text: string) => void) | undefined;
	#chunks: Buffer[] = [];
	#bytes = 0;

	constructor(done: (text: string) => void) {
		this.#done = done;
	}

	write(chunk: Buffer): void {
		if (this.#done === undefined) return;
		this.#chunks.push(chunk.subarray(0, maxBodyBytes - this.#bytes));
		this.#bytes += chunk.length;
		if (this.#bytes >= maxBodyBytes) this.end();
	}

	end(): void {
		const done = this.#done;
		const text = Buffer.concat(this.#chunks).toString("utf8");
		this.destroy();
		done?.(text);
	}

	destroy(): void {
		this.#done = undefined;
		this.#chunks = [];
	}
}

class EncodedBody implements BodyReader {
	readonly #create: CreateDecoder;
	readonly #decoded: PlainBody;
	#decoder: Transform | undefined;
	#encodedBytes = 0;
	#isEnding = false;

	constructor(create: CreateDecoder, done: (text: string) => void) {
		this.#create = create;
		this.#decoded = new PlainBody((text) => {
			this.destroy();
			done(text);
		});
	}

	write(chunk: Buffer): void {
		if (this.#isEnding || chunk.length === 0) return;
		this.#decoder ??= this.#open(chunk);
		this.#decoder.write(chunk.subarray(0, maxEncodedBytes - this.#encodedBytes));
		this.#encodedBytes += chunk.length;
		if (this.#encodedBytes >= maxEncodedBytes) this.end();
	}

	end(): void {
		if (this.#isEnding) return;
		this.#isEnding = true;
		if (this.#decoder === undefined) this.#decoded.end();
		else this.#decoder.end();
	}

	destroy(): void {
		this.#isEnding = true;
		this.#decoded.destroy();
		this.#decoder?.destroy();
	}

	#open(first: Buffer): Transform {
		const decoder = this.#create(first);
		const end = (): void => this.#decoded.end();
		return decoder
			.on("data", (part: Buffer) => this.#decoded.write(part))
			.on("end", end)
			.on("error", end);
	}
}
