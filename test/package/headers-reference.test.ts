import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createMessageSigner, generateSecret, type SignatureScheme } from "../../src/signature/index.ts";
import { createPayload, type PayloadFormat } from "../../src/webhook/payload.ts";

const page = readFileSync(new URL("../../docs/reference/headers.md", import.meta.url), "utf8");
const [, table = ""] = /^## Of each request$(.*?)^## /msu.exec(page) ?? [];
const documented = [...table.matchAll(/^\| (`[^|]+) \|/gmu)].flatMap(([, cell = ""]) =>
	[...cell.matchAll(/`([a-z0-9-]+)/gu)].map(([, name]) => name as string),
);
const schemes: readonly SignatureScheme[] = ["v1", "v1a", "github", "stripe"];
const formats: readonly PayloadFormat[] = ["standard", "cloudevents-structured", "cloudevents-binary"];

describe("docs/reference/headers.md", () => {
	const event = {
		...{ id: "evt_1", type: "order.paid", time: "2026-01-02T03:04:05.678Z", source: "/shop" },
		...{ dataJson: "{}", metadataJson: "{}", traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` },
	};
	const message = { id: "evt_1", type: "order.paid", timestampSeconds: 1, body: new Uint8Array() };
	const sent = new Set([
		...schemes.flatMap((scheme) =>
			Object.keys(createMessageSigner([{ scheme, secret: generateSecret(scheme) }]).sign(message)),
		),
		...formats.flatMap((format) => Object.keys(createPayload(format, event).headers)),
	]);

	test.each([...sent])("tells of %s", (name) => {
		expect(documented).toContain(name.startsWith("ce-") ? "ce-" : name);
	});

	test("tells of no signature that there is not", () => {
		const signatures = documented.filter((name) => /signature|^x-github/.test(name));
		expect(signatures.filter((name) => !sent.has(name))).toEqual([]);
	});
});
