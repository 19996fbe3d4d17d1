/**
 * Every error code of Callhook and the shape of its `details`.
 *
 * This interface is the one table of codes: the comment above a code says when it occurs and what to do, and
 * `docs/reference/errors.md` is generated from it. It is types only, so it costs the bundle nothing.
 */
export interface CallhookErrorDetails {
	/** An option has a value that cannot work. Correct the option named in `option`. */
	ERR_CALLHOOK_INVALID_OPTION: { option: string; expected: string; received: string };
	/** An event type or a handler name is missing or empty. Pass a non-empty string. */
	ERR_CALLHOOK_MISSING_NAME: { what: string; where: string };
	/** An event type is not dot-separated segments of letters, digits, `_` and `-`. Rename it. */
	ERR_CALLHOOK_INVALID_EVENT_TYPE: { type: string };
	/** A subscription pattern is malformed, or no type of the catalog matches it. Correct the pattern. */
	ERR_CALLHOOK_INVALID_PATTERN: { pattern: string; reason: string };
	/** The catalog does not list the emitted type. Add it to `defineEvents` or correct the name. */
	ERR_CALLHOOK_UNKNOWN_EVENT_TYPE: { type: string; known: readonly string[] };
	/** The data does not satisfy the schema of its type; nothing ran. `issues` holds path and message of each fault. */
	ERR_CALLHOOK_INVALID_DATA: { type: string; issues: readonly DataIssue[] };
	/** A schema answered with a promise. `emit` is synchronous: use a synchronous schema. */
	ERR_CALLHOOK_ASYNC_SCHEMA: { type: string };
	/** The data of an event bound for the outbox cannot be written as JSON; nothing ran. Emit plain data. */
	ERR_CALLHOOK_NOT_SERIALIZABLE: { type: string };
	/** A bus was used after it was drained or closed, or a store after it was closed. */
	ERR_CALLHOOK_CLOSED: { what: string };
	/** An attempt of a handler ran longer than its `timeoutMs`. Also the `reason` of the attempt's signal. */
	ERR_CALLHOOK_TIMEOUT: { timeoutMs: number };
	/** A job was given up before it ended, because its bus was closed. Also the `reason` of its signal. */
	ERR_CALLHOOK_STOPPED: { what: string };
	/** A durable handler never ended an event in all its attempts: each time its process died, or its lease ended. */
	ERR_CALLHOOK_CRASHED: { attempts: number };
	/** The queue of a handler is full, and its `overflow` is `reject`. Emit less, or await `emission.accepted`. */
	ERR_CALLHOOK_QUEUE_FULL: { handler: string; limit: number };
	/** A middleware called `next()` twice or late; or one around `emit` with another event, or it returned a promise. */
	ERR_CALLHOOK_INVALID_MIDDLEWARE: { reason: string };
	/** `report.throwIfFailed()` found failures; they are the `errors` of the `AggregateError` in `cause`. */
	ERR_CALLHOOK_EMISSION_FAILED: { type: string; failed: number };
	/** A feature needs an outbox and the bus was created without a `store`. Pass `createBus({ store })`. */
	ERR_CALLHOOK_STORE_REQUIRED: { where: string };
	/** A store cannot be used now: locked, full, unreachable, read-only or failing. Nothing was stored; try again later. */
	ERR_CALLHOOK_STORE_UNAVAILABLE: { reason: "busy" | "full" | "failing" | "read-only" | "unreachable" };
	/** What a store reads makes no sense: a file that was cut off or has flipped bits. Restore a backup. */
	ERR_CALLHOOK_STORE_DAMAGED: { reason: string };
	/** The tables of a store were made by a newer version of callhook. Update callhook. */
	ERR_CALLHOOK_STORE_VERSION: { found: number; supported: number };
	/** A SQLite file that takes one process is open in another. Stop that, or use node:sqlite or PostgreSQL. */
	ERR_CALLHOOK_STORE_IN_USE: { path: string };
	/** A SQLite database has a setting with which what is stored could be lost. Change the setting. */
	ERR_CALLHOOK_STORE_UNSAFE: { setting: string; expected: string; received: string };
	/** `sqliteStore` found no SQLite. Install `libsql`, use Node 22.13 or later, or pass a database. */
	ERR_CALLHOOK_DRIVER_MISSING: { tried: readonly string[] };
	/** A name that must be unique in the outbox is taken. Use one bridge per bus, or another handler name. */
	ERR_CALLHOOK_TARGET_EXISTS: { name: string };
	/** `endpoints.create` or `update` got fields that cannot work, or a newer version has written some; `issues` names each field. */
	ERR_CALLHOOK_INVALID_ENDPOINT: { issues: readonly DataIssue[] };
	/** No endpoint has this id, or no longer. */
	ERR_CALLHOOK_UNKNOWN_ENDPOINT: { endpointId: string };
	/** The secrets of an endpoint cannot be decrypted. Give the `secretKey` they were encrypted with, behind the new one. */
	ERR_CALLHOOK_SECRET_KEY: { endpointId: string; reason: string };
	/** The payload of a webhook is larger than `maxPayloadBytes`. Final: send a reference instead of the whole thing. */
	ERR_CALLHOOK_PAYLOAD_TOO_LARGE: { bytes: number; maxPayloadBytes: number };
	/** The `filter` or `transform` of an endpoint threw, or returned what it may not. The attempt has failed. */
	ERR_CALLHOOK_USER_FUNCTION: { option: "filter" | "transform"; name: string; reason: string };
	/**
	 * A URL, or an address behind it, may not be called. Final: not retried. `reason` is for operators, not for tenants.
	 * To call your own machine, as in development, give the bridge `network: { allow: ["127.0.0.1"], allowHttp: true }`.
	 */
	ERR_CALLHOOK_URL_REFUSED: { host: string; reason: string };
	/** The egress proxy of `network.proxy` cannot be reached or refused to connect. Retried. `status` is what it answered. */
	ERR_CALLHOOK_PROXY: { reason: string; status?: number };
	/** A signing secret or public key is missing, malformed, or of another scheme. It never stands in the message itself. */
	ERR_CALLHOOK_INVALID_SECRET: { reason: string };
	/** One of `webhook-id`, `webhook-timestamp`, `webhook-signature` is missing, empty or repeated. */
	ERR_CALLHOOK_SIGNATURE_HEADER: { header: string; reason: string };
	/** `webhook-timestamp` is not an integer count of Unix seconds. */
	ERR_CALLHOOK_SIGNATURE_TIMESTAMP: { received: string };
	/** The message is older than the tolerance: a replay, or a clock that is off. */
	ERR_CALLHOOK_SIGNATURE_EXPIRED: { ageSeconds: number; toleranceSeconds: number };
	/** The message is dated further in the future than the tolerance: a clock that is off. */
	ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID: { aheadSeconds: number; toleranceSeconds: number };
	/** No signature matches: another secret, or a body that was changed (often by a JSON parser) on the way. */
	ERR_CALLHOOK_SIGNATURE_MISMATCH: { candidates: number };
	/** A received body is larger than `maxBodyBytes`. */
	ERR_CALLHOOK_BODY_TOO_LARGE: { maxBodyBytes: number };
	/** A received body is not the JSON object `{ type, timestamp, data }`, or not what its content type says. */
	ERR_CALLHOOK_INVALID_BODY: { reason: string };
	/** A received CloudEvent has a `specversion` other than 1.0. Let its sender write 1.0. */
	ERR_CALLHOOK_CLOUDEVENTS_VERSION: { found: string };
}

