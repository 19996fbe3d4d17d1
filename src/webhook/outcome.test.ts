import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallhookError } from "../errors.ts";
import {
	type AttemptFacts,
	decideOutcome,
	defaultOutcomePolicy,
	type OutcomePolicy,
	type RetrySchedule,
} from "./outcome.ts";
import type { SendResult } from "./sender.ts";

const schedule: RetrySchedule = { delaysMs: [5_000, 300_000, 0], jitter: 0.2 };
const startedAtMs = Date.parse("2026-01-02T03:04:05.678Z");
const nowMs = Date.parse("2026-01-02T03:04:10.000Z");
const dayMs = 86_400_000;

interface Given {
	readonly number?: number;
	readonly random?: number;
	readonly policy?: Partial<OutcomePolicy>;
	readonly requestHeaders?: Record<string, string>;
}

function decide(result: SendResult, { number = 1, random = 0, policy, requestHeaders }: Given = {}) {
	const facts: AttemptFacts = { number, startedAtMs, durationMs: 12.5, nowMs, result, requestHeaders };
	return decideOutcome(facts, { ...defaultOutcomePolicy, schedule, ...policy }, random);
}

function status(code: number, headers: Readonly<Record<string, string>> = {}): SendResult {
	return { kind: "response", status: code, headers, body: "what it said" };
}

function failure(code: string): SendResult {
	return { kind: "error", error: Object.assign(new Error("secret detail"), { code }) };
}

function refusal(reason: string): SendResult {
	const details = { host: "hook.example", reason };
	return { kind: "error", error: new CallhookError("ERR_CALLHOOK_URL_REFUSED", "refused", details) };
}

const waiting = { state: "waiting", retryInMs: 5_000 };
const dead = { state: "dead" };
const delivered = { state: "delivered" };
const gone = { action: "disable", reason: "gone" };
const asked = { action: "disable", reason: "asked" };

describe("decideOutcome() - a response", () => {
	test("with any status of 200 to 299 delivers", () => {
		for (let code = 200; code <= 299; code++) {
			const { to, attempt, endpoint } = decide(status(code));
			expect([to, attempt.outcome, attempt.status, endpoint], String(code)).toEqual([
				...[delivered, "delivered", code],
				undefined,
			]);
		}
	});

	test.for([
		["before the success class", 100, 199],
		["that redirects", 300, 399],
		["that blames the request", 400, 499],
		["that blames the receiver", 500, 599],
		["that HTTP does not know", 600, 999],
	] as const)("with a status %s fails", ([, first, last], { expect }) => {
		for (let code: number = first; code <= last; code++) {
			const { to, attempt } = decide(status(code));
			const expected = code === 410 ? dead : waiting;
			expect([to, attempt.outcome, attempt.status], String(code)).toEqual([expected, "failed", code]);
		}
	});

	test("delivers on the last attempt too", () => {
		expect(decide(status(204), { number: 4 }).to).toEqual(delivered);
	});

	test("of 400 to 499 is final by policy, but where it blames the moment", () => {
		const policy = { clientErrors: "final" } as const;
		for (let code = 300; code <= 599; code++) {
			const isFinal = code >= 400 && code <= 499 && ![408, 425, 429].includes(code);
			expect(decide(status(code), { policy }).to, String(code)).toEqual(isFinal ? dead : waiting);
		}
	});
});

