import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { optionOf } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { isTraceparent } from "./traceparent.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";
const valid = `00-${trace}-${parent}-01`;

const malformed = [
	"",
	"text",
	`00-${trace}-${parent}`,
	`00-${trace}-${parent}-`,
	`00-${trace}-${parent}-1`,
	`00-${trace}-${parent}-011`,
	`00-${trace}-${parent}-01-`,
	`00-${trace}-${parent}-01-more`,
	`0-${trace}-${parent}-01`,
	`ff-${trace}-${parent}-01`,
	`00-${"0".repeat(32)}-${parent}-01`,
	`00-${trace}-${"0".repeat(16)}-01`,
	`00-${trace.slice(1)}-${parent}-01`,
	`00-${trace}a-${parent}-01`,
	`00-${trace}-${parent.slice(1)}-01`,
	`00-${trace}-${parent}a-01`,
	valid.toUpperCase(),
	`0g-${trace}-${parent}-01`,
	`00-g${trace.slice(1)}-${parent}-01`,
	`00-${trace}-g${parent.slice(1)}-01`,
	`00-${trace}-${parent}-0g`,
	`00_${trace}_${parent}_01`,
	` ${valid}`,
	`${valid} `,
	`${valid}\n`,
	`${valid}\r\nx-injected: 1`,
	`${valid}, ${valid}`,
];

describe("isTraceparent()", () => {
	test.each(malformed)("refuses %j", (text) => {
		expect(isTraceparent(text)).toBe(false);
	});

	test("takes version, trace, parent and flags in lower-case hexadecimal digits", () => {
		const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));
		const id = (digits: number) => hex(digits).filter((text) => /[^0]/.test(text));
		const version = hex(2).filter((text) => text !== "ff");
		fc.assert(
			fc.property(version, id(32), id(16), hex(2), (...parts) => {
				expect(isTraceparent(parts.join("-"))).toBe(true);
			}),
			{ examples: [["00", trace, parent, "01"]] },
		);
	});
});

describe("emit()", () => {
	test("keeps a traceparent as it is", () => {
		expect(createBus().emit("job", 1, { traceparent: valid }).event.traceparent).toBe(valid);
		expect(createBus().emit("job", 1).event.traceparent).toBeUndefined();
	});

	test.each([...malformed, 7, null, [valid]])(
		"refuses the traceparent %j before anything runs",
		(traceparent) => {
			const bus = createBus();
			const seen: unknown[] = [];
			bus.on("job", (data) => seen.push(data));
			expect(optionOf(() => bus.emit("job", 1, { traceparent: traceparent as string }))).toBe("traceparent");
			expect(seen).toEqual([]);
		},
	);
});
