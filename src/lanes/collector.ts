import type { Clock } from "../internal/clock.ts";

/** How many events make a batch, and how long it waits for them. */
export interface BatchOptions {
	/** At most so many events; a batch that is full starts at once. */
	readonly size: number;
	/** A batch starts so long after its first event, full or not. Default 20. */
	readonly waitMs?: number | undefined;
}

/** Collects jobs into batches. */
export interface Collector<Job> {
	add(job: Job): void;
	/** Takes a job out of the batch that is being filled; the batch starts no later for it. */
	remove(job: Job): void;
	/** Jobs in the batch that is being filled. */
	readonly size: number;
	/** Closes the batch that is being filled now. */
	flush(): void;
	/** Takes out what is in the batch that is being filled. */
	clear(): Job[];
}

/** Batch options with their defaults. */
export interface BatchBounds {
	readonly size: number;
	readonly waitMs: number;
}

export function createCollector<Job>(
	{ size, waitMs }: BatchBounds,
	clock: Clock,
	onBatch: (jobs: Job[]) => void,
): Collector<Job> {
	let jobs: Job[] = [];
	let timer: unknown;

	function take(): Job[] {
		const taken = jobs;
		jobs = [];
		clock.clearTimeout(timer);
		timer = undefined;
		return taken;
	}

	function flush(): void {
		const taken = take();
		if (taken.length > 0) onBatch(taken);
	}

	return {
		add(job) {
			jobs.push(job);
			if (jobs.length >= size) flush();
			else timer ??= clock.setTimeout(flush, waitMs);
		},
		remove(job) {
			const at = jobs.indexOf(job);
			if (at >= 0) jobs.splice(at, 1);
		},
		get size() {
			return jobs.length;
		},
		flush,
		clear: take,
	};
}
