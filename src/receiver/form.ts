import { invalidBody, mediaType, parseObject, readText } from "./content.ts";

/** Whether the content type is that of a form. */
export function isForm(headers: Headers): boolean {
	return mediaType(headers) === "application/x-www-form-urlencoded";
}

/** The fields of a form, each of which may be there once. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parseForm(body: Uint8Array): Readonly<Record<string, string>> {
	const fields = new Map<string, string>();
	for (const [name, value] of new URLSearchParams(readText(body))) {
		if (fields.has(name)) throw invalidBody("it is a form that has a field twice");
		fields.set(name, value);
	}
	return Object.fromEntries(fields);
}

/** The JSON object in the field `payload` of a form. Throws ERR_CALLHOOK_INVALID_BODY. */
export function parsePayload({
	payload,
}: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
	if (payload === undefined) throw invalidBody('it is a form without the field "payload"');
	return parseObject(new TextEncoder().encode(payload));
}
