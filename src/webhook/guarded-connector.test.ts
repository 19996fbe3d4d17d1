import diagnostics from "node:diagnostics_channel";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { Agent, request } from "undici";
import { afterEach, describe, expect, it, vi } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { closedPort, listen } from "../../test/support/listener.ts";
import { isCallhookError } from "../errors.ts";
import { createDeferred } from "../internal/deferred.ts";
import { type AddressGuardOptions, createAddressGuard, type ResolvedAddress } from "./address-guard.ts";
import { createGuardedConnector, type GuardedConnectorOptions } from "./guarded-connector.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Answers 200 with the `Host` header it got. */
function hostEcho(): http.Server {
	return http.createServer((incoming, response) => response.end(incoming.headers.host));
}

function agentFor(
	options: AddressGuardOptions,
	connectorOptions: Partial<GuardedConnectorOptions> = {},
): Agent {
	const guard = createAddressGuard({ allowHttp: true, lookup: () => Promise.reject(unexpected), ...options });
	const agent = new Agent({
		connections: 1,
		connect: createGuardedConnector(guard, { connectTimeoutMs: 5_000, ...connectorOptions }),
	});
	cleanups.push(() => agent.destroy());
	return agent;
}
const unexpected = new Error("unexpected lookup");

async function get(url: string, dispatcher: Agent, headers = {}): Promise<string> {
	const { body } = await request(url, { dispatcher, headers });
	return body.text();
}

/** The reason of the refusal that a request ends in. */
async function reasonOf(outcome: Promise<unknown>): Promise<string> {
	const error: unknown = await outcome.catch((caught: unknown) => caught);
	if (isCallhookError(error, "ERR_CALLHOOK_URL_REFUSED")) return error.details.reason;
	throw new Error("expected a refusal", { cause: error });
}

function addresses(...list: readonly string[]): ResolvedAddress[] {
	return list.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
}

