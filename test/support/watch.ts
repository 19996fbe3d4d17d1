/** A promise, and whether it has settled. */
export interface Watched<Value> {
	readonly promise: Promise<Value>;
	readonly isOver: boolean;
}

export function watch<Value>(promise: Promise<Value>): Watched<Value> {
	const watched = { promise, isOver: false };
	const end = (): void => {
		watched.isOver = true;
	};
	promise.then(end, end);
	return watched;
}
