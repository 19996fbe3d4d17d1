// The site that `npm run docs` makes, from a copy of docs/ with one more page, on which is what Vue would take for its own.
import { execFile } from "node:child_process";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const trap = `# A \`Box<T>\` and {{ 1 + 1 }}

A Box<T> has an <item> {{ 2 + 2 }} &lt;. [Its package](../../package.json)

## create({ size: 1 }), if

| a | b |
|---|---|
| \`Map<K, {{ V }}>\` | one<br>two <script>alert(1)</script> |

\`\`\`ts
const text: Box<T> = "{{ 3 + 3 }}";
\`\`\`
`;

// Inside the project, where imports resolve, and where git does not look.
mkdirSync(".reports", { recursive: true });
const folder = mkdtempSync(join(".reports", "site-"));
const site = join(folder, "docs/.vitepress/dist");
const pages = readdirSync("docs", { recursive: true, encoding: "utf8" }).filter((path) =>
	path.endsWith(".md"),
);
const files = new Map<string, string>();

beforeAll(async () => {
	cpSync("package.json", join(folder, "package.json"));
	cpSync("docs", join(folder, "docs"), {
		recursive: true,
		filter: (path) => !/\.vitepress\/(?:dist|cache|\.temp)/.test(path),
	});
	writeFileSync(join(folder, "docs/how-to/trap.md"), trap);
	const vitepress = join("node_modules", "vitepress", "bin", "vitepress.js");
	await promisify(execFile)(process.execPath, [vitepress, "build", join(folder, "docs")]);
	for (const path of readdirSync(site, { recursive: true, encoding: "utf8" })) {
		if (/\.(?:html|js)$/.test(path)) files.set(path, readFileSync(join(site, path), "utf8"));
	}
}, 240_000);
afterAll(() => {
	rmSync(folder, { recursive: true });
});

/** Of MiniSearch: for each word, in which field of which pages and sections it is how often. */
interface SearchIndex {
	readonly documentIds: Readonly<Record<string, string>>;
	readonly index: readonly [
		word: string,
		fields: Readonly<Record<string, Readonly<Record<string, number>>>>,
	][];
}

/** A page as a reader sees it: what is in its middle, without tags. */
function readText(page: string): string {
	const html = files.get(page) ?? "";
	const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', amp: "&", "#39": "'" };
	return html
		.slice(html.indexOf("<main"), html.indexOf("</main>"))
		.replace(/<!--.*?-->|<[^>]+>/gs, "")
		.replace(/&(\w+|#39);/g, (all, name) => entities[name] ?? all);
}

/** Why a link of a page leads nowhere; `undefined` if it leads somewhere. */
function faultOf(page: string, link: string): string | undefined {
	const { pathname, hash } = new URL(link, `http://site/${page}`);
	const path = decodeURI(pathname)
		.slice(1)
		.replace(/^$|\/$/, "$&index.html");
	if (!existsSync(join(site, path))) return `${page}: ${link}: there is no ${path}`;
	if (hash === "" || files.get(path)?.includes(` id="${decodeURIComponent(hash.slice(1))}"`))
		return undefined;
	return `${page}: ${link}: ${path} has no such anchor`;
}

describe("the site", () => {
	test("has every page of docs/, and each of them in its sidebar", () => {
		const expected = pages.map((path) => path.replace(/\.md$/, ".html")).sort();
		const made = [...files.keys()].filter((path) => path.endsWith(".html"));
		expect(made.sort()).toEqual([...expected, "404.html", "how-to/trap.html"].sort());
		const home = files.get("index.html") ?? "";
		const missing = expected.filter((path) => path !== "index.html" && !home.includes(`href="/${path}"`));
		expect(missing).toEqual([]);
	});

	test("has no link to a page or an anchor that is not there", () => {
		const links = [...files].flatMap(([page, html]) =>
			page.endsWith(".html")
				? [...html.matchAll(/ (?:href|src)="([^"]+)"/g)].map(([, link]) => ({ page, link: link as string }))
				: [],
		);
		const inside = links.filter(({ link }) => !/^(?!data:)[a-z]+:/.test(link));
		expect(inside.length).toBeGreaterThan(1_000);
		expect(inside.map(({ page, link }) => faultOf(page, link)).filter(Boolean)).toEqual([]);
	});

	test("loads nothing from elsewhere", () => {
		const loaded = [...files.values()].flatMap((text) =>
			[...text.matchAll(/<(?:link|script|img)[^>]+(?:href|src)="(https?:[^"]+)"/g)].map(([, url]) => url),
		);
		expect(loaded).toEqual([]);
	});

	test.each([
		["tutorials/first-steps.html", "receipt"],
		["how-to/survive-a-crash.html", "durable"],
		["reference/errors.html", "err_callhook_url_refused"],
		["reference/errors.html", "refused"],
		["explanation/callback-or-webhook.html", "promoted"],
	])("finds %s by the word %s", async (page, word) => {
		const chunk = [...files.keys()].find((path) => path.includes("@localSearchIndexroot")) ?? "";
		const { default: json } = (await import(pathToFileURL(join(site, chunk)).href)) as { default: string };
		const { documentIds, index } = JSON.parse(json) as SearchIndex;
		const fields = index.find(([term]) => term === word)?.[1] ?? {};
		const found = Object.values(fields).flatMap((counts) => Object.keys(counts).map((id) => documentIds[id]));
		expect(found.map((id) => id?.replace(/#.*/, ""))).toContain(`/${page}`);
	});

	test("shows a page as it was written: nothing of it is run or lost", () => {
		const text = readText("how-to/trap.html");
		for (const part of [
			"A Box<T> and {{ 1 + 1 }}",
			"A Box<T> has an <item> {{ 2 + 2 }} <. Its package (package.json)",
			"create({ size: 1 }), if",
			"Map<K, {{ V }}>",
			"two <script>alert(1)</script>",
			'const text: Box<T> = "{{ 3 + 3 }}";',
		]) {
			expect(text).toContain(part);
		}
		expect(files.get("how-to/trap.html")).toContain('id="create-size-1--if"');
	});
});
