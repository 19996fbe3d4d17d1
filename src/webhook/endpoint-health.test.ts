import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	type AttemptSign,
	afterAttempt,
	type EndpointHealth,
	type HealthNews,
	type HealthPolicy,
	healthy,
	isPaused,
	mergeHealth,
} from "./endpoint-health.ts";

const second = 1_000;
const minute = 60 * second;
const day = 86_400 * second;
const policy: HealthPolicy = {
	failures: 3,
	pauseMs: 30 * second,
	maxPauseMs: 100 * second,
	disableAfterMs: 5 * day,
};

type Step = readonly [atMs: number, answer: "ok" | "fail" | number, news?: string];

/** A line for each piece of news. */
function describeNews(news: readonly HealthNews[]): string {
	return news
		.map((each) => {
			if (each.kind === "paused") return `paused ${each.pause.reason} ${each.forMs / second}s`;
			if (each.kind === "recovered") return `recovered since ${each.failingSinceMs / second}s`;
			return each.kind;
		})
		.join(", ");
}

/** Answers at times; a number is a failure that asks for so many milliseconds. */
function play(steps: readonly Step[], by: HealthPolicy = policy): [EndpointHealth, string[]] {
	let health = healthy;
	const told: string[] = [];
	for (const [nowMs, answer] of steps) {
		const pauseForMs = typeof answer === "number" ? answer : undefined;
		const after = afterAttempt(health, { isSuccess: answer === "ok", nowMs, pauseForMs }, by);
		health = after.health;
		told.push(describeNews(after.news));
	}
	return [health, told];
}

