import { once } from "node:events";
import http from "node:http";
import { isIP } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/internal/clock.ts";
import { createAddressGuard, type ResolvedAddress } from "../../src/webhook/address-guard.ts";
import { createSender, type SendResult } from "../../src/webhook/sender.ts";
import { literalHosts } from "../support/hosts.ts";

/** A server on every address of this machine that notes who reaches it. */
async function listenEverywhere() {
	const reached: string[] = [];
	const server = http.createServer((_, response) => response.end("secret"));
	server.on("connection", ({ localAddress }) => reached.push(String(localAddress)));
	// IPv6 with IPv4 mapped into it, where the machine has it.
	server.listen(0, "::").on("error", () => server.listen(0, "0.0.0.0"));
	await once(server, "listening");
	onTestFinished(() => void server.close());
	return { reached, port: (server.address() as { port: number }).port };
}

function openSender(lookup: () => Promise<readonly ResolvedAddress[]>) {
	const sender = createSender(createAddressGuard({ allowHttp: true, lookup }), systemClock);
	onTestFinished(() => sender.close());
	return (origin: string): Promise<SendResult> =>
		sender.send({ origin, path: "/", headers: {}, body: Buffer.from("{}"), timeoutMs: 20_000 });
}

const codeOf = (result: SendResult): unknown =>
	result.kind === "error" ? result.error.code : `was answered with ${result.status}`;

// What is public must not be called from a test; what cannot be parsed never becomes a request.
const { passes: _, "invalid-url": unparsed = [], ...refused } = literalHosts;

describe("no connection reaches a refused address", () => {
	test("whatever its spelling in the URL", async () => {
		const { reached, port } = await listenEverywhere();
		const send = openSender(() => Promise.reject(new Error("unexpected lookup")));
		const hosts = Object.values(refused).flat();
		expect(hosts.length).toBeGreaterThan(150);
		for (const host of hosts) {
			expect(codeOf(await send(`http://${host}:${port}`)), host).toBe("ERR_CALLHOOK_URL_REFUSED");
		}
		for (const host of unparsed) {
			expect(codeOf(await send(`http://${host}:${port}`)), host).not.toMatch(/^was answered/);
		}
		expect(reached).toEqual([]);
	});

	test("when a name resolves to it, alone, or before or after a public one", async () => {
		const { reached, port } = await listenEverywhere();
		const literals = Object.values(refused)
			.flat()
			.map((host) => host.replace(/^\[|\]$/g, ""))
			.filter((host) => isIP(host) !== 0);
		expect(literals.length).toBeGreaterThan(100);
		const open: ResolvedAddress = { address: "93.184.215.14", family: 4 };
		for (const address of literals) {
			const bad: ResolvedAddress = { address, family: address.includes(":") ? 6 : 4 };
			for (const answers of [[bad], [open, bad], [bad, open]]) {
				const send = openSender(async () => answers);
				expect(codeOf(await send(`http://hook.example:${port}`)), address).toBe("ERR_CALLHOOK_URL_REFUSED");
			}
		}
		expect(reached).toEqual([]);
	});

	test("and the server would have been reached without the guard", async () => {
		const { reached, port } = await listenEverywhere();
		const guard = createAddressGuard({ allowHttp: true, allow: ["127.0.0.0/8"] });
		const sender = createSender(guard, systemClock);
		onTestFinished(() => sender.close());
		const url = { path: "/", headers: {}, body: Buffer.from("{}"), timeoutMs: 20_000 };
		for (const host of ["127.0.0.1", "2130706433", "0x7f.1", "①②⑦.①"]) {
			expect(await sender.send({ ...url, origin: `http://${host}:${port}` }), host).toMatchObject({
				status: 200,
			});
		}
		expect(reached.length).toBeGreaterThan(0);
	});
});
