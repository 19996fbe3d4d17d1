import { Fifo } from "../internal/fifo.ts";

/** What happens to an event for which a queue has no room; {@link QueueOptions} says what each means. */
export type Overflow = "block" | "reject" | "drop-oldest" | "drop-newest" | "coalesce";

export const overflows: readonly Overflow[] = ["block", "reject", "drop-oldest", "drop-newest", "coalesce"];

/** How many events may wait, and what happens to the next. */
export interface QueueOptions {
	/** Events that may wait: queued, behind another of their key, or for a retry. */
	readonly limit: number;
	/**
	 * - `block` (default): it waits outside the queue; `emission.accepted` resolves when it is let in
	 * - `reject`: it fails with ERR_CALLHOOK_QUEUE_FULL, and so does `emission.accepted`
	 * - `drop-oldest`: the event that has waited longest makes room; one that waits for a retry does not
	 * - `drop-newest`: it is dropped
	 * - `coalesce`: it takes the place of the event of its key that waits, full or not; with none, as `block`
	 */
	readonly overflow?: Overflow | undefined;
}

/** The queue behind an {@link Intake}, and what it learns. */
export interface IntakeHost<Job> {
	/** How many wait in the queue. */
	size(): number;
	/** Runs nobody's code; what is told below may, and is told when the queue is in order again. */
	admit(job: Job): void;
	/** Takes a job out of the queue that has not started: the oldest of them. */
	remove(job: Job): void;
	/** The key by which jobs coalesce and keep their order. */
	keyOf(job: Job): string | undefined;
	/** Lets the newer job take the place of one that waits. */
	replace(waiting: Job, newer: Job): void;
	onBlocked(job: Job): void;
	/** A blocked job was let in. */
	onUnblocked(job: Job): void;
	/** A job was let in although the queue was full. */
	onExceeded(job: Job): void;
	onDropped(job: Job): void;
	onRejected(job: Job): void;
}

/** Lets jobs into a queue with a limit. */
export interface Intake<Job> {
	/** Takes a job. One that `mustNotBlock` is let in where it would wait outside. */
	push(job: Job, mustNotBlock: boolean): void;
	/** A job that was let in has started: there may be room. */
	started(job: Job): void;
	/** Jobs that wait outside. */
	readonly blocked: number;
	/** Takes out every job that waits outside, and forgets the others. */
	clear(): Job[];
}

/** Queue options with their defaults. */
export interface QueueBounds {
	readonly limit: number;
	readonly overflow: Overflow;
}

export function createIntake<Job>(options: QueueBounds, host: IntakeHost<Job>): Intake<Job> {
	const { limit, overflow } = options;
	const outside = new Fifo<Job>();
	/** The same by key, for those that have one: a handler lets in the ones of a key without a look at all others. */
	const outsideOf = new Map<string, Fifo<Job>>();
	/** Jobs in `outside` that were let in ahead of their turn. */
	const passed = new Set<Job>();
	/** Jobs inside that have not started; kept only where one may have to go. */
	const droppable = new Set<Job>();
	/** Those in order, and some that have gone: the first of a Set costs more the more went before it. */
	const line = new Fifo<Job>();
	/** The job of each key that has not started, inside or outside. */
	const byKey = new Map<string, Job>();

	function admit(job: Job): void {
		if (overflow === "drop-oldest") {
			droppable.add(job);
			line.push(job);
			if (line.size > 2 * droppable.size + 64)
				for (const one of line.takeAll()) if (droppable.has(one)) line.push(one);
		}
		host.admit(job);
	}

	function letIn(job: Job): void {
		host.onUnblocked(job);
		admit(job);
	}

	function takeOldest(): Job | undefined {
		let job = line.shift();
		while (job !== undefined && !droppable.delete(job)) job = line.shift();
		return job;
	}

	function wait(job: Job): void {
		outside.push(job);
		const key = host.keyOf(job);
		if (key === undefined) return;
		const others = outsideOf.get(key) ?? new Fifo<Job>();
		others.push(job);
		outsideOf.set(key, others);
	}

	function countOutside(): number {
		return outside.size - passed.size;
	}

	/** Takes out the one that has waited longest outside. */
	function takeFirst(): Job {
		let job = outside.shift() as Job;
		while (passed.delete(job)) job = outside.shift() as Job;
		const key = host.keyOf(job);
		if (key === undefined) return job;
		const others = outsideOf.get(key);
		others?.shift();
		if (others?.size === 0) outsideOf.delete(key);
		return job;
	}

	/** Takes out all that wait outside with this key. */
	function takeAllOf(key: string): Job[] {
		const taken = outsideOf.get(key)?.takeAll() ?? [];
		outsideOf.delete(key);
		for (const job of taken) passed.add(job);
		return taken;
	}

	/** Lets in, although there is no room, all that waits outside with this key, so that none is overtaken, and the job. */
	function exceed(key: string | undefined, job?: Job): void {
		const exceeding = key === undefined ? [] : takeAllOf(key);
		for (const other of exceeding) letIn(other);
		if (job !== undefined) {
			admit(job);
			exceeding.push(job);
		}
		for (const other of exceeding) host.onExceeded(other);
	}

	function pushFull(job: Job, mustNotBlock: boolean): void {
		switch (overflow) {
			case "reject":
				return host.onRejected(job);
			case "drop-newest":
				return host.onDropped(job);
			case "drop-oldest": {
				const oldest = takeOldest();
				if (oldest === undefined) return host.onDropped(job);
				host.remove(oldest);
				admit(job);
				return host.onDropped(oldest);
			}
			case "block":
			case "coalesce":
				// Whoever must free a place cannot be made to wait for one.
				if (mustNotBlock) return exceed(host.keyOf(job), job);
				wait(job);
				return host.onBlocked(job);
		}
	}

	return {
		push(job, mustNotBlock) {
			const key = overflow === "coalesce" ? host.keyOf(job) : undefined;
			if (key !== undefined) {
				const waiting = byKey.get(key);
				if (waiting !== undefined) {
					host.replace(waiting, job);
					if (mustNotBlock) exceed(key);
					return;
				}
				byKey.set(key, job);
			}
			if (countOutside() === 0 && host.size() < limit) admit(job);
			else pushFull(job, mustNotBlock);
		},
		started(job) {
			droppable.delete(job);
			if (overflow === "coalesce") {
				const key = host.keyOf(job);
				// Not when it starts again for a retry: the one that waits is another by then.
				if (key !== undefined && byKey.get(key) === job) byKey.delete(key);
			}
			while (countOutside() > 0 && host.size() < limit) letIn(takeFirst());
		},
		get blocked() {
			return countOutside();
		},
		clear() {
			droppable.clear();
			line.takeAll();
			byKey.clear();
			outsideOf.clear();
			const waiting = outside.takeAll().filter((job) => !passed.has(job));
			passed.clear();
			return waiting;
		},
	};
}
