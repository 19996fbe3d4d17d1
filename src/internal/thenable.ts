import { isThenable } from "./deferred.ts";
import { invalidOption } from "./options.ts";

const { then } = Promise.prototype;
const ignore = (): void => undefined;

/** Calls one of the two, once and in a later microtask, whatever the `then` of a foreign promise does. */
export function whenSettled(
	promise: PromiseLike<unknown>,
	onValue: (value: unknown) => void,
	onError: (error: unknown) => void,
): void {
	try {
		void then.call(Promise.resolve(promise), onValue, onError);
	} catch (error) {
		queueMicrotask(() => onError(error));
	}
}

/** Returns the answer of a user's function, unless it is a promise: that would be taken for a yes. */
export function checkSynchronous<Answer>(option: string, answer: Answer): Answer {
	if (!isThenable(answer)) return answer;
	// Nobody will look at it: without this its rejection would end the process.
	whenSettled(answer, ignore, ignore);
	throw invalidOption(option, "a function that answers at once", "a promise");
}
