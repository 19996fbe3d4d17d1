// Runs an example by its name: `npm run example hello`, `npm run example 07-file-chunks -- 64`.
import { existsSync, readdirSync } from "node:fs";

const folder = new URL("./", import.meta.url);
const names = readdirSync(folder)
	.filter((name) => existsSync(new URL(`${name}/main.ts`, folder)))
	.sort();
const wanted = process.argv[2];
const found = names.find((name) => name === wanted || name.replace(/^\d+-/, "") === wanted);

if (found === undefined) {
	if (wanted !== undefined) console.error(`There is no example "${wanted}".\n`);
	console.error(
		`npm run example NAME, where NAME, with its number or without, is one of:\n\n${names.join("\n")}`,
	);
	process.exitCode = 2;
} else {
	// The example sees the arguments behind its name, as if it had been started by itself.
	process.argv.splice(1, 2, found);
	await import(new URL(`${found}/main.ts`, folder).href);
}
