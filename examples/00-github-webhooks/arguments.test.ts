import { describe, expect, it } from "vitest";
import { readArguments } from "./arguments.ts";

describe("the command line", () => {
	it("runs once and prints a table when nothing else is asked for", () => {
		expect(readArguments([])).toEqual({ action: "run", times: 1, json: false });
	});

	it("reads --times, --json and --help", () => {
		expect(readArguments(["--times", "100", "--json"])).toEqual({ action: "run", times: 100, json: true });
		expect(readArguments(["--times=3"])).toEqual({ action: "run", times: 3, json: false });
		expect(readArguments(["--help"])).toEqual({ action: "help" });
	});

	it.each([
		[["--tiems", "3"], "--tiems"],
		[["--times"], "--times"],
		[["--times", "-3"], "--times"],
		[["--json=yes"], "--json"],
		[["extra"], "extra"],
		[["--times", "0"], "whole number from 1 to 1000"],
		[["--times", "1001"], "whole number from 1 to 1000"],
		[["--times", "2.5"], "whole number from 1 to 1000"],
		[["--times", "ten"], 'not "ten"'],
		[["--times", ""], 'not ""'],
	])("complains about %j", (args, part) => {
		const result = readArguments(args);
		expect(result).toMatchObject({ action: "complain", message: expect.stringContaining(part) });
	});
});
