import { CallhookError } from "../errors.ts";
import type { BusEvent, Pattern } from "../event/index.ts";
import { createDeferred, type Deferred } from "../internal/deferred.ts";
import { Fifo } from "../internal/fifo.ts";
import { onAbort } from "../internal/on-abort.ts";
import { checkNumber, checkOptions, checkSignal, invalidOption } from "../internal/options.ts";
import type { Tap } from "./plan.ts";
import type { Signals } from "./signals.ts";
import type { Unsubscribe } from "./subscription.ts";

/** How a stream buffers events that nobody has read yet. */
export interface StreamOptions {
	/** At most so many events. Default 256. */
	readonly buffer?: number | undefined;
	/**
	 * What happens to an event for which there is no room: `drop-oldest` (default) lets the one that has waited longest go,
	 * `drop-newest` itself; `reject` ends the stream with ERR_CALLHOOK_QUEUE_FULL behind what it holds.
	 */
	readonly overflow?: "drop-oldest" | "drop-newest" | "reject" | undefined;
	/** Ends the stream, without an error, as `close` of the bus does. */
	readonly signal?: AbortSignal | undefined;
}

/** The events of a pattern, from the call of `stream` on; leaving the loop ends it. */
export interface EventStream<Event extends BusEvent = BusEvent> extends AsyncIterableIterator<Event> {
	/** Events that were dropped because the buffer was full. */
	readonly dropped: number;
	return(): Promise<IteratorResult<Event>>;
	/** The same as `return`. */
	[Symbol.asyncDispose](): Promise<void>;
}

/** The streams of a bus. */
export interface Streams {
	open(text: string, options?: StreamOptions): EventStream;
	/** Ends them all, each behind what it holds. */
	end(): void;
}

export function createStreams({
	readPattern,
	tap,
	signals,
}: {
	readPattern(text: string, where: string): Pattern;
	tap(pattern: Pattern, target: Tap): Unsubscribe;
	readonly signals: Signals;
}): Streams {
	const open = new Set<OpenStream>();
	return {
		open(text, options) {
			return createStream(text, options, {
				subscribe: (take) => tap(readPattern(text, "stream()"), { take }),
				onDropped: (event, overflow) =>
					signals.send("stream:dropped", () => ({ event, pattern: text, overflow })),
				open,
			});
		},
		end() {
			for (const stream of open) stream.end();
		},
	};
}

/** What a stream needs of the bus. */
interface StreamParts {
	subscribe(take: (event: BusEvent) => void): Unsubscribe;
	/** An event was dropped. */
	onDropped(event: BusEvent, overflow: "drop-oldest" | "drop-newest"): void;
	/** Those that have not ended. */
	readonly open: Set<OpenStream>;
}

/** A stream, as the bus sees it. */
interface OpenStream extends EventStream {
	/** Ends it behind what it holds. */
	end(): void;
}

const overflows = ["drop-oldest", "drop-newest", "reject"] as const;

const asyncDispose: typeof Symbol.asyncDispose =
	Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as never);

function createStream(text: string, options: StreamOptions = {}, parts: StreamParts): OpenStream {
	checkOptions("stream", options, ["buffer", "overflow", "signal"]);
	const { buffer: limit = 256, overflow = "drop-oldest", signal } = options;
	checkNumber("buffer", limit, { min: 1 });
	if (!overflows.includes(overflow))
		throw invalidOption("overflow", `one of ${overflows.join(", ")}`, overflow);
	checkSignal("signal", signal);
	const buffer = new Fifo<BusEvent>();
	/** Calls of `next` that wait for an event. */
	const readers = new Fifo<Deferred<IteratorResult<BusEvent>>>();
	const done: IteratorResult<BusEvent> = { done: true, value: undefined };
	let dropped = 0;
	let hasEnded = false;
	let failure: CallhookError | undefined;

	function take(event: BusEvent): void {
		// Ended in the middle of this very emit.
		if (hasEnded) return;
		const reader = readers.shift();
		if (reader !== undefined) return reader.resolve({ done: false, value: event });
		if (buffer.size < limit) return buffer.push(event);
		if (overflow === "reject") {
			failure = fullError(text, limit);
			return end();
		}
		dropped++;
		if (overflow === "drop-newest") return parts.onDropped(event, overflow);
		const oldest = buffer.shift() as BusEvent;
		buffer.push(event);
		parts.onDropped(oldest, overflow);
	}

	function end(): void {
		if (hasEnded) return;
		hasEnded = true;
		unsubscribe();
		stopListening?.();
		parts.open.delete(stream);
		for (const reader of readers.takeAll()) reader.resolve(done);
	}

	const unsubscribe = parts.subscribe(take);
	const stream: OpenStream = {
		get dropped() {
			return dropped;
		},
		end,
		async next() {
			const event = buffer.shift();
			if (event !== undefined) return { done: false, value: event };
			if (failure !== undefined) {
				const error = failure;
				failure = undefined;
				throw error;
			}
			if (hasEnded) return done;
			const reader = createDeferred<IteratorResult<BusEvent>>();
			readers.push(reader);
			return reader.promise;
		},
		async return() {
			end();
			buffer.takeAll();
			failure = undefined;
			return done;
		},
		[Symbol.asyncIterator]: () => stream,
		async [asyncDispose]() {
			await stream.return();
		},
	};
	parts.open.add(stream);
	const stopListening = signal && onAbort(signal, end);
	if (signal?.aborted === true) end();
	return stream;
}

function fullError(stream: string, limit: number): CallhookError {
	const message = `The stream of "${stream}" is full: ${limit} events wait to be read`;
	return new CallhookError("ERR_CALLHOOK_QUEUE_FULL", message, { handler: stream, limit });
}
