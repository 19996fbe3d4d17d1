import type { SqlValue } from "./driver.ts";

/**
 * Selects text as bytes, under the name of its column: text in which a bit has flipped so that it is no UTF-8 ends the
 * process that reads it with libsql 0.5.
 */
export function asBytes(column: string): string {
	return `CAST(${column} AS BLOB) AS ${column.replace(/^.*\./u, "")}`;
}

/** What was read so; libsql gives it as an ArrayBuffer. */
export function bytesOf(value: SqlValue | undefined): Buffer {
	if (value instanceof ArrayBuffer) return Buffer.from(value);
	if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
	return Buffer.alloc(0);
}

/** The text that was read so; what is no UTF-8 is replaced. */
export const textOf = (value: SqlValue | undefined): string => bytesOf(value).toString();
