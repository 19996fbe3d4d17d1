import { describe, expect, it } from "vitest";
import { createProgress } from "./progress.ts";

function run(isTTY: boolean): string[] {
	const written: string[] = [];
	const progress = createProgress({ isTTY, write: (text) => written.push(text) });
	for (let done = 0; done <= 1_000; done++) progress.update(done, 1_000);
	progress.end();
	return written;
}

describe("progress", () => {
	it("prints five plain lines where there is no terminal", () => {
		expect(run(false)).toEqual([
			" 20 %  200 of 1000 events and webhooks\n",
			" 40 %  400 of 1000 events and webhooks\n",
			" 60 %  600 of 1000 events and webhooks\n",
			" 80 %  800 of 1000 events and webhooks\n",
			"100 %  1000 of 1000 events and webhooks\n",
		]);
	});

	it("redraws one line on a terminal and clears it at the end", () => {
		const written = run(true);
		expect(written.join("")).not.toContain("\n");
		expect(written[0]).toBe(`\r${"░".repeat(40)}   0 %  0 of 1000 events and webhooks`);
		expect(written.at(-2)).toBe(`\r${"█".repeat(40)} 100 %  1000 of 1000 events and webhooks`);
		expect(written.at(-1)).toBe("\r\x1b[2K");
		expect(written.length).toBeLessThan(50);
	});
});
