import { createDeferred, type Deferred } from "../../src/internal/deferred.ts";
import { Inbox } from "./inbox.ts";

/** An async iterable without a generator's queue: it says what it is asked for, and answers when told. */
export class Scripted implements AsyncIterable<string>, AsyncIterator<string> {
	readonly asked = new Inbox<Deferred<IteratorResult<string>>>();
	returns = 0;

	[Symbol.asyncIterator](): this {
		return this;
	}

	next(): Promise<IteratorResult<string>> {
		const answer = createDeferred<IteratorResult<string>>();
		this.asked.push(answer);
		return answer.promise;
	}

	async return(): Promise<IteratorResult<string>> {
		this.returns++;
		return { done: true, value: undefined };
	}

	async give(value: string): Promise<void> {
		(await this.asked.next()).resolve({ done: false, value });
	}
}
