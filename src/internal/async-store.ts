/** A value that follows the asynchronous flow of execution. */
export interface AsyncStore<Value> {
	getStore(): Value | undefined;
	/** Sets the value for the rest of the current asynchronous scope and all it starts. */
	enterWith(value: Value): void;
}

type AsyncHooks = { AsyncLocalStorage: new <Value>() => AsyncStore<Value> };

/** AsyncLocalStorage, where the runtime has it. Not imported: that would keep the core out of browsers. */
export function createAsyncStore<Value>(): AsyncStore<Value> | undefined {
	const hooks = (
		globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }
	).process?.getBuiltinModule?.("async_hooks") as AsyncHooks | undefined;
	return hooks && new hooks.AsyncLocalStorage<Value>();
}
