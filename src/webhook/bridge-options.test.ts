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
		expect(read({ forward })).toStrictEqual({
			forward,
			retry: {
				delaysMs: [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 10 * hour],
				jitter: 0.2,
			},
			timeoutMs: 15_000,
			concurrency: 64,
			userAgent: "callhook",
			network: undefined,
		});
	});

	test("stand for what is undefined, also within retry", () => {
		const names = ["retry", "timeoutMs", "concurrency", "userAgent", "network"];
		const nothing = Object.fromEntries(names.map((name) => [name, undefined]));
		expect(read({ forward, ...nothing })).toEqual(read({ forward }));
		const { delaysMs, jitter } = read({ forward }).retry;
		expect(read({ forward, retry: {} }).retry).toEqual({ delaysMs, jitter });
		expect(read({ forward, retry: { jitter: 0 } }).retry).toEqual({ delaysMs, jitter: 0 });
		expect(read({ forward, retry: { delaysMs: [1] } }).retry).toEqual({ delaysMs: [1], jitter });
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
		expect(read(options)).toStrictEqual(options);
	});

	test("lists by value, so that changing them later changes nothing", () => {
		const options = { forward: ["order.*"], retry: { delaysMs: [1] } };
		const settings = read(options);
		options.forward.push("**");
		options.retry.delaysMs.push(2);
		expect([settings.forward, settings.retry.delaysMs]).toEqual([["order.*"], [1]]);
	});

	test("a schedule without retries", () => {
		expect(read({ forward, retry: { delaysMs: [] } }).retry.delaysMs).toEqual([]);
	});
});

const wrongNumbers = [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", null, {}, 1n];

/** Values that cannot work, by the option that the error names. */
const wrong: readonly (readonly [option: string, options: readonly unknown[]])[] = [
	["createWebhookBridge", [null, [], "order.*", 5]],
	["createWebhookBridge.forwards", [{ forward, forwards: [] }]],
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
