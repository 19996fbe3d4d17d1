// What a program of a fault test and the test say to each other.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

/** What the test gave it. */
export function input<Input>(): Input {
	return JSON.parse(process.env.CALLHOOK_PROGRAM as string) as Input;
}

/** Tells the test; it is in the pipe when this returns, so that it arrives whatever happens to the program. */
export function say(word: string, ...values: readonly (string | number)[]): void {
	writeSync(3, `${JSON.stringify([word, ...values])}\n`);
}

/** Ends this process on the spot: no line behind this runs. */
export function die(): never {
	process.kill(process.pid, "SIGKILL");
	throw new Error("a dead process runs on");
}

/** Hears each line from the test. Without a test there is no program. */
export function listen(onLine: (text: string) => void = () => undefined): void {
	createInterface({ input: process.stdin })
		.on("line", onLine)
		.on("close", () => process.exit());
}
