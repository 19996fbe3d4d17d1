// The snippets of docs/explanation/callback-or-webhook.md that do not run by themselves; readme.test.ts runs the others.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";

const page = readFileSync("docs/explanation/callback-or-webhook.md", "utf8");
const snippets = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
const callbacks = snippets.find((code) => code.includes("mailReceipt"));
const webhook = snippets.find((code) => code.includes("erp.example.com"));

// Inside the project, where imports resolve, and where git does not look.
mkdirSync(".reports", { recursive: true });
const folder = mkdtempSync(join(".reports", "snippets-"));
afterAll(() => {
	rmSync(folder, { recursive: true });
});

/** Runs a snippet in a folder of its own, and what is added to it; returns the lines that it prints. */
async function run(name: string, code: string): Promise<string[]> {
	const cwd = join(folder, name);
	mkdirSync(cwd);
	writeFileSync(join(cwd, "main.ts"), code);
	const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "main.ts"], { cwd });
	return stdout.trim().split("\n");
}

test("its callback and its durable handler get the event", { timeout: 60_000 }, async () => {
	const lines = await run(
		"callbacks",
		`${callbacks}
		function dropCache(orderId) { console.log("drop", orderId); }
		async function mailReceipt(orderId, signal) { console.log("mail", orderId, signal.aborted); }
		await bus.emit("order.paid", { orderId: "o_1" }).stored;
		await bus.idle();
		await bus.close();`,
	);
	expect(lines).toEqual(["drop o_1", "mail o_1 false"]);
});

test("its webhook arrives with a signature", { timeout: 60_000 }, async () => {
	const lines = await run(
		"webhook",
		`import { createServer } from "node:http";
		const server = createServer((request, response) => {
			console.log(request.headers["webhook-signature"].slice(0, 3));
			request.on("data", (body) => console.log(JSON.parse(body).data.orderId)).on("end", () => response.end());
		});
		await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
		const url = "http://127.0.0.1:" + server.address().port;
		${webhook
			?.replace('"https://erp.example.com/hooks"', "url")
			.replace('["order.*"] }', '["order.*"], network: { allow: ["127.0.0.1"], allowHttp: true } }')}
		bus.emit("order.paid", { orderId: "o_1" });
		await bridge.idle();
		await bridge.stop();
		await bus.close();
		server.close();`,
	);
	expect(lines).toEqual(["v1,", "o_1"]);
});
