import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CallhookError } from "../../src/errors.ts";
import type { ErrorClass } from "../../src/outbox/ports.ts";
import { classifyError } from "../../src/webhook/error-class.ts";
import { decideOutcome, defaultOutcomePolicy } from "../../src/webhook/outcome.ts";

const page = readFileSync(new URL("../../docs/reference/outcomes.md", import.meta.url), "utf8");
const classes: Readonly<Record<ErrorClass, true>> = {
	...{ dns: true, connect: true, tls: true, timeout: true, reset: true, protocol: true, proxy: true },
	...{ stopped: true, refused: true, payload: true, transform: true, filter: true, other: true },
};
const rows = [...page.matchAll(/^\| `(\w+)` \| [^|]+ \|([^|]*)\| ([^|]+) \|$/gmu)].map(
	([, name = "", codes = "", next = ""]) => ({
		name: name as ErrorClass,
		codes: [...codes.matchAll(/`(\w+)`/gu)].map(([, code]) => code as string),
		next,
	}),
);

/** An error with this code, of the class that alone may have it. */
function errorOf(code: string): Error {
	return code === "ERR_CALLHOOK_URL_REFUSED"
		? new CallhookError(code, "x", { host: "a", reason: "private" })
		: Object.assign(new Error("x"), { code });
}

describe("docs/reference/outcomes.md", () => {
	test("tells every class of errors once", () => {
		expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(classes).sort());
	});

	test.each(rows)("is right about $name", ({ name, codes, next }) => {
		for (const code of codes) expect(classifyError(errorOf(code)), code).toBe(name);
		const result = { kind: "error", error: new Error("x"), errorClass: name } as const;
		const facts = { number: 1, startedAtMs: 0, durationMs: 0, nowMs: 0, result };
		const policy = { ...defaultOutcomePolicy, schedule: { delaysMs: [1], jitter: 0 } };
		expect(decideOutcome(facts, policy, 0).to.state).toBe(next.includes("dead") ? "dead" : "waiting");
	});
});