describe("decideOutcome() - what a receiver asks for", () => {
	test.for<[string, number, Record<string, string>, object, object | undefined]>([
		["410 alone", 410, {}, dead, gone],
		["410 and disable", 410, { "webhook-delivery": "disable" }, dead, gone],
		["410 and Retry-After", 410, { "retry-after": "60" }, dead, gone],
		["abort-message on 400", 400, { "webhook-delivery": "abort-message" }, dead, undefined],
		["abort-message on 302", 302, { "webhook-delivery": "abort-message" }, dead, undefined],
		["abort-message on 503", 503, { "webhook-delivery": "Abort-Message" }, dead, undefined],
		["abort-message on 200", 200, { "webhook-delivery": "abort-message" }, delivered, undefined],
		[
			"abort-message and a pause",
			429,
			{ "webhook-delivery": "abort-message", "retry-after": "60" },
			dead,
			{ action: "pause", forMs: 60_000 },
		],
		["disable on 200", 200, { "webhook-delivery": "disable" }, delivered, asked],
		["disable on 500", 500, { "webhook-delivery": "disable" }, dead, asked],
		["both", 500, { "webhook-delivery": "abort-message, disable" }, dead, asked],
		["something else", 500, { "webhook-delivery": "disabled, abort" }, waiting, undefined],
		["an empty header", 500, { "webhook-delivery": "" }, waiting, undefined],
	])("%s", ([, code, headers, to, endpoint], { expect }) => {
		const outcome = decide(status(code, headers));
		expect([outcome.to, outcome.endpoint]).toEqual([to, endpoint]);
	});

	test.for<[string, number | undefined]>([
		["0", undefined],
		["1", 1_000],
		["120", 120_000],
		[" 120 ", 120_000],
		["00120", 120_000],
		["1000000000", dayMs],
		["9".repeat(400), dayMs],
		["Fri, 02 Jan 2026 03:05:10 GMT", 60_000],
		["Friday, 02-Jan-26 03:05:10 GMT", 60_000],
		["Fri Jan  2 03:05:10 2026", 60_000],
		["Fri, 02 Jan 2026 03:04:10 GMT", undefined],
		["Thu, 01 Jan 1970 00:00:00 GMT", undefined],
		["Fri, 31 Dec 9999 23:59:59 GMT", dayMs],
		["Fri, 02 Foo 2026 03:05:10 GMT", undefined],
		["Fri, 02 Jan 2026 99:99:99 GMT", undefined],
		["2026-01-02T03:05:10Z", undefined],
		["-5", undefined],
		["+5", undefined],
		["5.5", undefined],
		["1e9", undefined],
		["0x10", undefined],
		["5s", undefined],
		["5, 10", undefined],
		["soon", undefined],
		["NaN", undefined],
		["Infinity", undefined],
		["", undefined],
	])("Retry-After %j", ([value, forMs], { expect }) => {
		for (const code of [429, 503]) {
			const { to, endpoint } = decide(status(code, { "retry-after": value }));
			expect(endpoint, String(code)).toEqual(forMs && { action: "pause", forMs });
			expect(to).toEqual({ state: "waiting", retryInMs: Math.max(5_000, forMs ?? 0) });
		}
		for (const code of [200, 302, 400, 408, 500, 504]) {
			expect(decide(status(code, { "retry-after": value })).endpoint, String(code)).toBeUndefined();
		}
	});

	test("does not bring an attempt forward, and gives none back", () => {
		expect(decide(status(429, { "retry-after": "60" }), { number: 2 }).to).toEqual({
			state: "waiting",
			retryInMs: 300_000,
		});
		const last = decide(status(503, { "retry-after": "60" }), { number: 4 });
		expect([last.to, last.endpoint]).toEqual([dead, { action: "pause", forMs: 60_000 }]);
	});

	test("is capped as the policy says", () => {
		const policy = { maxRetryAfterMs: 90_000 };
		expect(decide(status(429, { "retry-after": "3600" }), { policy })).toMatchObject({
			to: { retryInMs: 90_000 },
			endpoint: { forMs: 90_000 },
		});
	});
});

describe("decideOutcome() - no response", () => {
	test.for([
		["ECONNREFUSED", "connect"],
		["ECONNRESET", "reset"],
		["ENOTFOUND", "dns"],
		["EAI_AGAIN", "dns"],
		["UND_ERR_SOCKET", "reset"],
		["UND_ERR_HEADERS_OVERFLOW", "protocol"],
		["UND_ERR_CONNECT_TIMEOUT", "timeout"],
		["DEPTH_ZERO_SELF_SIGNED_CERT", "tls"],
		["ERR_CALLHOOK_PROXY", "proxy"],
		["ERR_CALLHOOK_STOPPED", "stopped"],
		["E_UNHEARD_OF", "other"],
	] as const)("with %s is tried again", ([code, errorClass], { expect }) => {
		const { to, attempt, endpoint } = decide(failure(code), { policy: { clientErrors: "final" } });
		expect([to, endpoint]).toEqual([waiting, undefined]);
		expect(attempt).toMatchObject({ outcome: "failed", errorCode: code, errorClass });
	});

	test("because the guard refused is final at once", () => {
		for (const number of [1, 2, 9]) {
			const { to, attempt } = decide(refusal("private"), { number });
			expect(to).toEqual(dead);
			const errorCode = "ERR_CALLHOOK_URL_REFUSED";
			expect(attempt).toMatchObject({ number, outcome: "failed", errorCode, errorClass: "refused" });
		}
	});

	test("is final for a refusal only, not for what merely carries its code", () => {
		expect(decide(failure("ERR_CALLHOOK_URL_REFUSED")).to).toEqual(waiting);
	});

	test.for([
		["payload", dead],
		["transform", waiting],
		["filter", waiting],
	] as const)("because nothing could be sent: %s", ([errorClass, to], { expect }) => {
		const outcome = decide({ kind: "error", error: new TypeError("no"), errorClass });
		expect([outcome.to, outcome.attempt.errorClass, outcome.attempt.errorCode]).toEqual([
			...[to, errorClass],
			"TypeError",
		]);
	});

	test("for an error without a code is told by its name", () => {
		const error = Object.assign(new Error("bad response"), { name: "HTTPParserError" });
		expect(decide({ kind: "error", error }).attempt).toMatchObject({
			errorCode: "HTTPParserError",
			errorClass: "protocol",
		});
	});
});