const stories: readonly (readonly [string, readonly Step[], Partial<HealthPolicy>?])[] = [
	["a success of a healthy endpoint is no news", [[0, "ok", ""]]],
	[
		"so many failures in a row begin a pause, and fewer do not",
		[
			[0, "fail", ""],
			[1, "fail", ""],
			[2, "ok", ""],
			[3, "fail", ""],
			[4, "fail", ""],
			[5, "fail", "paused failures 30s"],
		],
	],
	[
		"what was under way when the pause began makes it no longer",
		[
			[0, "fail", ""],
			[0, "fail", ""],
			[0, "fail", "paused failures 30s"],
			[5_000, "fail", ""],
			[29_999, "fail", ""],
		],
	],
	[
		"each trial that fails makes the next pause twice as long, up to the longest",
		[
			[0, "fail", ""],
			[0, "fail", ""],
			[0, "fail", "paused failures 30s"],
			[30_000, "fail", "paused failures 60s"],
			[90_000, "fail", "paused failures 100s"],
			[190_000, "fail", "paused failures 100s"],
		],
	],
	[
		"a trial that succeeds ends it, and the next circuit begins with the first pause again",
		[
			[0, "fail", ""],
			[0, "fail", ""],
			[0, "fail", "paused failures 30s"],
			[30_000, "fail", "paused failures 60s"],
			[90_000, "ok", "resumed, recovered since 0s"],
			[90_000, "fail", ""],
			[90_000, "fail", ""],
			[90_000, "fail", "paused failures 30s"],
		],
	],
	[
		"a success that began before the pause does not end it",
		[
			[0, "fail", ""],
			[0, "fail", ""],
			[0, "fail", "paused failures 30s"],
			[10_000, "ok", ""],
			[20_000, "fail", ""],
			[30_000, "fail", "paused failures 60s"],
		],
	],
	[
		"Retry-After pauses with the first failure, for the time it says",
		[
			[0, 90_000, "paused retry-after 90s"],
			[90_000, "ok", "resumed, recovered since 0s"],
		],
	],
	[
		"Retry-After that is heard during a pause lengthens it, and never shortens it",
		[
			[0, 20_000, "paused retry-after 20s"],
			[5_000, 10_000, ""],
			[5_000, 15_000, ""],
			[5_000, 15_001, "paused retry-after 15.001s"],
		],
	],
	[
		"Retry-After is obeyed to the second until the failures open the circuit: then the longer one counts",
		[
			[0, 1_000, "paused retry-after 1s"],
			[1_000, 1_000, "paused retry-after 1s"],
			[2_000, 1_000, "paused failures 30s"],
			[32_000, 1_000, "paused failures 60s"],
			[92_000, 500_000, "paused retry-after 500s"],
			[592_000, "fail", "paused failures 100s"],
		],
	],
	[
		"a plain failure behind a Retry-After begins no pause before there were enough",
		[
			[0, 1_000, "paused retry-after 1s"],
			[1_000, "fail", ""],
			[1_000, "fail", "paused failures 30s"],
		],
	],
	[
		"without a breaker there are the pauses of Retry-After only",
		[
			[0, 1_000, "paused retry-after 1s"],
			[1_000, "fail", ""],
			[1_000, "fail", ""],
			[1_000, "fail", ""],
			[2_000, "fail", ""],
			[3_000, "ok", "resumed"],
		],
		{ failures: Number.POSITIVE_INFINITY, pauseMs: 0, maxPauseMs: 0 },
	],
	[
		"a failure of less than a minute is over without a word",
		[
			[0, "fail", ""],
			[minute - 1, "ok", ""],
		],
	],
	[
		"one of a minute is not",
		[
			[0, "fail", ""],
			[minute, "ok", "recovered since 0s"],
			[minute + 1, "ok", ""],
		],
	],
	[
		"warnings come once each, at a half and at nine tenths of the time, then it is disabled",
		[
			[0, "fail", ""],
			[2.5 * day - 1, "fail", ""],
			[2.5 * day, "fail", "failing"],
			[3 * day, "fail", ""],
			[4.5 * day, "fail", "failing"],
			[5 * day - 1, "fail", ""],
			[5 * day, "fail", "disabled"],
		],
		{ failures: 1_000 },
	],
	[
		"one failure after a long silence may be all that there is: it disables",
		[
			[0, "fail", ""],
			[6 * day, "fail", "disabled"],
		],
		{ failures: 1_000 },
	],
	[
		"a success in between starts the time anew",
		[
			[0, "fail", ""],
			[4 * day, "fail", "failing"],
			[4 * day + 1, "ok", "recovered since 0s"],
			[6 * day, "fail", ""],
			[8 * day, "fail", ""],
			[8.5 * day, "fail", "failing"],
		],
		{ failures: 1_000 },
	],
	[
		"who was warned hears of the recovery, however soon it comes",
		[
			[0, "fail", ""],
			[600, "fail", "failing"],
			[700, "ok", "recovered since 0s"],
		],
		{ failures: 1_000, disableAfterMs: 1_000 },
	],
	[
		"it is never disabled where nobody wants that",
		[
			[0, "fail", ""],
			[1_000 * day, "fail", ""],
		],
		{ failures: 1_000, disableAfterMs: Number.POSITIVE_INFINITY },
	],
	[
		"who is disabled is not told of a pause too",
		[
			[0, "fail", ""],
			[5 * day, 60_000, "disabled"],
		],
	],
	[
		"a clock that was set back makes nothing of it",
		[
			[10 * day, "fail", ""],
			[1 * day, "fail", ""],
			[1 * day + minute, "ok", "recovered since 86400s"],
		],
		{ failures: 1_000 },
	],
];

describe("afterAttempt()", () => {
	test.for(stories)("%s", ([, steps, changed], { expect }) => {
		const [, told] = play(steps, { ...policy, ...changed });
		expect(told).toEqual(steps.map(([, , news]) => news));
	});

	test("changes nothing, and makes no new object, for a success of a healthy endpoint", () => {
		const read: EndpointHealth = JSON.parse(JSON.stringify(healthy));
		expect(afterAttempt(read, { isSuccess: true, nowMs: 5 }, policy).health).toBe(read);
	});
});

