import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DefaultTheme } from "vitepress";

const docs = fileURLToPath(new URL("..", import.meta.url));

/** The parts, in the order of docs/index.md, by their folders. A folder that is not named here comes behind them. */
const parts: Readonly<Record<string, string>> = {
	tutorials: "Tutorials",
	"how-to": "How to",
	reference: "Reference",
	explanation: "Explanation",
	adr: "Decisions",
};

/** Every page: those of a folder in the order of their file names, under their own first heading. */
export function listPages(): DefaultTheme.SidebarItem[] {
	const entries = readdirSync(docs, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
	const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
	const known = Object.keys(parts).filter((folder) => folders.includes(folder));
	const others = folders.filter((folder) => !(folder in parts));
	return [
		...[...known, ...others].map((folder) => ({
			text: parts[folder] ?? folder,
			collapsed: folder === "adr",
			items: pagesIn(`${folder}/`),
		})),
		...pagesIn("").filter(({ link }) => link !== "/index"),
	];
}

function pagesIn(folder: string): { text: string; link: string }[] {
	return readdirSync(`${docs}${folder}`)
		.filter((name) => name.endsWith(".md"))
		.sort()
		.map((name) => ({
			text: titleOf(`${folder}${name}`),
			link: `/${folder}${name.replace(/\.md$/, "")}`,
		}));
}

/** The first heading, as HTML, which is what the sidebar wants. */
function titleOf(page: string): string {
	const [, heading] = /^# +(.+)$/m.exec(readFileSync(`${docs}${page}`, "utf8")) ?? [];
	if (heading === undefined) throw new Error(`docs/${page} has no first heading`);
	return heading
		.replaceAll("&", "&amp;")
		.replaceAll("<", "&lt;")
		.replace(/`([^`]+)`/g, "<code>$1</code>");
}
