import { CallhookError } from "../errors.ts";
import { type BusEvent, copyEvent, copyMetadata } from "../event/index.ts";
import { isThenable } from "../internal/deferred.ts";
import { checkOptions, invalidOption } from "../internal/options.ts";
import type { HandlerContext } from "./attempt.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** Additions to an event's metadata. */
export type Metadata = Readonly<Record<string, unknown>>;

/**
 * Runs around every attempt of every handler, the first registered outermost; inside the time limit and the retries.
 * Around a batch it runs once, with the first event. What it throws fails the attempt; without `next` the handler does
 * not run, and what it returns stands for the handler's result. `next` takes the event, by default the one the middleware
 * got, and metadata that what is further in sees added to it.
 *
 * The attempt ends when the middleware and all further in have ended. A failure further in that the middleware has not
 * looked at, or that came only after it had ended, fails the attempt, too. A second call of `next` fails the attempt; one
 * after the middleware has ended rejects, runs nothing and goes to `onError`.
 */
export type HandlerMiddleware = (
	event: BusEvent,
	next: (event?: BusEvent, metadata?: Metadata) => Promise<unknown>,
	context: HandlerContext & { readonly handler: string },
) => unknown;

/**
 * Runs around the delivery of every event, inside `emit` and behind validation, the first registered outermost.
 * Without `next` the event is vetoed: no consumer gets it. An error is no veto: it goes to `onError`, and the event on;
 * so does a promise, since this must be synchronous. A call of `next` behind its return goes to `onError`, too, and does
 * nothing.
 */
export type EmitMiddleware = (
	event: BusEvent,
	next: (event?: BusEvent, metadata?: Metadata) => void,
) => unknown;

/** What a middleware is around. Default `handler`. */
interface UseOptions {
	readonly around?: "handler" | "emit" | undefined;
}

/** The middleware of a bus. */
export interface MiddlewareLists {
	readonly handler: readonly HandlerMiddleware[];
	readonly emit: readonly EmitMiddleware[];
	/** Adds one, innermost; returns how to take it out again. */
	use(middleware: HandlerMiddleware | EmitMiddleware, options?: UseOptions): Unsubscribe;
}

export function createMiddlewareLists(onChange: () => void): MiddlewareLists {
	const handler: HandlerMiddleware[] = [];
	const emit: EmitMiddleware[] = [];
	return {
		handler,
		emit,
		use(middleware, options = {}) {
			if (typeof middleware !== "function") throw invalidOption("middleware", "a function", middleware);
			checkOptions("use", options, ["around"]);
			const { around = "handler" } = options;
			if (around !== "handler" && around !== "emit") throw invalidOption("around", "handler or emit", around);
			const list: unknown[] = around === "emit" ? emit : handler;
			// A function of its own, for it may be registered twice.
			const layer: unknown = (middleware as (...args: never[]) => unknown).bind(undefined);
			list.push(layer);
			onChange();
			return createUnsubscribe(() => {
				list.splice(list.indexOf(layer), 1);
				onChange();
			});
		},
	};
}

/** Runs a delivery inside its middleware; returns whether the event was delivered. */
export function runEmitOnion(
	middleware: readonly EmitMiddleware[],
	event: BusEvent,
	addMetadata: (metadata: Metadata) => void,
	deliver: () => void,
	report: (error: unknown) => void,
): boolean {
	const layers = [...middleware];
	let isDelivered = false;
	function enter(index: number): void {
		const layer = layers[index];
		if (layer === undefined) {
			isDelivered = true;
			deliver();
			return;
		}
		let isCalled = false;
		let isOver = false;
		let isRefused = false;
		const next = (given: BusEvent = event, metadata?: Metadata): void => {
			if (isOver) {
				// Thrown into a timer this would end the process; of one that is asynchronous it was said before.
				if (!isRefused)
					report(invalidMiddleware("around emit, next() was called after the middleware had returned"));
				return;
			}
			if (given !== event) throw invalidMiddleware("around emit, next() takes the event as it is");
			if (isCalled) throw invalidMiddleware("next() was called twice");
			// An error in here is no veto, which it would be behind the next line.
			const added = metadata === undefined ? undefined : copyMetadata(metadata);
			isCalled = true;
			if (added !== undefined) addMetadata(added);
			enter(index + 1);
		};
		try {
			const result: unknown = layer(event, next);
			if (isThenable(result)) {
				Promise.resolve(result).catch(report);
				isRefused = true;
				throw invalidMiddleware("around emit it must be synchronous, but it returned a promise");
			}
		} catch (error) {
			report(error);
			if (!isCalled) next();
		}
		isOver = true;
	}
	enter(0);
	return isDelivered;
}

export function withMetadata(event: BusEvent, metadata: Metadata | undefined): BusEvent {
	if (metadata === undefined) return event;
	return { ...copyEvent(event), metadata: Object.freeze({ ...event.metadata, ...copyMetadata(metadata) }) };
}

export function invalidMiddleware(reason: string): CallhookError {
	return new CallhookError("ERR_CALLHOOK_INVALID_MIDDLEWARE", `Invalid middleware: ${reason}`, { reason });
}
