import { describe, expect, test } from "vitest";
import { CallhookError } from "../errors.ts";
import { type AttemptFacts, decideOutcome, type RetrySchedule } from "./outcome.ts";
import type { SendResult } from "./sender.ts";

const schedule: RetrySchedule = { delaysMs: [5_000, 300_000, 0], jitter: 0.2 };
const startedAtMs = Date.parse("2026-01-02T03:04:05.678Z");

function decide(result: SendResult, { number = 1, random = 0, retry = schedule } = {}) {
	const facts: AttemptFacts = { number, startedAtMs, durationMs: 12.5, result };
	return decideOutcome(facts, retry, random);
}

function status(code: number): SendResult {
	return { kind: "response", status: code, body: "what it said" };
}

function failure(code: string): SendResult {
	return { kind: "error", error: Object.assign(new Error("secret detail"), { code }) };
}

function refusal(reason: string): SendResult {
	const details = { host: "hook.example", reason };
	return { kind: "error", error: new CallhookError("ERR_CALLHOOK_URL_REFUSED", "refused", details) };
}

const waiting = { state: "waiting", retryInMs: 5_000 };

describe("decideOutcome() - a response", () => {
	test("with any status of 200 to 299 delivers", () => {
		for (let code = 200; code <= 299; code++) {
			const { to, attempt } = decide(status(code));
			expect([to, attempt.outcome, attempt.status], String(code)).toEqual([
				{ state: "delivered" },
				"delivered",
				code,
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
		for (let code = first; code <= last; code++) {
			const { to, attempt } = decide(status(code));
			expect([to, attempt.outcome, attempt.status], String(code)).toEqual([waiting, "failed", code]);
		}
	});

	test("delivers on the last attempt too", () => {
		expect(decide(status(204), { number: 4 }).to).toEqual({ state: "delivered" });
	});
});

describe("decideOutcome() - no response", () => {
	test.for([
		"ECONNREFUSED",
		"ECONNRESET",
		"ENOTFOUND",
		"EAI_AGAIN",
		"UND_ERR_SOCKET",
		"UND_ERR_HEADERS_OVERFLOW",
		"UND_ERR_CONNECT_TIMEOUT",
		"DEPTH_ZERO_SELF_SIGNED_CERT",
	])("with %s is tried again", (code, { expect }) => {
		expect(decide(failure(code)).to).toEqual(waiting);
		expect(decide(failure(code)).attempt).toMatchObject({ outcome: "failed", errorCode: code });
	});

	test("in time is tried again", () => {
		const error = new CallhookError("ERR_CALLHOOK_TIMEOUT", "too late", { timeoutMs: 1 });
		const { to, attempt } = decide({ kind: "error", error });
		expect(to).toEqual(waiting);
		expect(attempt).toMatchObject({ outcome: "failed", errorCode: "ERR_CALLHOOK_TIMEOUT" });
	});

	test("because the guard refused is final at once", () => {
		for (const number of [1, 2, 9]) {
			const { to, attempt } = decide(refusal("private"), { number });
			expect(to).toEqual({ state: "dead" });
			expect(attempt).toMatchObject({ number, outcome: "failed", errorCode: "ERR_CALLHOOK_URL_REFUSED" });
		}
	});

	test("is final for a refusal only, not for what merely carries its code", () => {
		expect(decide(failure("ERR_CALLHOOK_URL_REFUSED")).to).toEqual(waiting);
	});

	test("for an error without a code is told by its name", () => {
		const error = Object.assign(new Error("bad response"), { name: "HTTPParserError" });
		expect(decide({ kind: "error", error }).attempt.errorCode).toBe("HTTPParserError");
	});
});

describe("decideOutcome() - the schedule", () => {
	test.for([
		[1, { state: "waiting", retryInMs: 5_000 }],
		[2, { state: "waiting", retryInMs: 300_000 }],
		[3, { state: "waiting", retryInMs: 0 }],
		[4, { state: "dead" }],
		[5, { state: "dead" }],
	] as const)("after attempt %i", ([number, to], { expect }) => {
		expect(decide(status(503), { number }).to).toEqual(to);
		expect(decide(failure("ECONNRESET"), { number }).to).toEqual(to);
	});

	test("without delays has one attempt", () => {
		expect(decide(status(503), { retry: { delaysMs: [], jitter: 0.2 } }).to).toEqual({ state: "dead" });
	});

	test("is stretched by the jitter, and never shortened", () => {
		for (const [random, jitter, retryInMs] of [
			[0, 0.2, 5_000],
			[0.5, 0.2, 5_500],
			[0.999, 0.2, 5_999],
			[0.5, 1, 7_500],
			[0.999, 0, 5_000],
		] as const) {
			const { to } = decide(status(503), { random, retry: { ...schedule, jitter } });
			expect(to, `${random} ${jitter}`).toEqual({
				state: "waiting",
				retryInMs: expect.closeTo(retryInMs, 6),
			});
		}
	});
});

describe("decideOutcome() - the attempt", () => {
	const facts = { number: 2, startedAt: "2026-01-02T03:04:05.678Z", durationMs: 12.5 };

	test("tells status and body of a response, and no error", () => {
		expect(decide(status(503), { number: 2 }).attempt).toStrictEqual({
			...facts,
			outcome: "failed",
			status: 503,
			responseBody: "what it said",
		});
	});

	test("tells the code of an error, and nothing else of it", () => {
		expect(decide(failure("ECONNRESET"), { number: 2 }).attempt).toStrictEqual({
			...facts,
			outcome: "failed",
			errorCode: "ECONNRESET",
		});
	});
});
