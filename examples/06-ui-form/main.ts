import assert from "node:assert/strict";
import { once } from "node:events";
import { serveForm } from "./serve.ts";

const server = await serveForm();
if (process.argv[2] === "check") {
	await check();
} else {
	console.log(`Open ${server.url} in a browser; Ctrl-C ends it.`);
	await once(process, "SIGINT");
}
await server.close();

/** Asks for what a browser would ask for; the browser test drives the page itself. */
async function check(): Promise<void> {
	const page = await (await fetch(server.url)).text();
	assert.match(page, /<form id="form"/);
	console.log("the page has the form");

	const script = await (await fetch(`${server.url}/page.js`)).text();
	assert.match(script, /form\.submitted/);
	assert.doesNotMatch(script, /from "node:|require\("node:/);
	console.log("the script holds the bus and no module of Node");

	const statuses: number[] = [];
	for (let attempt = 1; attempt <= 2; attempt++) {
		const body = JSON.stringify({ email: "ada@example.com" });
		statuses.push((await fetch(`${server.url}/subscriptions`, { method: "POST", body })).status);
	}
	assert.deepEqual(statuses, [503, 200]);
	console.log("the subscription service answers 503 first, then 200");
}
