import { createDeferred, type Deferred } from "../internal/deferred.ts";

/** Counts what has begun and not ended: asynchronous callbacks, handler jobs, appends to the outbox. */
export class OpenWork {
	#count = 0;
	#idle: Deferred<void> | undefined;

	get count(): number {
		return this.#count;
	}

	begin(): void {
		this.#count++;
	}

	end(): void {
		if (--this.#count > 0 || this.#idle === undefined) return;
		this.#idle.resolve();
		this.#idle = undefined;
	}

	/** Resolves once nothing is open. */
	idle(): Promise<void> {
		if (this.#count === 0) return Promise.resolve();
		this.#idle ??= createDeferred();
		return this.#idle.promise;
	}
}
