import { describe, expect, test } from "vitest";
import { thrownBy } from "../../test/support/thrown.ts";
import { isCallhookError } from "../errors.ts";
import { checkName, createPattern, isEventType } from "./pattern.ts";

describe("createPattern() - matches", () => {
	const cases: [pattern: string, yes: string[], no: string[]][] = [
		["order.paid", ["order.paid"], ["order", "order.paid.late", "order.paid2", "Order.paid", "order_paid"]],
		["*", ["order", "a-b_c"], ["order.paid"]],
		[
			"order.*",
			["order.paid", "order.x"],
			["order", "Order.paid", "order.line.added", "orders.paid", "user.paid"],
		],
		["*.paid", ["order.paid"], ["paid", "shop.order.paid", "order.paid.late"]],
		["*.*", ["a.b"], ["a", "a.b.c"]],
		["order.*.added", ["order.line.added"], ["order.added", "order.line.item.added", "order.line.removed"]],
		["**", ["order", "order.paid", "a.b.c.d"], []],
		["order.**", ["order", "order.paid", "order.line.added"], ["orders", "orders.paid", "user.order"]],
		["**.paid", ["paid", "order.paid", "shop.order.paid"], ["paid.late", "unpaid", "order.unpaid"]],
		["a.**.z", ["a.z", "a.b.z", "a.b.c.z", "a.z.z"], ["a", "z", "a.b", "a.z.b", "b.z"]],
		["**.b.**", ["b", "a.b", "b.c", "a.b.c", "b.b.b"], ["a", "a.c", "a.bb.c"]],
		["**.**", ["a", "a.b"], []],
		["a.**.**.b", ["a.b", "a.x.b"], ["a", "b"]],
		["*.**", ["a", "a.b", "a.b.c"], []],
		["**.*", ["a", "a.b", "a.b.c"], []],
		["**.*.*", ["a.b", "a.b.c"], ["a"]],
		["a.**.b.**.c", ["a.b.c", "a.x.b.y.c", "a.b.b.c.c"], ["a.c", "a.b", "a.c.b"]],
		["**.a.*.b", ["a.x.b", "a.a.x.b", "a.x.a.y.b"], ["a.b", "a.x.x.b", "a.x.b.b.c"]],
		["order.-_9", ["order.-_9"], ["order.paid"]],
	];
	test.each(cases)("%s", (text, yes, no) => {
		const pattern = createPattern(text, "test");
		expect(yes.filter((type) => !pattern.matches(type))).toEqual([]);
		expect(no.filter((type) => pattern.matches(type))).toEqual([]);
		expect(pattern.text).toBe(text);
		expect(pattern.isExact).toBe(!text.includes("*"));
	});

	test("many `**` against a long type in at most pattern × type steps", () => {
		const pattern = createPattern(`${"**.a.".repeat(20)}b`, "test");
		const type = Array<string>(200).fill("a");
		// A matcher that goes back to every `**` would read some 10^19 segments.
		let readsLeft = 41 * 200 * 3;
		const counted = new Proxy(type, {
			get(target, name) {
				if (name !== "length" && --readsLeft < 0) throw new Error("too many steps");
				return Reflect.get(target, name) as unknown;
			},
		});
		expect(pattern.matches({ split: () => counted } as never)).toBe(false);
		expect(pattern.matches(`${type.join(".")}.b`)).toBe(true);
	});
});

describe("createPattern() - refuses", () => {
	test.each([
		["order.pa*", "a wildcard must be a whole segment, as in `order.*`"],
		["*order", "a wildcard must be a whole segment, as in `order.*`"],
		["order.***", "a wildcard must be a whole segment, as in `order.*`"],
		["order..paid", "segments are letters, digits, `_` and `-`, separated by single dots"],
		[".", "segments are letters, digits, `_` and `-`, separated by single dots"],
		["order.", "segments are letters, digits, `_` and `-`, separated by single dots"],
		["order paid", "segments are letters, digits, `_` and `-`, separated by single dots"],
		["order.paid\n", "segments are letters, digits, `_` and `-`, separated by single dots"],
		["ördér", "segments are letters, digits, `_` and `-`, separated by single dots"],
		["order.?", "segments are letters, digits, `_` and `-`, separated by single dots"],
	])("%j", (pattern, reason) => {
		const error = thrownBy(() => createPattern(pattern, "forward"));
		if (!isCallhookError(error, "ERR_CALLHOOK_INVALID_PATTERN")) expect.fail(String(error));
		expect(error.details).toEqual({ pattern, reason });
		expect(error.message).toBe(`forward got pattern "${pattern}", which cannot be used: ${reason}`);
	});

	test.each([[undefined], [null], [""], [7], [["order.*"]]])("%j, which is no name", (pattern) => {
		const error = thrownBy(() => createPattern(pattern as never, "forward"));
		if (!isCallhookError(error, "ERR_CALLHOOK_MISSING_NAME")) expect.fail(String(error));
		expect(error.details).toEqual({ what: "event type", where: "forward" });
		expect(error.message).toContain("event type of forward must be a non-empty string, but got ");
	});
});

describe("checkName()", () => {
	test("names what is missing, where, and what came instead", () => {
		expect(() => checkName("worker", "handle()", "handler name")).not.toThrow();
		expect(() => checkName("", "handle()", "handler name")).toThrow(
			'The handler name of handle() must be a non-empty string, but got ""',
		);
	});
});

describe("isEventType()", () => {
	test("takes dotted segments of letters, digits, _ and -", () => {
		for (const type of ["a", "order.paid", "A1._-.9", "github.pull_request.opened"]) {
			expect(isEventType(type), type).toBe(true);
		}
		for (const type of ["", ".", "a.", ".a", "a..b", "a b", "a.*", "**", "ä", "a/b", "a.b\n", "a:b"]) {
			expect(isEventType(type), type).toBe(false);
		}
	});
});