/** A fault in data or options: where it is and what is wrong there. */
export interface DataIssue {
	/** Dotted path from the checked value; empty for the value itself. */
	readonly path: string;
	readonly message: string;
}

/** The stable code of a {@link CallhookError}. Match on this, never on the message. */
export type CallhookErrorCode = keyof CallhookErrorDetails;

// By name, so that `isCallhookError` works across two installed copies, where `instanceof` fails.
const brand = Symbol.for("callhook.error");

/** The one error class of Callhook. */
export class CallhookError<Code extends CallhookErrorCode = CallhookErrorCode> extends Error {
	/** Stable, part of the public API. */
	readonly code: Code;
	/** Facts for programs; the message says the same for people. Never holds secrets. */
	readonly details: CallhookErrorDetails[Code];
	/** @internal */
	constructor(code: Code, message: string, details: CallhookErrorDetails[Code], options?: ErrorOptions) {
		super(message, options);
		this.code = code;
		this.details = details;
	}
}
// On the prototype: own properties would be printed beside the fields of every error.
Object.defineProperties(CallhookError.prototype, {
	name: { value: "CallhookError" },
	[brand]: { value: true },
});

/**
 * Whether a value is a {@link CallhookError}, of the given code when one is given.
 *
 * @example
 * ```ts
 * try {
 *   bus.emit("order.paid", input);
 * } catch (error) {
 *   if (isCallhookError(error, "ERR_CALLHOOK_INVALID_DATA")) console.log(error.details.issues);
 * }
 * ```
 */
export function isCallhookError<Code extends CallhookErrorCode = CallhookErrorCode>(
	value: unknown,
	code?: Code,
): value is CallhookError<Code> {
	return (
		typeof value === "object" &&
		value !== null &&
		(value as Record<symbol, unknown>)[brand] === true &&
		(code === undefined || (value as CallhookError).code === code)
	);
}
