import PQueue from "p-queue";

/** A ceiling that several {@link Lanes} share: at most so many of their workers run at once, in turn. */
export type Gate = PQueue;

/** Makes a gate for `concurrency` workers; `Infinity` lets everyone through. */
export function createGate(concurrency: number): Gate {
	return new PQueue({ concurrency });
}
