import { describe, expect, expectTypeOf, it } from "vitest";
import type { z } from "zod";
import { type GithubEventType, githubSchemas } from "./catalog.ts";
import { loadPayloads } from "./payloads.ts";
import { anyEvent, type issuesEvent } from "./schemas.ts";

const payloads = loadPayloads();

/** A field each kind cannot do without: taking it out must make the schema refuse the payload. */
const requiredFields: Record<string, string> = {
	check_run: "check_run",
	deployment: "deployment",
	issue_comment: "comment",
	issues: "issue",
	ping: "hook",
	pull_request: "pull_request",
	push: "commits",
	release: "release",
	star: "starred_at",
	workflow_run: "workflow_run",
};

const schemaOf = (type: string): z.ZodType => {
	const schema = githubSchemas[type as GithubEventType];
	if (schema === undefined) throw new Error(`The catalog has no schema for ${type}.`);
	return schema;
};

describe("the GitHub catalog", () => {
	it("lists exactly the event types of the input", () => {
		const inputTypes = new Set(payloads.map((payload) => payload.type));
		expect(Object.keys(githubSchemas).sort()).toEqual([...inputTypes].sort());
	});

	it("accepts all 329 payloads and leaves them unchanged", () => {
		expect(payloads).toHaveLength(329);
		for (const { type, data } of payloads) {
			expect(schemaOf(type).parse(data), type).toEqual(data);
		}
	});

	it("reads the fields of the ten known kinds, and only checks the frame of the others", () => {
		const known = Object.entries(githubSchemas).filter(([, schema]) => schema !== anyEvent);
		const kinds = new Set(known.map(([type]) => type.split(".")[1]));
		expect([...kinds].sort()).toEqual(Object.keys(requiredFields).sort());
	});

	it.each(Object.entries(requiredFields))("refuses a %s event without its %s", (kind, field) => {
		const ofKind = payloads.filter((payload) => payload.type.split(".")[1] === kind);
		expect(ofKind).not.toHaveLength(0);
		for (const { type, data } of ofKind) {
			const { [field]: _removed, ...broken } = data;
			const result = schemaOf(type).safeParse(broken);
			expect(
				result.error?.issues.map((issue) => issue.path),
				type,
			).toEqual([[field]]);
		}
	});

	it("refuses a repository or a sender of the wrong form in any event that has one", () => {
		for (const { type, data } of payloads) {
			if (data.repository !== undefined) {
				expect(schemaOf(type).safeParse({ ...data, repository: { id: "x" } }).success, type).toBe(false);
			}
			expect(schemaOf(type).safeParse({ ...data, sender: { login: "" } }).success, type).toBe(false);
		}
	});

	it("types the data of a known event", () => {
		expectTypeOf<z.output<(typeof githubSchemas)["github.issues.opened"]>>().toEqualTypeOf<
			z.output<typeof issuesEvent>
		>();
		expectTypeOf<z.output<typeof issuesEvent>["issue"]["number"]>().toEqualTypeOf<number>();
		expectTypeOf<"github.push">().toExtend<GithubEventType>();
		expectTypeOf<"github.watch.started">().toExtend<GithubEventType>();
		expectTypeOf<"github.watch">().not.toExtend<GithubEventType>();
	});
});
