import { describe, expect, test } from "vitest";
import { CallhookError, isCallhookError } from "../../errors.ts";
import { isConflict, toStoreError } from "./postgres-error.ts";

function failure(code: string | undefined, message = "it failed"): Error {
	return Object.assign(new Error(message), { code });
}

function reasonOf(error: unknown): string | undefined {
	const shown = toStoreError(error);
	return isCallhookError(shown, "ERR_CALLHOOK_STORE_UNAVAILABLE") ? shown.details.reason : undefined;
}

describe("toStoreError()", () => {
	test.each([
		["ECONNREFUSED", "unreachable"],
		["ECONNRESET", "unreachable"],
		["ENOTFOUND", "unreachable"],
		["EAI_AGAIN", "unreachable"],
		["EPIPE", "unreachable"],
		["08006", "unreachable"],
		["57P01", "unreachable"],
		["57P03", "unreachable"],
		["53300", "busy"],
		["55P03", "busy"],
		["57014", "busy"],
		["40P01", "busy"],
		["53100", "full"],
		["25006", "read-only"],
		["58030", "failing"],
	])("%s is %s", (code, reason) => {
		expect(reasonOf(failure(code))).toBe(reason);
	});

	test("knows what pg says of a connection that was lost, without a code", () => {
		for (const message of [
			"Connection terminated unexpectedly",
			"Connection terminated due to connection timeout",
			"timeout exceeded when trying to connect",
			"Client has encountered a connection error and is not queryable",
		]) {
			expect(reasonOf(new Error(message))).toBe("unreachable");
		}
	});

	test("leaves alone what is no failure of the server", () => {
		const errors = [
			failure("42P01"),
			failure("23505"),
			failure("ERR_INVALID_ARG_TYPE"),
			new TypeError("x"),
			"x",
		];
		for (const error of errors) expect(toStoreError(error)).toBe(error);
		const own = new CallhookError("ERR_CALLHOOK_CLOSED", "x", { what: "store" });
		expect(toStoreError(own)).toBe(own);
	});

	test("a damaged table is a damaged store", () => {
		expect(isCallhookError(toStoreError(failure("XX001")), "ERR_CALLHOOK_STORE_DAMAGED")).toBe(true);
	});

	test("keeps the error as the cause and passwords out of the message", () => {
		const error = failure("ECONNREFUSED", "no answer from postgres://joe:s3cret@db/x password=s3cret");
		const shown = toStoreError(error) as Error;
		expect(shown.cause).toBe(error);
		expect(shown.message).toContain("ECONNREFUSED");
		expect(shown.message).not.toContain("s3cret");
	});

	test("isConflict() - of two transactions that got in each other's way", () => {
		expect([failure("40P01"), failure("40001")].every(isConflict)).toBe(true);
		expect([failure("57P01"), undefined, null, "40P01"].some(isConflict)).toBe(false);
	});
});
