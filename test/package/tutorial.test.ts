// The tutorials of two programs, done as they say: their files as they stand on the page, and their requests.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";

// Inside the project, where imports resolve, and where git does not look.
mkdirSync(".reports", { recursive: true });
const folder = resolve(mkdtempSync(join(".reports", "tutorial-")));
const running = new Set<ChildProcess>();
afterAll(async () => {
	await Promise.all([...running].map((child) => stop(child)));
	rmSync(folder, { recursive: true });
});

/** The code blocks of a tutorial. */
function readFiles(name: string): string[] {
	const page = readFileSync(`docs/tutorials/${name}.md`, "utf8");
	return [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
}

interface Program {
	readonly child: ChildProcess;
	/** Resolves with the next line that it prints. */
	line(): Promise<string>;
}

function start(file: string, env: Readonly<Record<string, string>>, ...given: string[]): Program {
	const child = spawn(process.execPath, ["--import", "tsx", file, ...given], {
		cwd: folder,
		env: { ...process.env, ...env },
		stdio: ["ignore", "pipe", "inherit"],
	});
	running.add(child);
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	return { child, line: async () => String((await lines.next()).value) };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals = "SIGINT"): Promise<void> {
	running.delete(child);
	if (child.exitCode !== null || child.signalCode !== null) return;
	child.kill(signal);
	await once(child, "exit");
}

async function findFreePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, "close");
	return port;
}

interface Answer {
	readonly id: string;
	readonly secret: string;
	readonly status: number;
	readonly count: number;
	readonly issues: readonly { readonly path: string }[];
	readonly items: readonly {
		readonly id: string;
		readonly state: string;
		readonly attempts: readonly { readonly errorCode?: string }[];
	}[];
}

test("offering webhooks works from the first endpoint to the new secret", { timeout: 120_000 }, async () => {
	const [shop = "", customer = ""] = readFiles("offer-webhooks-to-your-customers");
	const [shopPort, customerPort] = [await findFreePort(), await findFreePort()];
	writeFileSync(join(folder, "shop.ts"), shop.replaceAll("3000", String(shopPort)));
	writeFileSync(join(folder, "customer.ts"), customer.replaceAll("8080", String(customerPort)));
	const env = { WEBHOOK_KEY: randomBytes(32).toString("base64") };

	async function call(method: string, path: string, body?: object, key = "key-of-acme"): Promise<Answer> {
		const response = await fetch(`http://127.0.0.1:${shopPort}${path}`, {
			method,
			headers: { authorization: `Bearer ${key}` },
			...(body && { body: JSON.stringify(body) }),
		});
		return (await response.json()) as Answer;
	}
	/** What the newest delivery is, as soon as it is in that state. */
	async function newest(id: string, state: string): Promise<Answer["items"][number]> {
		for (;;) {
			const [delivery] = (await call("GET", `/endpoints/${id}/deliveries`)).items;
			if (delivery?.state === state) return delivery;
		}
	}

	let seller = start("shop.ts", env);
	await seller.line();
	const url = `http://127.0.0.1:${customerPort}`;
	const { id, secret } = await call("POST", "/endpoints", { url, events: ["order.*"] });
	const refused = await call("POST", "/endpoints", { url, events: ["order.*x"] });
	expect(refused.issues.map(({ path }) => path)).toEqual(["events.0"]);

	let buyer = start("customer.ts", { WEBHOOK_SECRET: secret });
	await buyer.line();
	expect((await call("POST", `/endpoints/${id}/ping`)).status).toBe(204);
	expect(await buyer.line()).toBe("ping");
	await call("POST", "/orders/o_other/pay", undefined, "key-of-blue");
	await call("POST", "/orders/o_1/pay");
	expect(await buyer.line()).toMatch(/^paid: o_1 4200 evt_/);

	const delivered = await newest(id, "delivered");
	expect((await call("POST", `/deliveries/${delivered.id}/redeliver`)).count).toBe(1);
	expect(await buyer.line()).toMatch(/^again: o_1 4200 evt_/);
	await newest(id, "delivered");

	await stop(buyer.child);
	await call("POST", "/orders/o_2/pay");
	const waiting = await newest(id, "waiting");
	expect(waiting.attempts.map(({ errorCode }) => errorCode)).toEqual(["ECONNREFUSED"]);
	await stop(seller.child);
	seller = start("shop.ts", env);
	await seller.line();
	const rotated = await call("POST", `/endpoints/${id}/rotate`);
	expect(rotated.secret).not.toBe(secret);
	// With the old secret, which still counts.
	buyer = start("customer.ts", { WEBHOOK_SECRET: secret });
	await buyer.line();
	// Unless its retry was quicker.
	await call("POST", `/deliveries/${waiting.id}/redeliver`);
	expect(await buyer.line()).toMatch(/^paid: o_2 4200 evt_/);
	await newest(id, "delivered");
	await stop(buyer.child);
	buyer = start("customer.ts", { WEBHOOK_SECRET: rotated.secret });
	await buyer.line();
	await call("POST", "/orders/o_3/pay");
	expect(await buyer.line()).toMatch(/^paid: o_3 4200 evt_/);
});

test("receiving webhooks works up to the crash, which loses nothing", { timeout: 120_000 }, async () => {
	const [warehouse = "", send = ""] = readFiles("receive-webhooks");
	const port = String(await findFreePort());
	const env = { WEBHOOK_SECRET: `whsec_${randomBytes(32).toString("base64")}` };
	function save(packingMs: string): void {
		const text = warehouse.replaceAll("8080", port).replace("10_000", packingMs);
		writeFileSync(join(folder, "warehouse.ts"), text);
	}
	async function order(id: string): Promise<string[]> {
		const { line } = start("send.ts", env, id);
		return [await line(), await line()];
	}
	writeFileSync(join(folder, "send.ts"), send.replaceAll("8080", port));

	save("0");
	let receiver = start("warehouse.ts", env);
	await receiver.line();
	expect(await order("o_1")).toEqual(["202 -", '200 {"ignored":"DUPLICATE"}']);
	expect([await receiver.line(), await receiver.line()]).toEqual(["packing o_1", "packed o_1"]);
	const response = await fetch(`http://127.0.0.1:${port}`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ type: "order.paid", data: { orderId: "o_9" } }),
	});
	expect(response.status).toBe(401);
	expect(await response.json()).toEqual({ error: "ERR_CALLHOOK_SIGNATURE_HEADER" });
	await stop(receiver.child);

	save("100_000");
	receiver = start("warehouse.ts", env);
	await receiver.line();
	expect(await order("o_2")).toEqual(["202 -", '200 {"ignored":"DUPLICATE"}']);
	expect(await receiver.line()).toBe("packing o_2");
	await stop(receiver.child, "SIGKILL");

	save("0");
	receiver = start("warehouse.ts", env);
	await receiver.line();
	expect([await receiver.line(), await receiver.line()]).toEqual(["packing o_2", "packed o_2"]);
});
