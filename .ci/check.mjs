// Every check but the tests, one after the other, up to the first that fails: `npm run check`.
import { spawnSync } from "node:child_process";

const steps = [
	["format and import order", "check:format"],
	["lint", "lint"],
	["types, isolated declarations", "typecheck"],
	["import rules, cycles", "check:imports"],
	["unused files, exports, dependencies", "check:unused"],
	["build", "build"],
	["package: publint, attw", "check:package"],
	["size, no node: in the browser entries", "check:size"],
];

for (const [index, [headline, script]] of steps.entries()) {
	const title = `[${index + 1}/${steps.length}] ${headline} (npm run ${script})`;
	console.log(`\n=== ${title}`);
	const startedAt = performance.now();
	const { status } = spawnSync(`npm run --silent ${script}`, { shell: true, stdio: "inherit" });
	const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
	if (status !== 0) {
		console.error(`\n=== FAILED after ${seconds} s: ${title}`);
		process.exit(1);
	}
	console.log(`--- passed in ${seconds} s`);
}
console.log(`\n=== check: all ${steps.length} passed`);
