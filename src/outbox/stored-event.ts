import { CallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import type { StoredEvent } from "./ports.ts";

/** What an event carries, as JSON, taken before any consumer could change it. */
export type EventPayload = Pick<StoredEvent, "dataJson" | "metadataJson">;

/** Writes an event's data and metadata as JSON; throws ERR_CALLHOOK_NOT_SERIALIZABLE. */
export function serialize(type: string, data: unknown, metadata: unknown): EventPayload {
	try {
		// JSON has no `undefined`: an event without data is written as null.
		const dataJson = data === undefined ? "null" : JSON.stringify(data);
		const metadataJson = metadata === undefined ? "{}" : JSON.stringify(metadata);
		if (typeof dataJson === "string" && typeof metadataJson === "string") return { dataJson, metadataJson };
	} catch (cause) {
		throw notSerializable(type, cause);
	}
	throw notSerializable(type, undefined);
}

function notSerializable(type: string, cause: unknown): CallhookError {
	const reason = cause instanceof Error ? `: ${cause.message}` : "";
	return new CallhookError(
		"ERR_CALLHOOK_NOT_SERIALIZABLE",
		`The outbox takes "${type}", but its data or metadata cannot be written as JSON${reason}`,
		{ type },
		{ cause },
	);
}

export function toStoredEvent(
	event: BusEvent,
	{ dataJson, metadataJson }: EventPayload,
	version: number | undefined,
): StoredEvent {
	const { id, type, time, source, key, subject, correlationId, causationId, traceparent } = event;
	// One literal: with spreads this is a third of the memory of an event that waits.
	return {
		id,
		type,
		time,
		source,
		dataJson,
		metadataJson,
		version,
		key,
		subject,
		correlationId,
		causationId,
		traceparent,
	};
}

/** The event with its data as JSON gave it: neither brought up to date nor validated. */
export function readStoredEvent(stored: StoredEvent): BusEvent {
	const { dataJson, metadataJson, version: _, ...envelope } = stored;
	return {
		...envelope,
		data: JSON.parse(dataJson) as unknown,
		metadata: JSON.parse(metadataJson) as BusEvent["metadata"],
	};
}
