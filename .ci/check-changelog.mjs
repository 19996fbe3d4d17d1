// Refuses a version that CHANGELOG.md does not tell of. npm runs it before `npm version` changes anything, and says which
// version is meant; without npm it is the one in package.json.
import { readFileSync } from "node:fs";

const version = process.env.npm_new_version ?? JSON.parse(readFileSync("package.json", "utf8")).version;
const [, ...sections] = readFileSync("CHANGELOG.md", "utf8").split(/^## /m);
const section = sections.find((text) => text.startsWith(`[${version}]`));
const [heading, ...lines] = section?.trim().split("\n") ?? [];

function refuse(reason) {
	console.error(`CHANGELOG.md ${reason}`);
	process.exit(1);
}

if (heading === undefined) refuse(`has no section "## [${version}] - YYYY-MM-DD"`);
if (!/^\[[^\]]+\] - \d{4}-\d\d-\d\d$/.test(heading)) refuse(`gives no date in "## ${heading}"`);
if (!lines.some((line) => line.startsWith("- "))) refuse(`says nothing under "## ${heading}"`);
console.log(`CHANGELOG.md tells of ${version}`);
