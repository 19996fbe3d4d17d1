const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls a function when a signal fires, unless the function this returns is called before. However many wait for a
 * signal, it gets one listener: Node warns of a leak at the eleventh.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
	let callbacks = waiting.get(signal);
	if (callbacks === undefined) {
		callbacks = new Set();
		waiting.set(signal, callbacks);
	}
	if (callbacks.size === 0) signal.addEventListener("abort", fire);
	callbacks.add(callback);
	return () => {
		if (callbacks.delete(callback) && callbacks.size === 0) signal.removeEventListener("abort", fire);
	};
}

function fire(event: Event): void {
	const signal = event.target as AbortSignal;
	signal.removeEventListener("abort", fire);
	const callbacks = waiting.get(signal) ?? [];
	waiting.delete(signal);
	for (const callback of callbacks) callback();
}
