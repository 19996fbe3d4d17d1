import type { BusEvent } from "../event/index.ts";
import { nextTurn } from "../internal/next-turn.ts";
import type { Unsubscribe } from "./subscription.ts";

// Code that runs on for long within one turn must not make them grow without end.
const mostPlaces = 100;
const noPlace = Number.POSITIVE_INFINITY;

/**
 * What was emitted synchronously behind an event that somebody waited for, in this turn of the event loop. Code that
 * awaits goes on only in a microtask, and its next wait must not miss what came in between.
 *
 * Each wait that ends stands for one that may be begun behind it. Code that goes on right behind its `await` is told by
 * the microtask it runs in; a wait that is begun some microtasks later, as through a function of one's own, takes the
 * earliest place that is left. So none sees its own event twice, and a loop comes to an end.
 */
export class PassedEvents {
	readonly #listen: (take: (event: BusEvent) => void) => Unsubscribe;
	#events: BusEvent[] = [];
	/** How many events there were before those. */
	#forgotten = 0;
	/** By how many events had passed when they ended: waits that have no next one yet. */
	readonly #ended = new Map<number, number>();
	/** The wait behind whose `await` the code goes on that runs now. */
	#current: { readonly place: number; hasNext: boolean } | undefined;
	#stopRecording: Unsubscribe | undefined;
	#willForget = false;

	constructor(listen: (take: (event: BusEvent) => void) => Unsubscribe) {
		this.#listen = listen;
	}

	/** A wait ends with the event that is being emitted: `resolve` resolves its promise. */
	endWait(resolve: () => void): void {
		if (this.#stopRecording === undefined) {
			this.#forgetUnreachable();
			this.#stopRecording = this.#listen((event) => void this.#events.push(event));
			queueMicrotask(() => this.#stop());
		}
		if (!this.#willForget) {
			this.#willForget = true;
			void nextTurn().then(() => this.forget());
		}
		this.#goOnAt(this.#forgotten + this.#events.length, resolve);
	}

	/** Ends a wait that begins now with an event that has passed; answers whether there was one. */
	find(matches: (event: BusEvent) => boolean, resolve: (event: BusEvent) => void): boolean {
		const current = this.#current;
		const from = current?.place ?? [...this.#ended.keys()].reduce((a, b) => Math.min(a, b), noPlace);
		for (let index = Math.max(0, from - this.#forgotten); index < this.#events.length; index++) {
			const event = this.#events[index] as BusEvent;
			if (!matches(event)) continue;
			const place = this.#forgotten + index + 1;
			// Later, when the caller has had the time to await the promise.
			queueMicrotask(() => this.#goOnAt(place, () => resolve(event), from));
			return true;
		}
		if (current?.hasNext === false) {
			current.hasNext = true;
			this.#leave(from);
		}
		return false;
	}

	forget(): void {
		this.#stop();
		this.#events = [];
		this.#ended.clear();
		this.#current = undefined;
		this.#willForget = false;
	}

	/** No wait that begins can find them any more. */
	#forgetUnreachable(): void {
		const places = [...this.#ended.keys()].sort((a, b) => a - b);
		for (const place of places.splice(0, Math.max(0, places.length - mostPlaces))) this.#ended.delete(place);
		const forgettable = (places[0] ?? noPlace) - this.#forgotten;
		this.#forgotten += this.#events.splice(0, forgettable).length;
	}

	#stop(): void {
		this.#stopRecording?.();
		this.#stopRecording = undefined;
	}

	/** The code that awaits the promise runs between the two microtasks that are queued here. */
	#goOnAt(place: number, resolve: () => void, from?: number): void {
		const current = { place, hasNext: false };
		queueMicrotask(() => {
			// Several waits that are begun side by side have all the place of the one before them.
			const hasPlace = from === undefined || this.#leave(from);
			if (hasPlace) this.#ended.set(place, (this.#ended.get(place) ?? 0) + 1);
			this.#current = current;
		});
		resolve();
		queueMicrotask(() => {
			this.#current = undefined;
		});
	}

	/** Gives a place up; answers whether one was left. */
	#leave(place: number): boolean {
		const count = this.#ended.get(place) ?? 0;
		if (count > 1) this.#ended.set(place, count - 1);
		else this.#ended.delete(place);
		return count > 0;
	}
}
