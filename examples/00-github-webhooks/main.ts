import { readArguments, usage } from "./arguments.ts";
import { runDemo } from "./demo.ts";
import { watchInterrupts } from "./interrupts.ts";
import { createProgress } from "./progress.ts";
import { renderTable } from "./table.ts";

const args = readArguments(process.argv.slice(2));
if (args.action === "help") {
	process.stdout.write(usage);
} else if (args.action === "complain") {
	process.stderr.write(`${args.message}\n\n${usage}`);
	process.exitCode = 2;
} else {
	process.exitCode = await run(args.times, args.json);
}

/** Runs the demo, prints its report and returns the exit code. */
async function run(times: number, json: boolean): Promise<number> {
	const interrupts = watchInterrupts();
	const progress = createProgress(process.stderr);
	try {
		const report = await runDemo({ times, signal: interrupts.signal, onProgress: progress.update });
		progress.end();
		process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : renderTable(report));
		for (const sentence of report.disagreements) process.stderr.write(`✗ ${sentence}\n`);
		if (report.interrupted) process.stderr.write(`Interrupted after ${report.times} of ${times} rounds.\n`);
		return interrupts.exitCode() || (report.ok ? 0 : 1);
	} catch (error) {
		progress.end();
		process.stderr.write(`The demo could not finish: ${error instanceof Error ? error.stack : error}\n`);
		return interrupts.exitCode() || 1;
	}
}
