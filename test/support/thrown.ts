import { type CallhookError, isCallhookError } from "../../src/errors.ts";

/** The CallhookError that a function throws; anything else is the test's failure. */
export function thrownBy(run: () => unknown): CallhookError {
	try {
		run();
	} catch (error) {
		if (isCallhookError(error)) return error;
		throw error;
	}
	throw new Error("expected a CallhookError, but nothing was thrown");
}

/** The CallhookError that a promise rejects with; anything else is the test's failure. */
export async function rejectionOf(promise: Promise<unknown>): Promise<CallhookError> {
	const error: unknown = await promise.then(
		() => new Error("expected a CallhookError, but the promise was fulfilled"),
		(reason: unknown) => reason,
	);
	if (isCallhookError(error)) return error;
	throw error;
}

export function codeOf(run: () => unknown): string {
	return thrownBy(run).code;
}

/** The option that an ERR_CALLHOOK_INVALID_OPTION names. */
export function optionOf(thrown: (() => unknown) | CallhookError): string {
	const error = typeof thrown === "function" ? thrownBy(thrown) : thrown;
	if (isCallhookError(error, "ERR_CALLHOOK_INVALID_OPTION")) return error.details.option;
	throw new Error("expected an invalid option", { cause: error });
}
