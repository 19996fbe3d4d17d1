import type { Clock } from "../internal/clock.ts";
import type { Claim } from "./ports.ts";

/**
 * An event that kills its process takes the attempts of all that run beside it, again at each start, until they are dead
 * letters too. So whatever ran when a process died runs alone first, for at most `aloneForMs`: most kill at once or never.
 */
export interface Quarantine {
	/** Whether something runs alone or is about to: nothing else that could die of it is claimed. */
	readonly isOn: boolean;
	/** Whether the next claim may hold another of that kind: it is asked for one delivery of a group. */
	readonly isCareful: boolean;
	/** The claim that waits for the others to end. */
	readonly waiting: Claim | undefined;
	/** Looks at claims of groups that are isolated; returns those that are not to start now, to be given back. */
	admit(claims: readonly Claim[]): readonly Claim[];
	/** A claim of such a group has ended; `running` is how many there still are. */
	look(running: number): void;
	/** Forgets the claim that waits. */
	drop(): void;
}

export function createQuarantine(
	clock: Clock,
	aloneForMs: number,
	host: { start(claim: Claim): void; onEnd(): void },
): Quarantine {
	let waiting: Claim | undefined;
	let isAlone = false;
	let isCareful = false;
	let timer: unknown;

	function begin(): void {
		const claim = waiting as Claim;
		waiting = undefined;
		isAlone = true;
		setTimer(end);
		host.start(claim);
	}

	function end(): void {
		clock.clearTimeout(timer);
		isAlone = false;
		host.onEnd();
	}

	function setTimer(then: () => void): void {
		clock.clearTimeout(timer);
		timer = clock.setTimeout(then, aloneForMs);
	}

	return {
		get isOn() {
			return waiting !== undefined || isAlone;
		},
		get isCareful() {
			return isCareful;
		},
		get waiting() {
			return waiting;
		},
		admit(claims) {
			if (claims.length === 0) return [];
			waiting = claims.find(({ crashes }) => crashes > 0);
			isCareful = waiting !== undefined;
			if (waiting === undefined) return [];
			// What runs now may take long: then it has had its time to kill.
			setTimer(begin);
			return claims.filter((claim) => claim !== waiting);
		},
		look(running) {
			if (running > 0) return;
			if (waiting !== undefined) begin();
			else if (isAlone) end();
		},
		drop() {
			waiting = undefined;
			clock.clearTimeout(timer);
		},
	};
}
