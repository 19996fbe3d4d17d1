import { describe, expect, test } from "vitest";
import { codeOf, optionOf } from "../../test/support/thrown.ts";
import { type BridgeOptions, readBridgeOptions } from "./bridge-options.ts";

const forward = ["order.*"];

function read(options: unknown) {
	return readBridgeOptions(options as BridgeOptions);
}

describe("readBridgeOptions() - defaults", () => {
	test("come from the schedule of Svix", () => {
		const minute = 60_000;
		const hour = 60 * minute;
		const { outcomes, box: _, ...rest } = read({ forward });
		expect(outcomes).toStrictEqual({
			schedule: {
				delaysMs: [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour],
				jitter: 0.2,
			},
			clientErrors: "retry",
			maxRetryAfterMs: 24 * hour,
		});
		expect(rest).toStrictEqual({
			...{ forward, deliver: true, timeoutMs: 15_000, concurrency: 64, maxPayloadBytes: 1_048_576 },
			health: { failures: 5, pauseMs: 30_000, maxPauseMs: 600_000, disableAfterMs: 120 * hour },
			tenantFrom: undefined,
			...{ filters: new Map(), transforms: new Map(), operatorEvents: false },
			...{ origin: undefined, userAgent: "callhook", network: undefined },
		});
	});

	test("stand for what is undefined, also within retry and breaker", () => {
		const { box: _, ...expected } = read({ forward });
		const names = [
			...Object.keys(expected),
			"retry",
			"clientErrors",
			"maxRetryAfterMs",
			"breaker",
			"secretKey",
		];
		const known = names.filter((name) => !["forward", "outcomes", "health"].includes(name));
		const nothing = Object.fromEntries(known.map((name) => [name, undefined]));
		expect(read({ forward, disableAfterMs: undefined, ...nothing })).toMatchObject(expected);
		const { delaysMs, jitter } = expected.outcomes.schedule;
		const scheduleOf = (retry: unknown) => read({ forward, retry }).outcomes.schedule;
		expect(scheduleOf({})).toEqual({ delaysMs, jitter });
		expect(scheduleOf({ jitter: 0 })).toEqual({ delaysMs, jitter: 0 });
		expect(scheduleOf({ delaysMs: [1] })).toEqual({ delaysMs: [1], jitter });
		expect(read({ forward, breaker: { pauseMs: 1 } }).health).toEqual({ ...expected.health, pauseMs: 1 });
		expect(read({ forward, breaker: { pauseMs: 700_000 } }).health.maxPauseMs).toBe(700_000);
		expect(read({ forward, breaker: false, disableAfterMs: Number.POSITIVE_INFINITY }).health).toEqual({
			...{ failures: Number.POSITIVE_INFINITY, pauseMs: 0, maxPauseMs: 0 },
			disableAfterMs: Number.POSITIVE_INFINITY,
		});
	});
});

describe("readBridgeOptions() - takes", () => {
	test("every option as given", () => {
		const options = {
			forward: ["order.*", "**", "user.created"],
			retry: { delaysMs: [0, 0.5, 2_147_483_647], jitter: 1 },
			timeoutMs: 1,
			concurrency: 1,
			userAgent: "Shop/1.0 (+https://shop.example)",
			network: { allowHttp: true },
		};
		const { outcomes, ...settings } = read(options);
		const { retry, ...given } = options;
		expect(settings).toMatchObject(given);
		expect(outcomes.schedule).toStrictEqual(retry);
	});

	test("lists by value, so that changing them later changes nothing", () => {
		const options = { forward: ["order.*"], retry: { delaysMs: [1] } };
		const settings = read(options);
		options.forward.push("**");
		options.retry.delaysMs.push(2);
		expect([settings.forward, settings.outcomes.schedule.delaysMs]).toEqual([["order.*"], [1]]);
	});

	test("a schedule without retries", () => {
		expect(read({ forward, retry: { delaysMs: [] } }).outcomes.schedule.delaysMs).toEqual([]);
	});
});

