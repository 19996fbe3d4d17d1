// The links of the pages in the repository: files that exist, and headings that exist in them. What is on the web is not asked.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

interface Page {
	readonly path: string;
	/** Without code, in which brackets are no links. */
	readonly prose: string;
}

const pages = [
	"README.md",
	"CHANGELOG.md",
	"CONTRIBUTING.md",
	".github/CODE_OF_CONDUCT.md",
	".github/SECURITY.md",
	...["docs", "examples"].flatMap((folder) =>
		readdirSync(folder, { recursive: true, encoding: "utf8" })
			.filter((path) => path.endsWith(".md"))
			.map((path) => join(folder, path))
			.sort(),
	),
].map(readPage);

function readPage(path: string): Page {
	const prose = readFileSync(path, "utf8")
		.replace(/^ *(```+)[^`\n]*\n.*?^ *\1 *$/gms, "")
		.replace(/<!--.*?-->/gs, "");
	return { path, prose };
}

/** The targets of inline links and of link definitions. */
function linksOf({ prose }: Page): string[] {
	const text = prose.replace(/(`+)(?!`).*?[^`]\1(?!`)/g, "`code`");
	const inline = [...text.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)];
	const defined = [...text.matchAll(/^ {0,3}\[[^\]]+\]: (\S+)/gm)];
	return [...inline, ...defined].map(([, target]) => target as string);
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf({ prose }: Page): Set<string> {
	const seen = new Map<string, number>();
	const anchors = [...prose.matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) => {
		const slug = (heading as string)
			.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
			.toLowerCase()
			.replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, "")
			.replaceAll(" ", "-");
		const count = seen.get(slug) ?? 0;
		seen.set(slug, count + 1);
		return count === 0 ? slug : `${slug}-${count}`;
	});
	const named = [...prose.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, name]) => name as string);
	return new Set([...anchors, ...named]);
}

/** Why a link leads nowhere; `undefined` if it leads somewhere. */
function faultOf(from: string, link: string): string | undefined {
	const [file = "", anchor] = link.split("#");
	const path = file === "" ? from : normalize(join(from, "..", decodeURI(file)));
	if (path.startsWith("..")) return `${link}: is outside of the repository`;
	if (!existsSync(path)) return `${link}: there is no ${path}`;
	if (anchor === undefined) return undefined;
	if (statSync(path).isDirectory() || !path.endsWith(".md")) return `${link}: ${path} has no headings`;
	return anchorsOf(readPage(path)).has(anchor) ? undefined : `${link}: ${path} has no heading of that name`;
}

describe("links", () => {
	test.each(pages)("of $path lead to files and headings that exist", (page) => {
		const links = linksOf(page).filter((link) => !/^[a-z][a-z+.-]*:/i.test(link));
		expect(links.map((link) => faultOf(page.path, link)).filter((fault) => fault !== undefined)).toEqual([]);
	});

	test("to what is not there are found", () => {
		const text =
			"[a](docs/nowhere.md) [b](#nothing) [c](README.md#example) [d](docs/glossary.md#the-event) `[e](x.md)`";
		const links = linksOf({ path: "README.md", prose: text });
		expect(links.map((link) => faultOf("README.md", link))).toEqual([
			"docs/nowhere.md: there is no docs/nowhere.md",
			"#nothing: README.md has no heading of that name",
			undefined,
			undefined,
		]);
	});

	test("to headings are those of GitHub", () => {
		const prose = "# `a.b` & [c d](x.md)\n## Twice\n## Twice\n### Ö, ü_1 – ok?\n";
		expect([...anchorsOf({ path: "", prose })]).toEqual(["ab--c-d", "twice", "twice-1", "ö-ü_1--ok"]);
	});

	test("to pages: each page of docs can be reached from the README", () => {
		const reached = new Set(["README.md"]);
		for (const path of reached) {
			for (const link of linksOf(readPage(path))) {
				const target = normalize(join(path, "..", link.replace(/#.*/, "")));
				if (!/^[a-z]+:/i.test(link) && target.endsWith(".md") && existsSync(target)) reached.add(target);
			}
		}
		expect(pages.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
	});
});
