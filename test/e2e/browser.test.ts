import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const folder = new URL("browser-form/", import.meta.url);
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
	existsSync,
);
// Without a sandbox, since tests run as root; without all that a browser asks of its maker's servers.
const args = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-background-networking",
	"--disable-component-update",
];

if (executablePath === undefined) {
	console.warn(
		"test/e2e/browser.test.ts is skipped: no Chromium is installed (Debian: apt-get install chromium)",
	);
}
// Where a browser must be there, as in CI, a missing one is no reason to skip.
const skip = executablePath === undefined && process.env.CALLHOOK_REQUIRE_BROWSER !== "1";

/** Serves the form, and a subscription service whose first answer is 503. */
async function serve(): Promise<{ server: Server; received: string[] }> {
	const { outputFiles } = await build({
		entryPoints: [new URL("page.ts", folder).pathname],
		bundle: true,
		platform: "browser",
		format: "esm",
		write: false,
		tsconfig: new URL("../../tsconfig.json", import.meta.url).pathname,
	});
	const script = outputFiles[0]?.text ?? "";
	const received: string[] = [];
	const server = createServer(async (request, response) => {
		if (request.url === "/subscriptions") {
			let body = "";
			for await (const chunk of request) body += chunk;
			received.push(body);
			if (received.length === 1) return void response.writeHead(503).end();
			const { email } = JSON.parse(body) as { email: string };
			return void response
				.writeHead(200, { "content-type": "application/json" })
				.end(JSON.stringify({ id: "sub_1", email }));
		}
		const isScript = request.url === "/page.js";
		response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
		response.end(isScript ? script : readFileSync(new URL("index.html", folder)));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { server, received };
}

describe.skipIf(skip)("callhook in Chromium", () => {
	let browser: Browser;
	let page: Page;
	let server: Server;
	let received: string[];
	const faults: string[] = [];

	beforeAll(async () => {
		({ server, received } = await serve());
		browser = await chromium.launch({ executablePath: executablePath ?? "/usr/bin/chromium", args });
		page = await browser.newPage();
		page.on("pageerror", (error) => faults.push(error.message));
		page.on("console", (message) => faults.push(message.text()));
		await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
	});
	afterAll(async () => {
		await browser?.close();
		await new Promise((resolve) => server?.close(resolve));
	});

	test("a callback validates the form", async () => {
		await page.fill("#email", "nobody");
		await page.click("button");
		expect(await page.textContent("#problem")).toBe('"nobody" is no e-mail address');
		expect(received).toEqual([]);
	});

	test("a handler submits it, with a retry, and a callback shows the result", async () => {
		await page.fill("#email", "ada@example.com");
		await page.click("button");
		await page.waitForFunction(() => document.getElementById("result")?.textContent !== "");
		expect(await page.textContent("#result")).toBe("subscription.made sub_1 for ada@example.com");
		expect(received).toEqual(['{"email":"ada@example.com"}', '{"email":"ada@example.com"}']);
	});

	test("holding, waiting, streams, delays and draining work as in Node", async () => {
		const result: unknown = await page.evaluate("tryTheRest()");
		expect(result).toEqual({
			waited: { reason: "held" },
			seen: ["held", "late"],
			state: "delivered",
			isDrained: true,
		});
	});

	test("nothing was written to the console but the browser's word on the 503", () => {
		expect(faults.filter((text) => !text.includes("503"))).toEqual([]);
	});
});