const wrongNumbers = [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", null, {}, 1n];

/** Values that cannot work, by the option that the error names. */
const wrong: readonly (readonly [option: string, options: readonly unknown[]])[] = [
	["createWebhookBridge", [null, [], "order.*", 5]],
	["createWebhookBridge.forwards", [{ forward, forwards: [] }]],
	["deliver", ["yes", 1, null].map((deliver) => ({ forward, deliver }))],
	["operatorEvents", ["yes", 1, null].map((operatorEvents) => ({ forward, operatorEvents }))],
	["clientErrors", ["", "never", null, false].map((clientErrors) => ({ forward, clientErrors }))],
	["maxRetryAfterMs", wrongNumbers.map((maxRetryAfterMs) => ({ forward, maxRetryAfterMs }))],
	["maxPayloadBytes", [0, ...wrongNumbers].map((maxPayloadBytes) => ({ forward, maxPayloadBytes }))],
	["disableAfterMs", [0, -1, Number.NaN, "1", null].map((disableAfterMs) => ({ forward, disableAfterMs }))],
	["breaker", [null, true, 5, []].map((breaker) => ({ forward, breaker }))],
	["breaker.failures", [0, ...wrongNumbers].map((failures) => ({ forward, breaker: { failures } }))],
	["breaker.pauseMs", [0, ...wrongNumbers].map((pauseMs) => ({ forward, breaker: { pauseMs } }))],
	["breaker.maxPauseMs", [0, 29_999].map((maxPauseMs) => ({ forward, breaker: { maxPauseMs } }))],
	["filters", [null, [], "f"].map((filters) => ({ forward, filters }))],
	["filters.big", [null, "f", {}].map((big) => ({ forward, filters: { big } }))],
	["transforms.big", [null, "f", {}].map((big) => ({ forward, transforms: { big } }))],
	["secretKey[0]", ["", "short", "x".repeat(64), 5, [""]].map((secretKey) => ({ forward, secretKey }))],
	["secretKey[1]", [{ forward, secretKey: ["a".repeat(64), "short"] }]],
	[
		"tenantFrom",
		["", "tenant", "metadata", "data..a", 5, null].map((tenantFrom) => ({ forward, tenantFrom })),
	],
	["origin", ["", "https://a.example", "a b", ".a", 5].map((origin) => ({ forward, origin }))],
	["forward", [undefined, {}, ...[undefined, null, [], "order.*", {}].map((value) => ({ forward: value }))]],
	["retry", [null, [], [5_000], 3].map((retry) => ({ forward, retry }))],
	["retry.attempts", [{ forward, retry: { attempts: 3 } }]],
	["retry.delaysMs", [null, 5_000, "5s", {}].map((delaysMs) => ({ forward, retry: { delaysMs } }))],
	[
		"retry.delaysMs[1]",
		[...wrongNumbers, undefined, 2_147_483_648].map((delay) => ({
			forward,
			retry: { delaysMs: [0, delay] },
		})),
	],
	["retry.jitter", [...wrongNumbers, 1.1].map((jitter) => ({ forward, retry: { jitter } }))],
	["timeoutMs", [...wrongNumbers, 0, 2_147_483_648].map((timeoutMs) => ({ forward, timeoutMs }))],
	["concurrency", [...wrongNumbers, 0, 1.5].map((concurrency) => ({ forward, concurrency }))],
	["userAgent", ["", null, 5, "a\r\nb", "grüße", "a\u007f"].map((userAgent) => ({ forward, userAgent }))],
];

describe("readBridgeOptions() - refuses", () => {
	test.for(wrong)("a wrong %s", ([option, cases], { expect }) => {
		expect.assertions(cases.length);
		for (const options of cases) expect(optionOf(() => read(options))).toBe(option);
	});

	test("patterns that are malformed or no text", () => {
		for (const pattern of ["order.", "order*", "order paid", "a..b"]) {
			expect(
				codeOf(() => read({ forward: ["order.*", pattern] })),
				pattern,
			).toBe("ERR_CALLHOOK_INVALID_PATTERN");
		}
		for (const pattern of ["", undefined, null, 5]) {
			expect(
				codeOf(() => read({ forward: [pattern] })),
				String(pattern),
			).toBe("ERR_CALLHOOK_MISSING_NAME");
		}
	});
});
