import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { CallhookError, isCallhookError } from "./errors.ts";

function create(cause?: unknown) {
	return new CallhookError("ERR_CALLHOOK_TIMEOUT", "too slow", { timeoutMs: 5 }, { cause });
}

describe("CallhookError", () => {
	test("has a code, details, a message, a name and a cause", () => {
		const cause = new Error("why");
		const error = create(cause);
		expect(error).toBeInstanceOf(Error);
		expect(error.code).toBe("ERR_CALLHOOK_TIMEOUT");
		expect(error.details).toEqual({ timeoutMs: 5 });
		expect(error.message).toBe("too slow");
		expect(error.name).toBe("CallhookError");
		expect(error.cause).toBe(cause);
		expect(String(error)).toBe("CallhookError: too slow");
		expect(error.stack).toContain("CallhookError: too slow");
	});

	test("prints its code and details, and neither name nor brand beside them", () => {
		expect(Object.keys(create()).sort()).toEqual(["code", "details"]);
		expect(inspect(create())).toContain("code: 'ERR_CALLHOOK_TIMEOUT'");
		expect(inspect(create())).not.toContain("Symbol");
	});
});

describe("isCallhookError()", () => {
	test("knows a CallhookError, of any code or of the given one", () => {
		expect(isCallhookError(create())).toBe(true);
		expect(isCallhookError(create(), "ERR_CALLHOOK_TIMEOUT")).toBe(true);
		expect(isCallhookError(create(), "ERR_CALLHOOK_CLOSED")).toBe(false);
	});

	test("knows one of another copy of the package, where instanceof fails", async () => {
		const url = new URL("./errors.ts?another-copy", import.meta.url).href;
		const copy = (await import(/* @vite-ignore */ url)) as typeof import("./errors.ts");
		const error = new copy.CallhookError("ERR_CALLHOOK_CLOSED", "closed", { what: "bus" });
		expect(error).not.toBeInstanceOf(CallhookError);
		expect(isCallhookError(error, "ERR_CALLHOOK_CLOSED")).toBe(true);
	});

	test("takes nothing else for one", () => {
		const lookalike = Object.assign(new Error("x"), { code: "ERR_CALLHOOK_TIMEOUT", name: "CallhookError" });
		for (const value of [undefined, null, "ERR_CALLHOOK_TIMEOUT", 0, {}, () => undefined, lookalike]) {
			expect(isCallhookError(value)).toBe(false);
		}
	});
});
