import type { BusEvent } from "../event/index.ts";
import { type HandlerMiddleware, invalidMiddleware, type Metadata, withMetadata } from "./middleware.ts";

type Next = Parameters<HandlerMiddleware>[1];

/** What `next` returns. It learns whether anybody looks at it, since `await` asks a subclass for its `then`. */
class InnerCall extends Promise<unknown> {
	isRead = false;
	isOver = false;
	failure: { readonly error: unknown } | undefined;

	/** Resolves once it has ended, in whichever way. A rejection that nobody handles is then no unhandled one. */
	ended(): Promise<unknown> {
		const end = (): void => {
			this.isOver = true;
		};
		return super.then(end, (error) => {
			this.failure = { error };
			end();
		});
	}

	// biome-ignore lint/suspicious/noThenProperty: a promise has one
	override then(...args: Parameters<Promise<unknown>["then"]>): Promise<never> {
		this.isRead = true;
		return super.then(...args) as Promise<never>;
	}
}

/**
 * Runs a handler inside its middleware. Ends when all that has begun in there has ended: only then may its slot and its
 * lane be free. `report` gets what can fail nothing any more.
 */
export function runOnion(
	middleware: readonly HandlerMiddleware[],
	context: Parameters<HandlerMiddleware>[2],
	run: (event: BusEvent) => unknown,
	report: (error: unknown) => void,
): Promise<unknown> {
	// One that is taken out meanwhile must not move the others.
	const layers = [...middleware];
	async function enter(index: number, event: BusEvent): Promise<unknown> {
		const layer = layers[index];
		if (layer === undefined) return run(event);
		return runLayer(
			(next) => layer(event, next, context),
			(given) => enter(index + 1, given),
			event,
			report,
		);
	}
	return enter(0, context.event);
}

async function runLayer(
	layer: (next: Next) => unknown,
	enter: (event: BusEvent) => Promise<unknown>,
	event: BusEvent,
	report: (error: unknown) => void,
): Promise<unknown> {
	let inner: InnerCall | undefined;
	let misuse: { readonly error: unknown } | undefined;
	let isOver = false;

	function next(given = event, metadata?: Metadata): Promise<unknown> {
		let begin!: (result: Promise<unknown>) => void;
		const call = new InnerCall((resolve) => {
			begin = resolve;
		});
		void call.ended();
		try {
			if (isOver) throw invalidMiddleware("next() was called after the middleware had ended");
			if (inner !== undefined) throw invalidMiddleware("next() was called twice");
			const enriched = withMetadata(given, metadata);
			inner = call;
			begin(enter(enriched));
		} catch (error) {
			if (isOver) report(error);
			else misuse ??= { error };
			begin(Promise.reject(error));
		}
		return call;
	}

	let value: unknown;
	let failure: { readonly error: unknown } | undefined;
	try {
		value = await layer(next);
	} catch (error) {
		failure = { error };
	}
	isOver = true;
	// Otherwise it could have handled what the inner call failed with.
	const isMissed = inner?.isRead !== true || !inner.isOver;
	await inner?.ended();
	const missed = isMissed ? inner?.failure : undefined;
	if (missed !== undefined && (failure ?? misuse) !== undefined) report(missed.error);
	failure = misuse ?? failure ?? missed;
	if (failure !== undefined) throw failure.error;
	return value;
}