describe("decideOutcome() - the schedule", () => {
	test.for([
		[1, { state: "waiting", retryInMs: 5_000 }],
		[2, { state: "waiting", retryInMs: 300_000 }],
		[3, { state: "waiting", retryInMs: 0 }],
		[4, dead],
		[5, dead],
	] as const)("after attempt %i", ([number, to], { expect }) => {
		expect(decide(status(503), { number }).to).toEqual(to);
		expect(decide(failure("ECONNRESET"), { number }).to).toEqual(to);
	});

	test("without delays has one attempt", () => {
		expect(decide(status(503), { policy: { schedule: { delaysMs: [], jitter: 0.2 } } }).to).toEqual(dead);
	});

	test("is stretched by the jitter, and never shortened", () => {
		for (const [random, jitter, retryInMs] of [
			[0, 0.2, 5_000],
			[0.5, 0.2, 5_500],
			[0.999, 0.2, 5_999],
			[0.5, 1, 7_500],
			[0.999, 0, 5_000],
		] as const) {
			const { to } = decide(status(503), { random, policy: { schedule: { ...schedule, jitter } } });
			expect(to, `${random} ${jitter}`).toEqual({
				state: "waiting",
				retryInMs: expect.closeTo(retryInMs, 6),
			});
		}
	});

	test("holds for every answer: never earlier than it or Retry-After says, never later than both with the cap", () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 300, max: 999 }).filter((code) => code !== 410),
				fc.integer({ min: 1, max: 3 }),
				fc.double({ min: 0, max: 0.999, noNaN: true }),
				fc.oneof(fc.nat().map(String), fc.string()),
				(code, number, random, retryAfter) => {
					const { to } = decide(status(code, { "retry-after": retryAfter }), { number, random });
					const delayMs = schedule.delaysMs[number - 1] as number;
					if (to.state !== "waiting") throw new Error("expected another attempt");
					expect(to.retryInMs).toBeGreaterThanOrEqual(delayMs);
					expect(to.retryInMs).toBeLessThanOrEqual(Math.max(delayMs * 1.2, dayMs));
				},
			),
		);
	});
});

describe("decideOutcome() - the attempt", () => {
	const facts = { number: 2, startedAt: "2026-01-02T03:04:05.678Z", durationMs: 12.5 };

	test("tells status, headers and body of a response, and no error", () => {
		const headers = { server: "x", "set-cookie": "session=secret" };
		expect(decide(status(503, headers), { number: 2 }).attempt).toStrictEqual({
			...facts,
			outcome: "failed",
			status: 503,
			responseHeaders: { server: "x" },
			responseBody: "what it said",
		});
	});

	test("tells code and class of an error, and nothing else of it", () => {
		expect(decide(failure("ECONNRESET"), { number: 2 }).attempt).toStrictEqual({
			...facts,
			outcome: "failed",
			errorCode: "ECONNRESET",
			errorClass: "reset",
		});
	});

	test("tells what was sent, where that is known", () => {
		const requestHeaders = { "webhook-id": "evt_1" };
		expect(decide(status(200), { requestHeaders }).attempt.requestHeaders).toEqual({ "webhook-id": "evt_1" });
	});
});
