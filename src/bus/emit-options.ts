import { CallhookError } from "../errors.ts";
import { copyMetadata, type EmitOptions } from "../event/index.ts";
import { parseTime } from "../internal/iso-time.ts";
import { isMessageId } from "../internal/message-id.ts";
import { checkDelayMs, checkOptions, invalidOption } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import { isTraceparent } from "../internal/traceparent.ts";
import type { Plan } from "./plan.ts";

const textOptions = [
	"key",
	"subject",
	"correlationId",
	"causationId",
	"traceparent",
	"idempotencyKey",
] as const;
const knownOptions: readonly string[] = ["id", "time", "metadata", "delayMs", "at", ...textOptions];

const expectedTime = "a Date, a time in RFC 3339 or milliseconds since 1970";

/** Checks what may be said of an event; throws ERR_CALLHOOK_INVALID_OPTION. */
export function checkEmitOptions(options: EmitOptions): void {
	checkOptions("emit", options, knownOptions, ", behind one data argument");
	const { id, time } = options;
	if (id !== undefined && !(typeof id === "string" && isMessageId(id))) {
		throw invalidOption("id", "1 to 256 printable ASCII characters without space and dot", id);
	}
	if (time !== undefined && !isTime(time)) {
		throw invalidOption("time", expectedTime, time);
	}
	checkDelayMs("delayMs", options.delayMs);
	if (options.at !== undefined && !isTime(options.at)) {
		throw invalidOption("at", expectedTime, options.at);
	}
	if (options.at !== undefined && options.delayMs !== undefined) {
		throw invalidOption("at", "left out where delayMs is given", options.at);
	}
	for (const name of textOptions) {
		const value: unknown = options[name];
		if (value !== undefined && (typeof value !== "string" || value === "")) {
			throw invalidOption(name, "a non-empty string", value);
		}
	}
	const { traceparent } = options;
	if (traceparent !== undefined && !isTraceparent(traceparent)) {
		throw invalidOption(
			"traceparent",
			"a W3C traceparent, such as 00-<32 hex digits>-<16 hex digits>-01",
			traceparent,
		);
	}
}

/** Whether it is a time whose year has four digits: RFC 3339 knows no other. */
function isTime(time: unknown): boolean {
	const isMoment = typeof time === "number" || time instanceof Date;
	const date = new Date(typeof time === "string" ? parseTime(time) : isMoment ? time : Number.NaN);
	return !Number.isNaN(date.getTime()) && date.toISOString().length === 24;
}

/**
 * What was said of an event, as it is now, with the catalog's default key. The caller may use its objects for many
 * emits and change them in between.
 */
export function settleEmitOptions(
	plan: Plan,
	data: unknown,
	options: EmitOptions | undefined,
): EmitOptions | undefined {
	const key = options?.key ?? defaultKey(plan, data);
	if (options === undefined) return key === undefined ? undefined : { key };
	// Field by field, since they may be inherited.
	const { id, time, subject, correlationId, causationId, traceparent, metadata, idempotencyKey } = options;
	return {
		...{ id, key, subject, correlationId, causationId, traceparent, idempotencyKey },
		time: time === undefined ? undefined : new Date(time).toISOString(),
		metadata: metadata === undefined ? undefined : copyMetadata(metadata),
	};
}

function defaultKey({ type, definition }: Plan, data: unknown): string | undefined {
	if (definition?.key === undefined) return undefined;
	let key: unknown;
	try {
		key = definition.key(data);
	} catch (cause) {
		throw keyFailed(type, cause);
	}
	checkSynchronous(`events["${type}"].key`, key);
	if (typeof key !== "string" || key === "") throw keyFailed(type, undefined);
	return key;
}

function keyFailed(type: string, cause: unknown): CallhookError {
	const option = `events["${type}"].key`;
	const received = cause === undefined ? "something else" : "an exception";
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_OPTION",
		`Option "${option}" must be a function that returns a non-empty string, but it gave ${received}`,
		{ option, expected: "a non-empty string", received },
		{ cause },
	);
}
