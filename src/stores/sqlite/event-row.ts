import { crc32 } from "node:zlib";
import type { StoredEvent } from "../../outbox/ports.ts";
import { asBytes, bytesOf } from "./bytes.ts";
import type { SqlRow } from "./driver.ts";

/** What an event's row is read by, from `callhook_event e`. */
export const eventColumns: string = `e.checksum, ${asBytes("e.envelope")}, ${asBytes("e.data")}`;

/** An event but for its data, as JSON. */
export function writeEnvelope({ dataJson: _, ...fields }: StoredEvent): string {
	return JSON.stringify(fields);
}

/** Finds bits that have flipped in a file: SQLite checks its structure, not what stands in its rows. */
export const checksumOf = (envelope: string, data: string): number => crc32(envelope + data);

/** The event of a row; `undefined` when it is not what was written. */
export function readEvent({ checksum, ...row }: SqlRow): StoredEvent | undefined {
	const envelope = bytesOf(row.envelope);
	const data = bytesOf(row.data);
	if (crc32(data, crc32(envelope)) !== checksum) return undefined;
	const fields = JSON.parse(envelope.toString()) as Omit<StoredEvent, "dataJson">;
	return { ...fields, dataJson: data.toString() };
}
