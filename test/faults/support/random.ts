import { expect, onTestFailed } from "vitest";

/** Numbers that a seed repeats. */
export interface Random {
	readonly seed: number;
	/** Evenly from 0 up to, but not including, 1. */
	next(): number;
	/** A whole number from 0 up to, but not including, `end`. */
	below(end: number): number;
}

/** https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32 */
function random(seed: number): Random {
	let state = seed >>> 0;
	function next(): number {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}
	return { seed, next, below: (end) => Math.floor(next() * end) };
}

/** Another seed in each run, or the one of CALLHOOK_SEED; a test that fails says which. */
export function seededRandom(): Random {
	const seed = Number(process.env.CALLHOOK_SEED ?? Math.floor(Math.random() * 2 ** 32));
	const { currentTestName } = expect.getState();
	onTestFailed(() => console.error(`CALLHOOK_SEED=${seed} repeats: ${currentTestName}`));
	return random(seed);
}
