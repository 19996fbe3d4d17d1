import { parseArgs } from "node:util";

const MAX_TIMES = 1_000;

export const usage = `Usage: npm start -- [options]

Emits the 329 example payloads of GitHub on a Callhook bus. Callbacks tally them, a handler works on them one
repository at a time, and a bridge forwards some of them as signed webhooks to a receiver in another process.

Options:
  --times N   replay the input N times (1 to ${MAX_TIMES}; default: 1)
  --json      print the report as one JSON object instead of a table
  --help      print this text

Exit code: 0 every count agrees with the input, 1 some count does not, 2 wrong arguments, 130 Ctrl-C.
`;

/** What the command line asks for. */
export type Arguments =
	| { readonly action: "run"; readonly times: number; readonly json: boolean }
	| { readonly action: "help" }
	| { readonly action: "complain"; readonly message: string };

/** Reads the command line; a mistake in it comes back as a message to show. */
export function readArguments(args: readonly string[]): Arguments {
	let values: { times: string; json: boolean; help: boolean };
	try {
		({ values } = parseArgs({
			args: [...args],
			strict: true,
			options: {
				times: { type: "string", default: "1" },
				json: { type: "boolean", default: false },
				help: { type: "boolean", default: false },
			},
		}));
	} catch (error) {
		return { action: "complain", message: (error as Error).message };
	}
	if (values.help) return { action: "help" };
	const times = Number(values.times);
	if (!/^\d+$/.test(values.times) || times < 1 || times > MAX_TIMES) {
		const message = `--times takes a whole number from 1 to ${MAX_TIMES}, not "${values.times}".`;
		return { action: "complain", message };
	}
	return { action: "run", times, json: values.json };
}
