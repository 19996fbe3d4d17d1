/** Decodes base64 that a caller has already matched against its own pattern: `atob` alone lets white space pass. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
	const binary = atob(text);
	const bytes = new Uint8Array(binary.length);
	// Uint8Array.from would make a string of each character, of which a body has megabytes.
	for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index);
	return bytes;
}
