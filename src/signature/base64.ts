/** Decodes base64 that a caller has already matched against its own pattern: `atob` alone lets white space pass. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function encodeBase64(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes));
}