describe("any row of attempts", () => {
	const sign = fc.record({
		isSuccess: fc.boolean(),
		afterMs: fc.nat({ max: 200 * second }),
		pauseForMs: fc.option(fc.nat({ max: 200 * second }), { nil: undefined }),
	});
	const limits = fc.record({
		failures: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(Number.POSITIVE_INFINITY)),
		disableAfterMs: fc.oneof(
			fc.integer({ min: 1, max: 1_000 * second }),
			fc.constant(Number.POSITIVE_INFINITY),
		),
	});

	test("keeps the rules", () => {
		fc.assert(
			fc.property(limits, fc.array(sign, { maxLength: 40 }), ({ failures, disableAfterMs }, signs) => {
				const by = { ...policy, failures, disableAfterMs };
				let health = healthy;
				let nowMs = 0;
				let warnings = 0;
				for (const { afterMs, ...rest } of signs) {
					nowMs += afterMs;
					const before = health;
					const given: AttemptSign = { ...rest, nowMs };
					const { health: after, news } = afterAttempt(before, given, by);
					health = after;
					checkPause(before, after, given, by);
					const kinds = news.map(({ kind }) => kind);
					expect(new Set(kinds).size).toBe(kinds.length);
					if (given.isSuccess) {
						expect(after.failures).toBe(0);
						expect(after.failingSinceMs).toBeUndefined();
						expect(kinds).not.toContain("disabled");
						warnings = 0;
					} else {
						expect(after.failures).toBe(before.failures + 1);
						expect(kinds).not.toContain("resumed");
						const failingForMs = nowMs - (before.failingSinceMs ?? nowMs);
						expect(kinds.includes("disabled")).toBe(failingForMs >= disableAfterMs);
						if (kinds.includes("failing")) expect(++warnings).toBeLessThanOrEqual(2);
					}
				}
			}),
			{ seed: 20_260_201, numRuns: 500 },
		);
	});
});

function checkPause(
	before: EndpointHealth,
	after: EndpointHealth,
	{ isSuccess, nowMs, pauseForMs = 0 }: AttemptSign,
	{ failures, maxPauseMs }: HealthPolicy,
): void {
	if (isPaused(before, nowMs)) {
		// Nothing shortens a pause, not even a success.
		expect(after.pause?.untilMs).toBeGreaterThanOrEqual(before.pause?.untilMs ?? Number.NaN);
		if (isSuccess) expect(after.pause).toEqual(before.pause);
	} else if (isSuccess) {
		expect(after.pause).toBeUndefined();
	}
	if (isSuccess) return;
	if (pauseForMs > 0) expect(after.pause?.untilMs).toBeGreaterThanOrEqual(nowMs + pauseForMs);
	if (after.failures >= failures) expect(isPaused(after, nowMs)).toBe(true);
	if (after.pause !== before.pause) {
		expect((after.pause?.untilMs ?? 0) - nowMs).toBeLessThanOrEqual(Math.max(maxPauseMs, pauseForMs));
	}
}

describe("mergeHealth()", () => {
	const failing: EndpointHealth = { failures: 2, failingSinceMs: 50, warnings: 0 };
	const paused: EndpointHealth = {
		failures: 5,
		failingSinceMs: 10,
		warnings: 1,
		pause: { untilMs: 900, reason: "failures", level: 1 },
	};

	test("lets a success outweigh what others have seen", () => {
		expect(mergeHealth(paused, healthy)).toBe(healthy);
	});

	test("takes its own where there is nothing", () => {
		expect(mergeHealth(undefined, failing)).toBe(failing);
	});

	test("never loses a pause, whoever writes last", () => {
		expect(mergeHealth(paused, failing)).toEqual(paused);
		expect(mergeHealth(failing, paused)).toEqual(paused);
		const longer = { ...failing, pause: { untilMs: 1_000, reason: "retry-after", level: 0 } as const };
		expect(mergeHealth(paused, longer)).toEqual({ ...paused, pause: longer.pause });
	});
});
