// The page of examples/06-ui-form in a real browser.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FormServer, serveForm } from "../../examples/06-ui-form/serve.ts";
import { browserMissing, launchBrowser } from "../support/chromium.ts";

const missing = browserMissing();
if (missing !== undefined) console.warn(`test/e2e/browser.test.ts is ${missing}`);

describe.skipIf(missing !== undefined)("callhook in Chromium", () => {
	let browser: Browser;
	let page: Page;
	let server: FormServer;
	const faults: string[] = [];

	beforeAll(async () => {
		server = await serveForm(new URL("browser-form/page.ts", import.meta.url));
		browser = await launchBrowser();
		page = await browser.newPage();
		page.on("pageerror", (error) => faults.push(error.message));
		page.on("console", (message) => faults.push(message.text()));
		await page.goto(server.url);
	});
	afterAll(async () => {
		await browser?.close();
		await server?.close();
	});

	test("a callback validates the form", async () => {
		await page.fill("#email", "nobody");
		await page.click("button");
		expect(await page.textContent("#problem")).toBe('"nobody" is no e-mail address');
		expect(server.received).toEqual([]);
	});

	test("a handler submits it, with a retry, and a callback shows the result", async () => {
		await page.fill("#email", "ada@example.com");
		await page.click("button");
		await page.waitForFunction(() => document.getElementById("result")?.textContent !== "");
		expect(await page.textContent("#result")).toBe("subscription.made sub_1 for ada@example.com");
		expect(server.received).toEqual(['{"email":"ada@example.com"}', '{"email":"ada@example.com"}']);
	});

	test("a button clears it", async () => {
		await page.click("#clear");
		expect(await page.inputValue("#email")).toBe("");
		expect(await page.textContent("#result")).toBe("");
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
