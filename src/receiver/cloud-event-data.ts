import { decodeBase64 } from "../internal/base64.ts";
import { invalidBody, isJsonType, parseJson, readText, withoutParameters } from "./content.ts";

// These find one place instead of matching a whole text, for which many megabytes would be too much.
const padding = /={1,2}$/;
const noBase64 = /[^A-Za-z0-9+/]/;
const text = /^text\/.|.[/+]xml$/u;

/**
 * The data in the bytes of a body: JSON as its value, text as a string, and all else as base64, which is what a bus can
 * keep of bytes. No bytes are no data, and that is null.
 */
export function readBytes(bytes: Uint8Array, mediaType: string | undefined): unknown {
	if (bytes.length === 0) return null;
	if (mediaType !== undefined && isJsonType(mediaType)) return parseJson(bytes);
	if (mediaType !== undefined && text.test(mediaType)) return readText(bytes);
	return toBase64(bytes);
}

/** The data of an event in JSON: its `data`, or the bytes of its `data_base64`. Throws ERR_CALLHOOK_INVALID_BODY. */
export function readMembers(attributes: Readonly<Record<string, unknown>>): unknown {
	const { data, data_base64: encoded, datacontenttype: type } = attributes;
	if (type !== undefined && type !== null && typeof type !== "string") {
		throw invalidBody('"datacontenttype" is not a string');
	}
	// CloudEvents knows events without data; JSON has null for it.
	if (encoded === undefined || encoded === null) return data ?? null;
	if (data !== undefined) throw invalidBody('it has both "data" and "data_base64"');
	if (typeof encoded !== "string" || !isBase64(encoded)) throw invalidBody('"data_base64" is not base64');
	return readBytes(decodeBase64(encoded), withoutParameters(type ?? undefined));
}

function isBase64(encoded: string): boolean {
	return encoded.length % 4 === 0 && !noBase64.test(encoded.replace(padding, ""));
}

function toBase64(bytes: Uint8Array): string {
	// In pieces, since an argument list has a limit; one by one costs ten times as much.
	const piece = 8_192;
	let binary = "";
	for (let from = 0; from < bytes.length; from += piece) {
		binary += String.fromCharCode(...bytes.subarray(from, from + piece));
	}
	return btoa(binary);
}