describe("createGuardedConnector() - what is refused", () => {
	it("makes no connection to a refused literal, in any spelling", async () => {
		const listener = await listen(hostEcho());
		const agent = agentFor({});
		const hosts = {
			loopback: ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "①②⑦.①", "127.0.0.1.", "[::1]"],
			unspecified: ["0", "0.0.0.0", "[::]"],
			"ipv4-in-ipv6": ["[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]"],
			localhost: ["localhost", "app.localhost."],
		};
		for (const [reason, spellings] of Object.entries(hosts)) {
			for (const host of spellings) {
				expect(await reasonOf(get(`http://${host}:${listener.port}/`, agent)), host).toBe(reason);
			}
		}
		expect(await listener.connections()).toBe(0);
	});

	it("makes no connection for spellings that reach it unparsed", async () => {
		const listener = await listen(hostEcho());
		const guard = createAddressGuard({ allowHttp: true, lookup: () => Promise.reject(unexpected) });
		const connect = createGuardedConnector(guard, { connectTimeoutMs: 5_000 });
		for (const hostname of [
			"127.0.0.1",
			"2130706433",
			"0x7f.1",
			"127.1",
			"::1",
			"::ffff:127.0.0.1",
			"::1%lo",
			"a b",
		]) {
			const target = { protocol: "http:", hostname, port: String(listener.port) };
			const refused = new Promise((resolve, reject) => {
				connect(target, (error, socket) => (error === null ? resolve(socket) : reject(error)));
			});
			expect(await reasonOf(refused), hostname).toMatch(/^(loopback|ipv4-in-ipv6|invalid-url)$/);
		}
		expect(await listener.connections()).toBe(0);
	});

	it("makes no connection for a name with one bad answer among good ones", async () => {
		const listener = await listen(hostEcho());
		const agent = agentFor({
			lookup: async () => addresses("127.0.0.1", "10.0.0.1"),
			allow: ["127.0.0.0/8"],
		});
		expect(await reasonOf(get(`http://hook.example:${listener.port}/`, agent))).toBe("private");
		expect(await listener.connections()).toBe(0);
	});

	it("makes no connection to a port beside the allowed one", async () => {
		const allowed = await listen(hostEcho());
		const neighbour = await listen(hostEcho());
		const agent = agentFor({
			allow: [`127.0.0.0/8:${allowed.port}`],
			lookup: async () => addresses("127.0.0.1"),
		});
		for (const host of ["127.0.0.1", "hook.example"]) {
			expect(await get(`http://${host}:${allowed.port}/`, agent)).toBe(`${host}:${allowed.port}`);
			expect(await reasonOf(get(`http://${host}:${neighbour.port}/`, agent))).toBe("loopback");
		}
		expect(await allowed.connections()).toBe(2);
		expect(await neighbour.connections()).toBe(0);
	});

	it("makes no connection on http: unless allowHttp, whatever allow says", async () => {
		const listener = await listen(hostEcho());
		const agent = agentFor({ allowHttp: false, allow: [`127.0.0.0/8:${listener.port}`] });
		expect(await reasonOf(get(`http://127.0.0.1:${listener.port}/`, agent))).toBe("scheme");
		expect(await listener.connections()).toBe(0);
	});

	it("refuses bad ports, which undici does not look at", async () => {
		const agent = agentFor({ lookup: async () => addresses("93.184.215.14") });
		expect(await reasonOf(get("http://hook.example:25/", agent))).toBe("port");
	});

	it("sees through a name that rebinds between the check and the connection", async () => {
		const listener = await listen(hostEcho());
		const answers = [addresses("93.184.215.14"), addresses("127.0.0.1")];
		const lookup = async () => answers.shift() ?? [];
		const guard = createAddressGuard({ allowHttp: true, lookup });
		const agent = new Agent({ connect: createGuardedConnector(guard, { connectTimeoutMs: 5_000 }) });
		cleanups.push(() => agent.destroy());
		const url = `http://hook.example:${listener.port}/`;
		await guard.check(url);
		expect(await reasonOf(get(url, agent))).toBe("loopback");
		expect(answers).toEqual([]);
		expect(await listener.connections()).toBe(0);
	});

	it("judges every new connection anew", async () => {
		const listener = await listen(hostEcho());
		const answers = [addresses("127.0.0.1"), addresses("127.0.0.2")];
		const agent = agentFor({ allow: ["127.0.0.1"], lookup: async () => answers.shift() ?? [] });
		const url = `http://hook.example:${listener.port}/`;
		expect(await get(url, agent, { connection: "close" })).toBe(`hook.example:${listener.port}`);
		expect(await reasonOf(get(url, agent))).toBe("loopback");
		expect(await listener.connections()).toBe(1);
	});

	it.skipIf(process.platform === "win32")("judges the address that the kernel connected to", async () => {
		// 0.0.0.0 is allowed here and means 127.0.0.1 to the kernel, which is not: only the connected socket tells.
		const received: Buffer[] = [];
		const server = net.createServer((socket) => socket.on("data", (chunk) => received.push(chunk)));
		const closed = new Promise<void>((resolve) => {
			server.once("connection", (socket) => socket.on("close", () => resolve()));
		});
		const listener = await listen(server);
		for (const host of ["0.0.0.0", "hook.example"]) {
			const agent = agentFor({ allow: ["0.0.0.0"], lookup: async () => addresses("0.0.0.0") });
			expect(await reasonOf(get(`http://${host}:${listener.port}/`, agent)), host).toBe("loopback");
		}
		await closed;
		expect(await listener.connections()).toBe(2);
		expect(received).toEqual([]);
	});
});

describe("createGuardedConnector() - what is connected to", () => {
	it("resolves a name once for a connection, and hands on all answers", async () => {
		const listener = await listen(hostEcho());
		// Nothing listens on the first two, so the third is reached only when the socket has the whole list.
		const lookup = vi.fn(async () => addresses("127.0.0.2", "127.0.0.3", "127.0.0.1"));
		const agent = agentFor({ allow: ["127.0.0.0/8"], lookup });
		const url = `http://hook.example:${listener.port}/`;
		expect(await get(url, agent)).toBe(`hook.example:${listener.port}`);
		expect(lookup.mock.calls).toEqual([["hook.example"]]);
		expect(await get(url, agent)).toBe(`hook.example:${listener.port}`);
		expect(lookup).toHaveBeenCalledTimes(1);
		expect(await listener.connections()).toBe(1);
	});

	it("hands on the first answer where a socket asks for one", async () => {
		const listener = await listen(hostEcho());
		const before = net.getDefaultAutoSelectFamily();
		net.setDefaultAutoSelectFamily(false);
		cleanups.push(() => net.setDefaultAutoSelectFamily(before));
		const agent = agentFor({
			allow: ["127.0.0.0/8"],
			lookup: async () => addresses("127.0.0.1", "127.0.0.2"),
		});
		expect(await get(`http://hook.example:${listener.port}/`, agent)).toBe(`hook.example:${listener.port}`);
	});

	it("keeps the name for Host, SNI and the certificate", async () => {
		const names: unknown[] = [];
		const server = https.createServer({ key, cert }, (incoming, response) =>
			response.end(incoming.headers.host),
		);
		server.on("secureConnection", (socket) => names.push(socket.servername));
		const { port } = await listen(server);
		const options = {
			allow: [`127.0.0.1:${port}`],
			allowHttp: false,
			lookup: async () => addresses("127.0.0.1"),
		};
		const agent = agentFor(options, { tls: { ca: cert } });
		expect(await get(`https://hook.example:${port}/`, agent)).toBe(`hook.example:${port}`);
		expect(names).toEqual(["hook.example"]);
		await expect(get(`https://other.example:${port}/`, agent)).rejects.toMatchObject({
			code: "ERR_TLS_CERT_ALTNAME_INVALID",
		});
		await expect(get(`https://hook.example:${port}/`, agentFor(options))).rejects.toMatchObject({
			code: "DEPTH_ZERO_SELF_SIGNED_CERT",
		});
	});

	it("refuses on https: as on http:", async () => {
		const listener = await listen(https.createServer({ key, cert }));
		const agent = agentFor({ lookup: async () => addresses("127.0.0.1") }, { tls: { ca: cert } });
		for (const host of ["127.0.0.1", "hook.example"]) {
			expect(await reasonOf(get(`https://${host}:${listener.port}/`, agent))).toBe("loopback");
		}
		expect(await listener.connections()).toBe(0);
	});
});

