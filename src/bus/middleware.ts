import { CallhookError } from "../errors.ts";
import { type BusEvent, copyEvent } from "../event/index.ts";
import { isThenable } from "../internal/deferred.ts";
import { checkOptions, invalidOption } from "../internal/options.ts";
import type { HandlerContext } from "./attempt.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** Additions to an event's metadata. */
export type Metadata = Readonly<Record<string, unknown>>;

/**
 * Runs around every attempt of every handler, the first registered outermost; inside the time limit and the retries.
 * Around a batch it runs once, with the first event. What it throws fails the attempt; without `next` the handler does not run, and what it returns stands for the
 * handler's result. `next` takes the event, and metadata that what is further in sees added to it.
 */
export type HandlerMiddleware = (
	event: BusEvent,
	next: (event: BusEvent, metadata?: Metadata) => Promise<unknown>,
	context: HandlerContext & { readonly handler: string },
) => unknown;

/**
 * Runs around the delivery of every event, inside `emit` and behind validation, the first registered outermost.
 * Without `next` the event is vetoed: no consumer gets it. An error is no veto: it goes to `onError`, and the event on.
 */
export type EmitMiddleware = (
	event: BusEvent,
	next: (event: BusEvent, metadata?: Metadata) => void,
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

/** Runs a handler inside its middleware. */
export function runOnion(
	middleware: readonly HandlerMiddleware[],
	context: HandlerContext & { readonly handler: string },
	run: (event: BusEvent) => unknown,
): unknown {
	// One that is taken out meanwhile must not move the others.
	const layers = [...middleware];
	function enter(index: number, event: BusEvent): unknown {
		const layer = layers[index];
		if (layer === undefined) return run(event);
		let isCalled = false;
		return layer(
			event,
			async (given, metadata) => {
				if (isCalled) throw invalidMiddleware("next() was called twice");
				isCalled = true;
				return enter(index + 1, withMetadata(given, metadata));
			},
			context,
		);
	}
	return enter(0, context.event);
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
		const next = (given: BusEvent, metadata?: Metadata): void => {
			if (given !== event) throw invalidMiddleware("around emit, next() takes the event as it is");
			if (isCalled) throw invalidMiddleware("next() was called twice");
			if (isOver) throw invalidMiddleware("around emit, next() was called after the middleware had returned");
			isCalled = true;
			if (metadata !== undefined) addMetadata(metadata);
			enter(index + 1);
		};
		try {
			const result: unknown = layer(event, next);
			if (isThenable(result)) {
				Promise.resolve(result).catch(report);
				throw invalidMiddleware("around emit it must be synchronous, but it returned a promise");
			}
		} catch (error) {
			report(error);
			if (!isCalled) next(event);
		}
		isOver = true;
	}
	enter(0);
	return isDelivered;
}

function withMetadata(event: BusEvent, metadata: Metadata | undefined): BusEvent {
	if (metadata === undefined) return event;
	return { ...copyEvent(event), metadata: Object.freeze({ ...event.metadata, ...metadata }) };
}

function invalidMiddleware(reason: string): CallhookError {
	return new CallhookError("ERR_CALLHOOK_INVALID_MIDDLEWARE", `Invalid middleware: ${reason}`, { reason });
}
