const [quote, backslash] = [0x22, 0x5c];
const [openList, openObject, closeList, closeObject] = [0x5b, 0x7b, 0x5d, 0x7d];

/** Whether lists and objects in the bytes of a JSON text stand in one another more than `limit` deep. */
export function isDeeperThan(json: Uint8Array, limit: number): boolean {
	let depth = 0;
	let isInString = false;
	for (let index = 0; index < json.length; index++) {
		const byte = json[index];
		if (byte === quote) isInString = !isInString;
		else if (isInString) index += byte === backslash ? 1 : 0;
		else if (byte === openList || byte === openObject) depth++;
		else if (byte === closeList || byte === closeObject) depth--;
		if (depth > limit) return true;
	}
	return false;
}