describe("createGuardedConnector() - failures that are no refusals", () => {
	it("makes no connection once its signal has fired", async () => {
		const listener = await listen(hostEcho());
		const guard = createAddressGuard({ allowHttp: true, allow: ["127.0.0.1"] });
		const connect = createGuardedConnector(guard, { connectTimeoutMs: 5_000, signal: AbortSignal.abort() });
		const target = { protocol: "http:", hostname: "127.0.0.1", port: String(listener.port) };
		const made = new Promise((resolve) => connect(target, (...[error]) => resolve(error)));
		expect(await made).toMatchObject({ code: "UND_ERR_DESTROYED" });
		expect(await listener.connections()).toBe(0);
	});

	it.for([undefined, null, 0, "", "no resolver"])(
		"fails when a lookup is rejected with %o, which is no error",
		async (rejection, { expect }) => {
			const agent = agentFor({ lookup: () => Promise.reject(rejection) });
			await expect(get("http://hook.example/", agent)).rejects.toThrow(`rejected with ${rejection}`);
		},
	);

	it("passes the error of a lookup through as it is", async () => {
		const failure = Object.assign(new Error("queryA ETIMEOUT"), { code: "ETIMEOUT" });
		const agent = agentFor({ lookup: () => Promise.reject(failure) });
		await expect(get("http://hook.example/", agent)).rejects.toBe(failure);
	});

	it("fails with ENOTFOUND for a name without addresses", async () => {
		const agent = agentFor({ lookup: async () => [] });
		await expect(get("http://hook.example/", agent)).rejects.toMatchObject({ code: "ENOTFOUND" });
	});

	it("fails with ECONNREFUSED where nothing listens", async () => {
		const agent = agentFor({ allow: ["127.0.0.1"] });
		await expect(get(`http://127.0.0.1:${await closedPort()}/`, agent)).rejects.toMatchObject({
			code: "ECONNREFUSED",
		});
	});

	it("fails with ECONNRESET when the socket is closed before its peer can be judged", async () => {
		const { port } = await listen(hostEcho());
		const destroyOnConnect = (message: unknown) => {
			const { socket } = message as { socket: net.Socket };
			socket.prependOnceListener("connect", () => socket.destroy());
		};
		diagnostics.subscribe("net.client.socket", destroyOnConnect);
		cleanups.push(() => diagnostics.unsubscribe("net.client.socket", destroyOnConnect));
		const agent = agentFor({ allow: ["127.0.0.1"] });
		await expect(get(`http://127.0.0.1:${port}/`, agent)).rejects.toMatchObject({ code: "ECONNRESET" });
	});

	it("counts a hanging lookup in connectTimeoutMs, and connects to no late answer", async () => {
		const listener = await listen(hostEcho());
		const answer = createDeferred<ResolvedAddress[]>();
		const agent = agentFor({ allow: ["127.0.0.1"], lookup: () => answer.promise }, { connectTimeoutMs: 1 });
		await expect(get(`http://hook.example:${listener.port}/`, agent)).rejects.toMatchObject({
			code: "UND_ERR_CONNECT_TIMEOUT",
		});
		answer.resolve(addresses("127.0.0.1"));
		expect(await listener.connections()).toBe(0);
	});
});
