import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBus, type Emission, type HandlerContext } from "../../src/bus/index.ts";
import { PermanentError } from "../../src/bus/permanent-error.ts";
import type { Overflow } from "../../src/lanes/index.ts";
import { fakeClock } from "../../src/testing/index.ts";

const parameters = { seed: 20_261_017, numRuns: 400 };
const timeoutMs = 50;

/** What one attempt at an event does. */
interface Turn {
	/** How long it takes; with 0 it returns no promise, and beyond the time limit it has failed. */
	readonly takesMs: number;
	readonly result: "ok" | "fail" | "permanent";
}

interface Work {
	readonly key: string | undefined;
	/** One for each attempt; with none left, it succeeds at once. */
	readonly turns: readonly Turn[];
	/** What its first attempt emits, and whether it waits until that is accepted. */
	readonly child: { readonly key: string | undefined; readonly isAwaited: boolean } | undefined;
}

interface Limits {
	readonly concurrency: number;
	readonly queue: { readonly limit: number; readonly overflow: Overflow } | undefined;
	readonly attempts: number;
	readonly rateLimit: { readonly count: number; readonly perMs: number } | undefined;
	readonly batch: { readonly size: number; readonly waitMs: number } | undefined;
}

/** An event and all that was seen of it. */
interface Seen {
	readonly work: Work;
	readonly emission: Emission;
	attempts: number;
	isRunning: boolean;
	/** Whether the last attempt succeeded, and whether another is due by what it came to. */
	isOk: boolean;
	isWorthRetry: boolean;
	/** Signals that tell its end. */
	readonly ends: string[];
	accepted: "waits" | "resolved" | "rejected";
}

const key = fc.constantFrom("a", "b", "c", undefined);
const turn: fc.Arbitrary<Turn> = fc.record({
	takesMs: fc.constantFrom(0, 0, 1, 7, 30, timeoutMs + 20),
	result: fc.constantFrom("ok", "fail", "fail", "permanent"),
});
const work: fc.Arbitrary<Work> = fc.record({
	key,
	turns: fc.array(turn, { maxLength: 3 }),
	child: fc.option(fc.record({ key, isAwaited: fc.boolean() }), { nil: undefined, freq: 3 }),
});
const step = fc.oneof(
	{ weight: 8, arbitrary: fc.record({ emit: fc.array(work, { minLength: 1, maxLength: 6 }) }) },
	{ weight: 6, arbitrary: fc.record({ advance: fc.nat({ max: 60 }) }) },
	{ weight: 1, arbitrary: fc.record({ pause: fc.constant(true) }) },
	{ weight: 2, arbitrary: fc.record({ resume: fc.constant(true) }) },
);
const limits: fc.Arbitrary<Limits> = fc.record({
	concurrency: fc.integer({ min: 1, max: 4 }),
	queue: fc.option(
		fc.record({
			limit: fc.integer({ min: 1, max: 4 }),
			overflow: fc.constantFrom<Overflow[]>("block", "reject", "drop-oldest", "drop-newest", "coalesce"),
		}),
		{ nil: undefined, freq: 6 },
	),
	attempts: fc.integer({ min: 1, max: 3 }),
	rateLimit: fc.option(
		fc.record({ count: fc.integer({ min: 1, max: 3 }), perMs: fc.integer({ min: 1, max: 80 }) }),
		{ nil: undefined, freq: 2 },
	),
	batch: fc.option(
		fc.record({ size: fc.integer({ min: 1, max: 4 }), waitMs: fc.integer({ min: 0, max: 100 }) }),
		{ nil: undefined, freq: 2 },
	),
});

