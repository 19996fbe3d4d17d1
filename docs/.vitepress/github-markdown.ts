// Makes VitePress read a page as GitHub does: with the same anchors, and with nothing in the text that Vue would run.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import type { MarkdownOptions } from "vitepress";

type MarkdownIt = Parameters<NonNullable<MarkdownOptions["config"]>>[0];
type Token = ReturnType<MarkdownIt["parse"]>[number];

export const githubMarkdown: MarkdownOptions = {
	anchor: { slugify },
	attrs: { disable: true },
	config(md) {
		const { escapeHtml } = md.utils;
		const { rules } = md.renderer;
		const { text, code_inline: code } = rules;
		rules.text = (...given) => hideBraces(text?.(...given));
		rules.code_inline = (...given) => hideBraces(code?.(...given));
		rules.html_inline = rules.html_block = (tokens, index) => {
			const html = tokens[index]?.content ?? "";
			return isTag.test(html) && !isKeptTag.test(html) ? hideBraces(escapeHtml(html)) : html;
		};
		md.core.ruler.push("links-out-of-docs", ({ tokens, env, Token }) => {
			const make = (type: string, content: string) => Object.assign(new Token(type, "", 0), { content });
			for (const token of tokens) {
				token.children &&= replaceLinksOut(token.children, env.relativePath, make);
			}
		});
	},
};

// The tags that pages use; any other is text, such as the <T> of a type.
const isTag = /^<\/?[a-z]/i;
const isKeptTag = /^<\/?(?:a|br|details|summary)\b/i;

/** Braces as entities, which Vue does not take for an expression. Blocks of code need it not. */
function hideBraces(html = ""): string {
	return html.replaceAll("{{", "&#123;&#123;");
}

function slugify(heading: string): string {
	return heading
		.toLowerCase()
		.replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, "")
		.replaceAll(" ", "-");
}

/** Where the repository is on the web, if package.json says so. */
const { repository } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const home: string | undefined = repository?.url.replace(/^git\+|\.git$/g, "");

/** The parts of a line, with links to files of the repository that are no pages led to the web, or the path behind them. */
function replaceLinksOut(
	tokens: readonly Token[],
	page: string,
	make: (type: string, content: string) => Token,
) {
	let path: string | undefined;
	return tokens.flatMap((token) => {
		if (token.type === "link_open") path = pathOutOf(page, String(token.attrGet("href")));
		if (path === undefined) return [token];
		if (home !== undefined) {
			if (token.type === "link_open") token.attrSet("href", `${home}/blob/HEAD/${path}`);
			return [token];
		}
		if (token.type === "link_open") return [];
		if (token.type !== "link_close") return [token];
		const shown = [make("text", " ("), make("code_inline", path), make("text", ")")];
		path = undefined;
		return shown;
	});
}

/** The path of a file that is in the repository and no page; `undefined` for every other link. */
function pathOutOf(page: string, link: string): string | undefined {
	if (/^(?:[a-z][a-z+.-]*:|#)/i.test(link)) return undefined;
	const path = join("docs", dirname(page), link);
	return path.startsWith("docs/") && /\.md(?:#|$)/.test(path) ? undefined : path;
}
