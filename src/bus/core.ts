import { isCallhookError } from "../errors.ts";
import type { BusEvent } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { isThenable } from "../internal/deferred.ts";
import { whenSettled } from "../internal/thenable.ts";
import type { Causes } from "./causes.ts";
import type { DeadLetterBox } from "./dead-letter.ts";
import type { HandlerMiddleware } from "./middleware.ts";
import type { OpenWork } from "./open-work.ts";
import type { Signals } from "./signals.ts";

/** Where an error comes from, for `onError`. */
export interface ErrorContext {
	readonly source: "callback" | "handler" | "middleware" | "observer" | "outbox" | "pipe";
	/** The handler's name, the callback's pattern, the signal's name, the outbox's activity or the pipe's event type. */
	readonly name: string;
	readonly event?: BusEvent | undefined;
}

/** What the parts of one bus share. */
export interface BusCore {
	readonly source: string;
	readonly clock: Clock;
	/** When the bus was made. */
	readonly startedAtMs: number;
	readonly signals: Signals;
	readonly work: OpenWork;
	readonly causes: Causes;
	readonly deadLetters: DeadLetterBox;
	/** Around every attempt; a list that grows. */
	readonly handlerMiddleware: readonly HandlerMiddleware[];
	/** The one sink nothing escapes; never throws. */
	report(error: unknown, context: ErrorContext): void;
}

/** Wraps the user's `onError`, else one that prints, so that an error in it hurts nobody either. */
export function createErrorSink(
	onError: (error: unknown, context: ErrorContext) => unknown = printError,
): BusCore["report"] {
	return (error, context) => {
		const failed = (second: unknown): void =>
			print(
				["callhook: onError failed", second, "while reporting", error],
				"callhook: onError failed with an error that cannot be printed",
			);
		try {
			const result = onError(error, context);
			if (isThenable(result)) whenSettled(result, () => undefined, failed);
		} catch (second) {
			failed(second);
		}
	};
}

function printError(error: unknown, { source, name, event }: ErrorContext): void {
	// A bus that closes stops many at once, and a stack trace for each would tell nothing.
	const isStopped = isCallhookError(error, "ERR_CALLHOOK_STOPPED");
	const at = event && ` ${isStopped ? "at" : "for"} "${event.type}" ${event.id}`;
	const line = `callhook: ${source} "${name}" ${isStopped ? "was stopped" : "failed"}${at ?? ""}`;
	print(isStopped ? [line] : [line, error], `${line} with an error that cannot be printed`);
}

/** Printing an error runs code of its own, such as a getter of `stack`, which may throw. */
function print(parts: readonly unknown[], instead: string): void {
	try {
		console.error(...parts);
	} catch {
		console.error(instead);
	}
}
