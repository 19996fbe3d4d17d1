/** A promise with its own resolve and reject. */
export interface Deferred<Value> {
	readonly promise: Promise<Value>;
	resolve(value: Value): void;
	reject(reason: unknown): void;
}

/** `Promise.withResolvers`, which Node has only from 22 on. */
export function createDeferred<Value>(): Deferred<Value> {
	let resolve!: (value: Value) => void;
	let reject!: (reason: unknown) => void;
	const promise = new Promise<Value>((onResolve, onReject) => {
		resolve = onResolve;
		reject = onReject;
	});
	return { promise, resolve, reject };
}

/** Whether a value can be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
	return (
		typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
	);
}
