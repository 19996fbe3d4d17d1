// The site that `npm run docs` makes of this folder. GitHub shows the same pages.
import { defineConfig } from "vitepress";
import { githubMarkdown } from "./github-markdown.ts";
import { listPages } from "./sidebar.ts";

export default defineConfig({
	title: "Callhook",
	description: "One emit, two ways out: callbacks inside your process, webhooks outside it.",
	lang: "en",
	markdown: githubMarkdown,
	themeConfig: {
		sidebar: listPages(),
		outline: [2, 3],
		search: { provider: "local", options: { miniSearch: { options: { tokenize: findWords } } } },
	},
});

/** An error code such as ERR_CALLHOOK_CLOSED is a word, and so is each of its parts. Runs in the browser as well. */
function findWords(text: string): string[] {
	const words = text.match(/[\p{L}\p{N}_]+/gu) ?? [];
	return words.flatMap((word) => (word.includes("_") ? [word, ...word.split("_")] : [word]));
}