/** A bus with one handler that does what its events say, and that checks the rules at every start of an attempt. */
function createWorld({ concurrency, queue, attempts, rateLimit, batch }: Limits) {
	const clock = fakeClock();
	const broken: string[] = [];
	const bus = createBus<{ work: Work }>({ clock, onError: () => undefined });
	const all: Seen[] = [];
	const byWork = new Map<Work, Seen>();
	const starts: number[] = [];
	let running = 0;
	let isPaused = false;

	for (const signal of ["handler:succeeded", "handler:failed", "handler:dropped"] as const) {
		bus.observe(signal, ({ event }) => void byWork.get(event.data as Work)!.ends.push(signal));
	}
	bus.observe("handler:retry", ({ event }) => {
		if (byWork.get(event.data as Work)!.isRunning) broken.push("one was to be retried that still ran");
	});

	const isOver = (seen: Seen) => seen.ends.length > 0;

	function emit(given: Work): Emission {
		// Children may be the same object twice.
		const data = { ...given };
		const seen: Omit<Seen, "emission"> & { emission?: Emission } = {
			...{ work: data, attempts: 0, isRunning: false, isOk: false, isWorthRetry: false },
			...{ ends: [], accepted: "waits" },
		};
		all.push(seen as Seen);
		byWork.set(data, seen as Seen);
		seen.emission = bus.emit("work", data);
		void seen.emission.accepted.then(
			() => (seen.accepted = "resolved"),
			() => (seen.accepted = "rejected"),
		);
		return seen.emission;
	}

	function checkStart(seen: Seen, attempt: number): void {
		if (isOver(seen)) broken.push("an event ran behind its end");
		if (seen.isRunning) broken.push("an event ran twice at once");
		if (attempt !== seen.attempts + 1) broken.push("an attempt was not counted by one");
		if (attempt > attempts) broken.push("there were too many attempts");
		if (attempt > 1 && !seen.isWorthRetry) broken.push("one was retried that was not worth it");
		const { key: ownKey } = seen.work;
		if (batch !== undefined || ownKey === undefined) return;
		const sameKey = all.filter((other) => other !== seen && other.work.key === ownKey);
		if (sameKey.some((other) => other.isRunning)) broken.push("two of one key ran at once");
		const before = all.slice(0, all.indexOf(seen)).filter((other) => other.work.key === ownKey);
		if (!before.every(isOver)) broken.push("one overtook another of its key");
	}

	function startAttempt(items: readonly Work[], attempt: number): Seen[] {
		const seen = items.map((item) => byWork.get(item)!);
		for (const one of seen) checkStart(one, attempt);
		if (isPaused) broken.push("one started in a pause");
		if (++running > concurrency) broken.push("more than the limit ran");
		if (items.length === 0 || items.length > (batch?.size ?? 1)) broken.push("a batch had a wrong size");
		const sinceMs = clock.now() - (rateLimit?.perMs ?? 0);
		starts.push(clock.now());
		if (rateLimit !== undefined && starts.filter((ms) => ms > sinceMs).length > rateLimit.count) {
			broken.push("more started than the rate allows");
		}
		for (const one of seen) {
			one.attempts++;
			one.isRunning = true;
		}
		return seen;
	}

	function endAttempt(seen: readonly Seen[], isLate: boolean): void {
		running--;
		for (const one of seen) {
			const { result = "ok" } = turnOf(one) ?? {};
			one.isRunning = false;
			one.isOk = !isLate && result === "ok";
			// What a batch says of one event counts more than that it took too long.
			one.isWorthRetry = (isLate && (batch === undefined || result === "ok")) || result === "fail";
		}
	}

	const turnOf = ({ work: { turns }, attempts: count }: Seen): Turn | undefined => turns[count - 1];
	const errorOf = (one: Seen): Error | undefined => {
		const { result = "ok" } = turnOf(one) ?? {};
		if (result === "ok") return undefined;
		return result === "permanent" ? new PermanentError("permanent") : new Error("fail");
	};

	async function emitChild(seen: Seen): Promise<void> {
		const { child } = seen.work;
		if (child === undefined || seen.attempts > 1) return;
		await Promise.resolve();
		const emission = emit({ key: child.key, turns: [], child: undefined });
		if (child.isAwaited) await emission.accepted.catch(() => undefined);
	}

	/** Runs the attempt as the first of its events says. */
	function run(seen: readonly Seen[], settle: () => void): unknown {
		const [first] = seen;
		const { takesMs = 0 } = (first && turnOf(first)) ?? {};
		const startedMs = clock.now();
		const isSync = takesMs === 0 && seen.every(({ work: { child } }) => child === undefined);
		const finish = (): void => {
			endAttempt(seen, clock.now() - startedMs >= timeoutMs);
			settle();
		};
		if (isSync) return finish();
		return (async () => {
			for (const one of seen) await emitChild(one);
			if (takesMs > 0) await new Promise<void>((resolve) => clock.setTimeout(resolve, takesMs));
			finish();
		})();
	}

	const common = {
		...{ name: "worker", concurrency, timeoutMs, queue, rateLimit },
		retry: { attempts, minDelayMs: 5, maxDelayMs: 20, jitter: false },
	};
	const jobs =
		batch === undefined
			? bus.handle(
					"work",
					(item: Work, { attempt }: HandlerContext) => {
						const [seen] = startAttempt([item], attempt) as [Seen];
						return run([seen], () => {
							const error = errorOf(seen);
							if (error !== undefined) throw error;
						});
					},
					{ ...common, key: (item) => item.key },
				)
			: bus.handle(
					"work",
					(items, context) => {
						const seen = startAttempt(items, context.attempt);
						return run(seen, () => {
							for (const [index, one] of seen.entries()) {
								const error = errorOf(one);
								if (error !== undefined) context.fail(index, error);
							}
						});
					},
					{ ...common, batch },
				);

	return {
		...{ bus, clock, jobs, all, broken, emit, isOver },
		pause() {
			isPaused = true;
			jobs.pause();
		},
		resume() {
			isPaused = false;
			jobs.resume();
		},
		/** At rest: every event is somewhere, and in one place only. */
		checkRest() {
			expect(broken).toEqual([]);
			const { succeeded, failed, dropped, queued } = jobs.stats();
			const over = all.filter(isOver);
			const rejected = queue?.overflow === "reject" ? dropped : 0;
			expect(succeeded + failed + dropped - rejected).toBe(over.length);
			expect(jobs.stats().running).toBe(running);
			expect(queued).toBe(all.filter((seen) => !isOver(seen) && !seen.isRunning).length);
			expect(bus.stats().open).toBe(all.length - over.length);
			if (queue === undefined) return;
			const fresh = all.filter((seen) => !isOver(seen) && seen.attempts === 0);
			if (queue.overflow === "block" || queue.overflow === "coalesce") return;
			expect(fresh.length, "the queue keeps to its limit").toBeLessThanOrEqual(queue.limit);
			expect(fresh.filter(({ accepted }) => accepted !== "resolved")).toEqual([]);
		},
	};
}

