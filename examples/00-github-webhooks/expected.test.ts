import { describe, expect, it } from "vitest";
import { disagreements, expectedFrom, isForwarded, matches } from "./expected.ts";
import { loadPayloads } from "./payloads.ts";
import type { Observations } from "./report.ts";

const payloads = loadPayloads();
const expected = expectedFrom(payloads, 2);

const agreeing: Observations = {
	counts: expected.counts,
	tally: expected.tally,
	handler: { handled: expected.counts.handled, maxRunning: 4, overlaps: 0, outOfOrder: 0 },
	receiver: {
		requests: expected.counts.attempts,
		rejected: 0,
		refused: expected.counts.retried,
		verified: expected.counts.verified,
		duplicates: 0,
		messages: expected.counts.forwarded,
		verifiedByType: expected.forwardedByType,
	},
	errors: [],
};

describe("what the input demands", () => {
	it("counts the payloads once", () => {
		// 7 pushes, 29 issues, 29 pull requests and 13 releases; 329 + 7 + 29 + 2 callbacks.
		expect(expectedFrom(payloads, 1).counts).toEqual({
			emitted: 329,
			callbacks: 367,
			handled: 329,
			forwarded: 78,
			attempts: 85,
			retried: 7,
			delivered: 78,
			verified: 78,
		});
	});

	it("counts every tenth message over all rounds together", () => {
		expect(expectedFrom(payloads, 100).counts).toMatchObject({
			emitted: 32_900,
			forwarded: 7_800,
			retried: 780,
			attempts: 8_580,
		});
	});

	it("demands nothing when nothing was emitted", () => {
		const { counts, tally } = expectedFrom(payloads, 0);
		expect(new Set(Object.values(counts))).toEqual(new Set([0]));
		expect(tally).toEqual({});
	});

	it("takes `*` for one segment and `**` for any number", () => {
		expect(matches("github.issues.*", "github.issues.opened")).toBe(true);
		expect(matches("github.issues.*", "github.issues")).toBe(false);
		expect(matches("github.*", "github.issues.opened")).toBe(false);
		expect(matches("github.**", "github.issues.opened")).toBe(true);
		expect(matches("github.**", "github.push")).toBe(true);
		expect(matches("github.push", "githubXpush")).toBe(false);
		expect(isForwarded("github.pull_request.opened")).toBe(true);
		expect(isForwarded("github.pull_request_review.submitted")).toBe(false);
		expect(isForwarded("github.issue_comment.created")).toBe(false);
	});
});

describe("the comparison", () => {
	it("finds nothing when everything agrees", () => {
		expect(disagreements(expected, agreeing)).toEqual([]);
	});

	it("names each count that does not agree", () => {
		for (const name of Object.keys(expected.counts) as (keyof typeof expected.counts)[]) {
			const wanted = expected.counts[name];
			const counts = { ...expected.counts, [name]: wanted + 1 };
			expect(disagreements(expected, { ...agreeing, counts })).toEqual([
				`${name}: the input demands ${wanted}, counted ${wanted + 1}.`,
			]);
		}
	});

	it("notices what the totals hide", () => {
		const swapped = { ...expected.tally, "github.push": 13, "github.fork": 7 };
		expect(disagreements(expected, { ...agreeing, tally: swapped })).toEqual([
			"tally of github.fork: the input demands 6, counted 7.",
			"tally of github.push: the input demands 14, counted 13.",
		]);
		const leaked = { ...expected.forwardedByType, "github.ping": 1 };
		const receiver = { ...agreeing.receiver, rejected: 1, duplicates: 2, verifiedByType: leaked };
		expect(disagreements(expected, { ...agreeing, receiver })).toEqual([
			"verified github.ping: the input demands 0, counted 1.",
			"requests it rejected because of their signature: the input demands 0, counted 1.",
			"messages it got again after accepting them: the input demands 0, counted 2.",
		]);
		const handler = { ...agreeing.handler, maxRunning: 3, overlaps: 1, outOfOrder: 2 };
		expect(disagreements(expected, { ...agreeing, handler })).toHaveLength(3);
		expect(disagreements(expected, { ...agreeing, errors: ["Error: no"] })).toEqual([
			"Errors the bus reported: 1, the first: Error: no",
		]);
	});
});
