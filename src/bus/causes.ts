import type { BusEvent } from "../event/index.ts";
import { type AsyncStore, createAsyncStore } from "../internal/async-store.ts";
import type { Attempt } from "./attempt.ts";

/** Knows which event the code that runs now belongs to, so that what it emits can name its cause. */
export class Causes {
	/** The event whose consumer is on the stack; who runs a consumer sets it and puts the one before back. */
	onStack: BusEvent | undefined = undefined;
	/** The attempt that is on the stack. */
	attempt: Attempt | undefined = undefined;
	readonly #isTracking: boolean;
	#store: AsyncStore<Attempt> | undefined;

	constructor(isTracking: boolean) {
		this.#isTracking = isTracking;
	}

	/** False where there surely is no cause; cheaper to ask. */
	get mayHaveOne(): boolean {
		return this.onStack !== undefined || this.#store !== undefined;
	}

	/** The event that the code which runs now belongs to; behind an `await` only in handlers. */
	current(): BusEvent | undefined {
		return this.onStack ?? this.#store?.getStore()?.cause;
	}

	/** Whether the code that runs now belongs to an attempt of a handler that has not ended. */
	isInHandler(): boolean {
		return this.attempt !== undefined || this.#store?.getStore()?.isOver === false;
	}

	/** A handler exists. On Node before 24 a store slows down every promise, so it is made only now. */
	prepare(): void {
		if (this.#isTracking) this.#store ??= createAsyncStore();
	}

	/** Runs a function for an attempt, in an async scope of its own. What was on the stack before comes back. */
	run(attempt: Attempt, work: (attempt: Attempt) => unknown): unknown {
		const { onStack, attempt: outer } = this;
		this.#store?.enterWith(attempt);
		this.onStack = attempt.cause;
		this.attempt = attempt;
		try {
			return work(attempt);
		} finally {
			this.onStack = onStack;
			this.attempt = outer;
		}
	}
}