/** Without a key there is nothing that a batch could coalesce by, and a queue must hold a whole one. */
function queueOf({ queue, batch }: Limits): Limits["queue"] {
	if (queue === undefined || batch === undefined) return queue;
	if (queue.overflow === "coalesce") return undefined;
	return { ...queue, limit: Math.max(queue.limit, batch.size) };
}

describe("handlers", () => {
	test("keep limits, keys and order, end each event once, and drain to nothing", async () => {
		const totals = { succeeded: 0, failed: 0, dropped: 0, retried: 0, blocked: 0, exceeded: 0, late: 0 };
		await fc.assert(
			fc.asyncProperty(limits, fc.array(step, { maxLength: 14 }), async (given, program) => {
				const world = createWorld({ ...given, queue: queueOf(given) });
				const { bus, clock, jobs, all } = world;
				bus.observe("handler:exceeded", () => void totals.exceeded++);
				bus.observe("handler:timeout", () => void totals.late++);
				for (const action of program) {
					if ("emit" in action) for (const item of action.emit) world.emit(item);
					else if ("pause" in action) world.pause();
					else if ("resume" in action) world.resume();
					else await clock.advance(action.advance);
					if ("advance" in action) world.checkRest();
					if (!("advance" in action)) continue;
					totals.blocked += all.filter(({ accepted }) => accepted === "waits").length;
				}
				world.resume();
				let drained: unknown;
				void bus.drain().then((report) => {
					drained = report;
				});
				for (let rounds = 0; drained === undefined && rounds < 400; rounds++) await clock.advance(100);

				expect(drained, "drain() ends").toMatchObject({ isDrained: true, left: 0, handlers: [] });
				await jobs.idle();
				world.checkRest();
				expect(all.filter((seen) => !world.isOver(seen))).toEqual([]);
				const stats = jobs.stats();
				expect(stats).toMatchObject({ running: 0, queued: 0 });
				expect(clock.timers).toBe(0);
				const retries = all.map(({ attempts }) => Math.max(0, attempts - 1)).reduce((a, b) => a + b, 0);
				expect(stats.retried).toBe(retries);
				for (const seen of all) await checkEnd(seen, given);
				for (const name of ["succeeded", "failed", "dropped", "retried"] as const)
					totals[name] += stats[name];
			}),
			parameters,
		);
		for (const [what, count] of Object.entries(totals))
			expect(count, `${what} is tried often`).toBeGreaterThan(100);
	});
});

/** The report, the signals and `accepted` tell the same of an event, and it is what its last attempt came to. */
async function checkEnd(seen: Seen, { queue, attempts }: Limits): Promise<void> {
	const { outcomes } = await seen.emission.settled;
	expect(outcomes).toHaveLength(1);
	const [outcome] = outcomes;
	expect(outcome?.attempts).toBe(seen.attempts);
	if (seen.attempts === 0) {
		const isRejected = queue?.overflow === "reject";
		expect(outcome?.status).toBe(isRejected ? "rejected" : "dropped");
		expect(seen.ends).toEqual(isRejected ? ["handler:dropped", "handler:failed"] : ["handler:dropped"]);
		expect(seen.accepted).toBe(isRejected ? "rejected" : "resolved");
		return;
	}
	expect(outcome?.status).toBe(seen.isOk ? "fulfilled" : "rejected");
	expect(seen.ends).toEqual([seen.isOk ? "handler:succeeded" : "handler:failed"]);
	expect(seen.accepted).toBe("resolved");
	if (!seen.isOk && seen.isWorthRetry)
		expect(seen.attempts, "it was tried as often as allowed").toBe(attempts);
}
