// What an attempt may keep of the headers of one side.
const maxBytes = 8_192;

// The receiver's cookie is meant for nobody who reads the history.
const secret = ["set-cookie", "set-cookie2"];

/**
 * The headers of one side of an attempt, named in lower case, as they are kept: cookies left out, and each that no longer fits
 * into 8,192 bytes of names and values together left out too.
 */
export function keepHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
	return isKeptWhole(headers) ? headers : pick(headers);
}

/** Nearly always: then nothing is counted byte for byte, and nothing copied. */
function isKeptWhole(headers: Readonly<Record<string, string>>): boolean {
	if (secret.some((name) => Object.hasOwn(headers, name))) return false;
	let length = 0;
	for (const name of Object.keys(headers)) length += name.length + (headers[name] as string).length;
	// UTF-8 takes at most three bytes for one of UTF-16.
	return length * 3 <= maxBytes;
}

function pick(headers: Readonly<Record<string, string>>): Record<string, string> {
	const kept: [string, string][] = [];
	let left = maxBytes;
	for (const [name, value] of Object.entries(headers)) {
		const bytes = Buffer.byteLength(name) + Buffer.byteLength(value);
		if (secret.includes(name) || bytes > left) continue;
		left -= bytes;
		kept.push([name, value]);
	}
	return Object.fromEntries(kept);
}
