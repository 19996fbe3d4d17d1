import { CallhookError, isCallhookError } from "../errors.ts";
import { type Catalog, readNull, upcastData } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { accept, leaveAside, refuse, refuseUnfinished } from "./answers.ts";
import { pingType } from "./handshake.ts";
import type { ReceivedEvent } from "./received-event.ts";

/** What may be said of a received event beside its type and data; the options of `bus.emit` take it. */
export interface ReceivedOptions {
	readonly id: string;
	readonly time: string;
	readonly key?: string;
	readonly subject?: string;
	readonly correlationId?: string;
	readonly causationId?: string;
	readonly traceparent?: string;
	/** `webhook`: where it came from, over how many webhooks, and the id it had there where the bus has it under another. */
	readonly metadata?: {
		readonly webhook: { readonly hops: number; readonly source?: string; readonly id?: string };
	};
}

/** Where received events go: a bus. */
export interface EventSink {
	emit(type: string, data: unknown, options: ReceivedOptions): unknown;
	/** Its event types, where it has any. */
	readonly catalog?: Catalog | undefined;
	/** That of a bus: what it holds is waited for. */
	readonly outbox?: object | undefined;
}

export interface IntakeParts {
	readonly bus: EventSink;
	readonly events: Catalog | undefined;
	readonly clock: Clock;
	readonly mode: "store" | "inline";
	readonly unknownTypes: "refuse" | "ignore";
}

/** What became of an event, and what is still going on behind the answer: whether that ended well. */
export interface Taken {
	readonly answer: Response;
	readonly isDone: boolean | Promise<boolean>;
}

/**
 * Gives one event to the bus; `inline` answers by `endMs`. Throws what `emit` throws, with unknown types only where they are
 * refused.
 */
export type Intake = (event: ReceivedEvent, hops: number, endMs: number) => Promise<Taken>;

export function createIntake(parts: IntakeParts): Intake {
	const { bus, mode, unknownTypes } = parts;
	const catalog = parts.events ?? bus.catalog;

	/** Brings old data up to date and holds it against the gate. The bus gets it as received: it converts once. */
	function check({ type, data, version }: ReceivedEvent): unknown {
		const definition = catalog?.get(type);
		const upcasted = version === undefined ? data : upcast(type, definition, data, version);
		const upToDate = readNull(type, definition, upcasted);
		parts.events?.parse(type, upToDate);
		return upToDate;
	}

	function emit(event: ReceivedEvent, hops: number): unknown {
		return bus.emit(event.type, check(event), optionsOf(event, hops));
	}

	return async (event, hops, endMs) => {
		// Whoever wants to hear of pings lists the type.
		const isPing = event.isPing === true || event.type === pingType;
		if (isPing && catalog?.get(event.type) === undefined) return ended(accept());
		let emitted: unknown;
		try {
			emitted = emit(event, hops);
		} catch (error) {
			if (unknownTypes === "ignore" && isCallhookError(error, "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE")) {
				return ended(leaveAside(error.code));
			}
			throw error;
		}
		if (!isEmission(emitted)) {
			// A sink of the user's own may be asynchronous; what it could not take must not be answered with success.
			await emitted;
			return ended(accept());
		}
		if (mode === "inline") return answerBehind(emitted, endMs, parts);
		if (bus.outbox === undefined) return ended(accept());
		await emitted.stored;
		return ended(new Response(null, { status: 202 }));
	};
}

/** A step that throws has met data which its version does not have: the sender's to mend. */
function upcast(
	type: string,
	definition: Parameters<typeof upcastData>[1],
	data: unknown,
	version: number,
): unknown {
	try {
		return upcastData(type, definition, data, version);
	} catch (cause) {
		if (isCallhookError(cause)) throw cause;
		const reason = `it is none of version ${version}`;
		const issues = [{ path: "", message: reason }];
		const message = `Invalid data for "${type}": ${reason}`;
		throw new CallhookError("ERR_CALLHOOK_INVALID_DATA", message, { type, issues }, { cause });
	}
}

function ended(answer: Response): Taken {
	return { answer, isDone: true };
}

interface Emitted {
	readonly stored: Promise<void>;
	readonly settled: Promise<{ readonly ok: boolean }>;
}

function isEmission(value: unknown): value is Emitted {
	return typeof value === "object" && value !== null && "settled" in value && "stored" in value;
}

/** Answers once the consumers have ended, or when the time is up, while they go on. */
async function answerBehind(emitted: Emitted, endMs: number, { bus, clock }: IntakeParts): Promise<Taken> {
	// What a store has taken is its own to finish, however the rest ends. It may take long, too: one that is down is waited for.
	const stored = bus.outbox === undefined ? Promise.resolve() : emitted.stored;
	const isDone = stored.then(() => emitted.settled).then(({ ok }) => ok);
	let timer: unknown;
	const tooLate = new Promise<undefined>((resolve) => {
		timer = clock.setTimeout(() => resolve(undefined), Math.max(0, endMs - clock.now()));
	});
	const ok = await Promise.race([isDone, tooLate]).finally(() => clock.clearTimeout(timer));
	if (ok === undefined) return { answer: refuseUnfinished(), isDone };
	return { answer: ok ? accept() : refuse(500, "ERR_CALLHOOK_EMISSION_FAILED"), isDone: ok };
}

function optionsOf(event: ReceivedEvent, hops: number): ReceivedOptions {
	const { id, time, source, senderId, key, subject, correlationId, causationId, traceparent } = event;
	return {
		...{ id, time },
		...known({ key, subject, correlationId, causationId, traceparent }),
		metadata: { webhook: { hops, ...known({ source, id: senderId }) } },
	};
}

function known(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
	return Object.fromEntries(
		Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined),
	);
}
