import { type Clock, unref } from "../internal/clock.ts";
import { MinHeap } from "../internal/min-heap.ts";

/** Tells when pauses are over, with one timer for all of them. */
export interface PauseWatch {
	add(id: string, untilMs: number): void;
	stop(): void;
}

interface PauseEnd {
	readonly id: string;
	readonly untilMs: number;
}

const longestTimerMs = 2_147_483_647;

/** `onEnd` gets every end that was added, also of a pause that was made longer or is over already. */
export function createPauseWatch(clock: Clock, onEnd: (id: string, untilMs: number) => void): PauseWatch {
	const ends = new MinHeap<PauseEnd>(({ untilMs }) => untilMs);
	let timer: unknown;
	let timerAtMs = Number.POSITIVE_INFINITY;
	let isStopped = false;

	function setTimer(): void {
		clock.clearTimeout(timer);
		timerAtMs = ends.peek()?.untilMs ?? Number.POSITIVE_INFINITY;
		if (timerAtMs === Number.POSITIVE_INFINITY) return;
		timer = unref(clock.setTimeout(endPauses, Math.min(timerAtMs - clock.now(), longestTimerMs)));
	}

	function endPauses(): void {
		const nowMs = clock.now();
		for (let end = ends.peek(); end !== undefined && end.untilMs <= nowMs; end = ends.peek()) {
			ends.pop();
			onEnd(end.id, end.untilMs);
		}
		setTimer();
	}

	return {
		add(id, untilMs) {
			if (isStopped) return;
			ends.push({ id, untilMs });
			if (untilMs < timerAtMs) setTimer();
		},
		stop() {
			isStopped = true;
			clock.clearTimeout(timer);
		},
	};
}
