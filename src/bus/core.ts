import type { BusEvent } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
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

/** Wraps the user's `onError` so that an error in it hurts nobody either. */
export function createErrorSink(
	onError: (error: unknown, context: ErrorContext) => unknown,
): BusCore["report"] {
	return (error, context) => {
		const failed = (second: unknown): void =>
			console.error("callhook: onError failed", second, "while reporting", error);
		try {
			void Promise.resolve(onError(error, context)).catch(failed);
		} catch (second) {
			failed(second);
		}
	};
}
