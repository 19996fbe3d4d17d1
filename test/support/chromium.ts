import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

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

/** Why there is no browser; `undefined` where there is. CALLHOOK_REQUIRE_BROWSER=1 forbids that there is none. */
export function browserMissing(): string | undefined {
	if (executablePath !== undefined) return undefined;
	const reason = "no Chromium is installed (Debian: apt-get install chromium)";
	if (process.env.CALLHOOK_REQUIRE_BROWSER === "1") throw new Error(`A browser is required, but ${reason}`);
	return `skipped: ${reason}`;
}

/** Starts the browser; whoever does closes it. */
export function launchBrowser(): Promise<Browser> {
	return chromium.launch({ executablePath: executablePath as string, args });
}
