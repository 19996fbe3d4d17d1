import { gzipSync } from "node:zlib";

/** A body as it goes over the wire. */
export interface EncodedRequestBody {
	readonly body: Uint8Array;
	/** Its `content-encoding`, if any. */
	readonly encoding?: "gzip" | undefined;
}

/**
 * Compresses a request body where that is asked for and makes it smaller.
 *
 * The signature stays that of the body before: receivers decompress first, as most frameworks do before a handler sees the
 * body, and then verify the JSON that they got. So a webhook has one signature, whatever a proxy on the way does to its
 * coding, and it can be switched on for an endpoint without another key or header.
 */
export function encodeRequestBody(body: Uint8Array, compress: "gzip" | undefined): EncodedRequestBody {
	if (compress === undefined) return { body };
	const encoded = gzipSync(body);
	if (encoded.length >= body.length) return { body };
	return { body: encoded, encoding: compress };
}
