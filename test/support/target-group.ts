import type { AttemptRecord, Claim, NewDelivery, Settlement, SettleTo } from "../../src/outbox/ports.ts";
import type { TargetGroup } from "../../src/outbox/target-group.ts";
import type { FakeClock } from "../../src/testing/index.ts";

type Result = Omit<Settlement, "token">;

/** One attempt that a fake group was asked to make. */
export interface Run {
	readonly claim: Claim;
	readonly atMs: number;
	/** Ends a run that is held open. */
	end(to: SettleTo | "delivered" | "dead"): void;
	fail(error: unknown): void;
}

/** A target group that notes what it is asked to do. */
export interface FakeGroup extends TargetGroup {
	/** In the order they began. */
	readonly runs: readonly Run[];
	readonly running: ReadonlySet<Run>;
	readonly mostAtOnce: number;
	readonly aborts: number;
}

/** What a run answers, made as the webhook bridge makes it: with an attempt, unless it routes. */
function resultOf({ attempt: number }: Claim, given: SettleTo | "delivered" | "dead"): Result {
	const to: SettleTo = typeof given === "string" ? { state: given } : given;
	if (to.state === "routed") return { to };
	const outcome = to.state === "delivered" ? "delivered" : "failed";
	const attempt: AttemptRecord = { number, startedAt: "2026-01-01T00:00:00.000Z", durationMs: 1, outcome };
	return { to, attempt };
}

/** Makes a target group. `answer` ends a run at once; a run it returns `undefined` for stays open. */
export function fakeGroup(
	clock: FakeClock,
	answer: (claim: Claim) => SettleTo | "delivered" | "dead" | undefined = () => "delivered",
	{ name = "g", concurrency = 10, perTarget = 10 } = {},
): FakeGroup {
	const runs: Run[] = [];
	const running = new Set<Run>();
	let mostAtOnce = 0;
	let aborts = 0;
	return {
		name,
		concurrency,
		concurrencyOf: () => perTarget,
		async run(claim) {
			return new Promise<Result>((resolve, reject) => {
				const run: Run = {
					claim,
					atMs: clock.now(),
					end(to) {
						running.delete(run);
						resolve(resultOf(claim, to));
					},
					fail(error) {
						running.delete(run);
						reject(error);
					},
				};
				runs.push(run);
				running.add(run);
				mostAtOnce = Math.max(mostAtOnce, running.size);
				// Not at once: a run takes a while, so that others can be under way beside it.
				queueMicrotask(() => {
					const to = answer(claim);
					if (to !== undefined) run.end(to);
				});
			});
		},
		abort() {
			aborts++;
			for (const run of running) run.end({ state: "waiting", retryInMs: 5_000 });
		},
		runs,
		running,
		get mostAtOnce() {
			return mostAtOnce;
		},
		get aborts() {
			return aborts;
		},
	};
}

/** An event as the outbox keeps it, with its deliveries. */
export function eventFor(id: string, ...deliveries: readonly NewDelivery[]) {
	const event = { id, type: "order.paid", time: "2026-01-01T00:00:00.000Z", source: "/" };
	return { event: { ...event, dataJson: "{}", metadataJson: "{}" }, deliveries };
}
