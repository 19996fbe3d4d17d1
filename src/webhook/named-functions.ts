import { CallhookError, isCallhookError } from "../errors.ts";
import { isThenable } from "../internal/deferred.ts";
import { invalidOption, isPlainObject } from "../internal/options.ts";
import type { StoredEvent } from "../outbox/ports.ts";
import { headerFault, maxHeaders } from "./custom-headers.ts";
import type { Endpoint } from "./endpoint.ts";

/** An event as filters and transforms get it: its data and metadata as they were stored. */
export interface OutgoingEvent {
	readonly id: string;
	readonly type: string;
	/** RFC 3339, UTC. */
	readonly time: string;
	readonly source: string;
	readonly data: unknown;
	readonly metadata: unknown;
	readonly key?: string | undefined;
	readonly subject?: string | undefined;
	readonly correlationId?: string | undefined;
	readonly causationId?: string | undefined;
}

/** Whether an endpoint gets an event. It is asked before each attempt, and with `false` the delivery is cancelled. */
export type WebhookFilter = (event: OutgoingEvent, endpoint: Endpoint) => boolean | PromiseLike<boolean>;

/** What to send of an event. */
export interface TransformedEvent {
	/** In place of the event's data. */
	readonly data?: unknown;
	/** More headers, which come before those of the endpoint. */
	readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Makes what is sent of an event; with `null` nothing is, and the delivery is cancelled. */
export type WebhookTransform = (
	event: OutgoingEvent,
	endpoint: Endpoint,
) => TransformedEvent | null | PromiseLike<TransformedEvent | null>;

/** What an event becomes. */
export interface Draft {
	readonly dataJson: string;
	/** Those of a transform. */
	readonly headers?: Readonly<Record<string, string>> | undefined;
}

export function readOutgoing(stored: StoredEvent): OutgoingEvent {
	const { dataJson, metadataJson, version: _version, traceparent: _traceparent, ...event } = stored;
	return { ...event, data: JSON.parse(dataJson) as unknown, metadata: JSON.parse(metadataJson) as unknown };
}

/** Checks a record of functions by name. */
export function readFunctions<Call>(option: string, functions: unknown): ReadonlyMap<string, Call> {
	if (functions === undefined) return new Map();
	if (!isPlainObject(functions)) throw invalidOption(option, "an object of functions by name", functions);
	for (const [name, call] of Object.entries(functions)) {
		if (typeof call !== "function") throw invalidOption(`${option}.${name}`, "a function", call);
	}
	return new Map(Object.entries(functions) as [string, Call][]);
}

/** Which of the functions that an endpoint names are not here, in words; `undefined`: none. */
export function lackedBy(
	{ filter, transform: transformName }: Pick<Endpoint, "filter" | "transform">,
	filters: ReadonlyMap<string, unknown>,
	transforms: ReadonlyMap<string, unknown>,
): string | undefined {
	if (filter !== undefined && !filters.has(filter)) return `filter "${filter}"`;
	if (transformName !== undefined && !transforms.has(transformName)) return `transform "${transformName}"`;
	return undefined;
}

/** Asks a filter; throws ERR_CALLHOOK_USER_FUNCTION. */
export async function askFilter(
	name: string,
	filter: WebhookFilter,
	event: OutgoingEvent,
	endpoint: Endpoint,
): Promise<boolean> {
	const answer: unknown = await call("filter", name, () => filter(event, endpoint));
	if (typeof answer === "boolean") return answer;
	throw failed("filter", name, "it did not return true or false");
}

/** Lets a transform make what is sent; `undefined`: nothing. Throws ERR_CALLHOOK_USER_FUNCTION. */
export async function transform(
	name: string,
	make: WebhookTransform,
	event: OutgoingEvent,
	endpoint: Endpoint,
): Promise<Draft | undefined> {
	const made: unknown = await call("transform", name, () => make(event, endpoint));
	try {
		return readDraft(name, made, event);
	} catch (error) {
		// Of getters and proxies anything may be thrown.
		throw isCallhookError(error) ? error : threw("transform", name, error);
	}
}

function readDraft(name: string, made: unknown, event: OutgoingEvent): Draft | undefined {
	if (made === null) return undefined;
	if (!isPlainObject(made)) throw failed("transform", name, "it returned neither an object nor null");
	const unknown = Object.keys(made).find((field) => field !== "data" && field !== "headers");
	if (unknown !== undefined) throw failed("transform", name, `it returned a field "${unknown}"`);
	const { data = event.data, headers: given = {} } = made as TransformedEvent;
	if (!isPlainObject(given) || Object.keys(given).length > maxHeaders) {
		throw failed("transform", name, `its headers are no object, or more than ${maxHeaders}`);
	}
	// What is checked is what is sent, whatever a getter says the next time.
	const headers = { ...given };
	for (const [header, value] of Object.entries(headers)) {
		const fault = headerFault(header, value);
		if (fault !== undefined) throw failed("transform", name, `its header "${header.slice(0, 100)}" ${fault}`);
	}
	return { dataJson: writeData(name, data), headers };
}

function writeData(name: string, data: unknown): string {
	let json: unknown;
	try {
		json = JSON.stringify(data);
	} catch (cause) {
		throw failed("transform", name, "its data cannot be written as JSON", cause);
	}
	if (typeof json !== "string") throw failed("transform", name, "its data cannot be written as JSON");
	return json;
}

async function call(option: "filter" | "transform", name: string, run: () => unknown): Promise<unknown> {
	try {
		const result = run();
		return isThenable(result) ? await result : result;
	} catch (cause) {
		throw threw(option, name, cause);
	}
}

function threw(option: "filter" | "transform", name: string, cause: unknown): CallhookError {
	return failed(option, name, `it threw: ${textOf(cause).slice(0, 500)}`, cause);
}

function textOf(thrown: unknown): string {
	try {
		return String(thrown instanceof Error ? thrown.message : thrown);
	} catch {
		return "something without a text";
	}
}

function failed(
	option: "filter" | "transform",
	name: string,
	reason: string,
	cause?: unknown,
): CallhookError<"ERR_CALLHOOK_USER_FUNCTION"> {
	const message = `The ${option} "${name}" failed: ${reason}`;
	return new CallhookError("ERR_CALLHOOK_USER_FUNCTION", message, { option, name, reason }, { cause });
}
