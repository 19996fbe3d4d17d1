import { expect, test } from "vitest";
import { readMembers } from "./cloud-event-data.ts";

test("base64 of many megabytes is read, or refused as what it is", () => {
	const encoded = "AAAA".repeat(2_500_000);
	expect((readMembers({ data_base64: encoded }) as string).length).toBe(encoded.length);
	expect(() => readMembers({ data_base64: `${encoded}AAA!` })).toThrow(
		expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_BODY" }),
	);
});

test.each(["=", "A===", "AA=A", "A=AA", "====", "AAA", "AA==AAAA", "AAAA\n"])(
	"%j is no base64",
	(encoded) => {
		expect(() => readMembers({ data_base64: encoded })).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_BODY" }),
		);
	},
);
