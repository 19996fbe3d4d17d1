import http from "node:http";
import https from "node:https";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { startConnectProxy } from "../../test/support/connect-proxy.ts";
import { closedPort, type Listener, listen, listenRawTcp } from "../../test/support/listener.ts";
import { codeOf, post, responseOf, timeoutMs } from "../../test/support/sender.ts";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { type NetworkOptions, readNetworkOptions } from "./network-options.ts";
import { decideOutcome, defaultOutcomePolicy } from "./outcome.ts";
import { createSender, type SendResult } from "./sender.ts";

const lookup = vi.fn(() => Promise.reject(new Error("unexpected lookup")));
afterEach(() => {
	expect(lookup).not.toHaveBeenCalled();
});

/** A sender whose every connection goes through the proxy; afterwards it holds no timer and no socket. */
function setupProxied(proxyUrl: string, listeners: readonly Listener[], more: NetworkOptions = {}) {
	const clock = fakeClock();
	const network = readNetworkOptions({ allowHttp: true, lookup, proxy: proxyUrl, ...more });
	const sender = createSender(network.guard, clock, network.proxy);
	onTestFinished(async () => {
		await sender.close();
		for (const listener of listeners) await listener.quiet();
		expect(clock.timers).toBe(0);
	});
	return { clock, sender, guard: network.guard };
}

/** How an attempt is logged and goes on. */
function outcomeOf(result: SendResult) {
	const facts = { number: 1, startedAtMs: 0, durationMs: 0, nowMs: 0, result };
	const schedule = { delaysMs: [5_000], jitter: 0 };
	const { to, attempt } = decideOutcome(facts, { ...defaultOutcomePolicy, schedule }, 0);
	return [attempt.errorClass, to];
}
const retriedAsProxy = ["proxy", { state: "waiting", retryInMs: 5_000 }];

describe("a sender with a proxy", () => {
	test("reaches http: targets by CONNECT, and uses the connection again", async () => {
		const proxy = await startConnectProxy();
		const target = await listen(
			http.createServer((request, response) =>
				request.resume().on("end", () => response.end(request.headers.host)),
			),
		);
		const { sender, clock } = setupProxied(`http://127.0.0.1:${proxy.port}`, [proxy, target]);
		for (let i = 0; i < 3; i++) {
			const result = await sender.send(post(`http://hook.example:${target.port}/a?b=c`));
			expect(responseOf(result)).toEqual({ status: 200, body: `hook.example:${target.port}` });
			await clock.advance(0);
		}
		const authority = `hook.example:${target.port}`;
		expect(proxy.requests).toEqual([{ authority, headers: { host: authority, connection: "close" } }]);
	});

	test("reaches https: targets, whose certificate is theirs", async () => {
		const proxy = await startConnectProxy();
		const target = await listen(https.createServer({ key, cert }, (_, response) => response.end("secure")));
		const { sender } = setupProxied(`http://127.0.0.1:${proxy.port}`, [proxy, target]);
		const url = `https://hook.example:${target.port}/`;
		const tls = { ca: cert };
		expect(responseOf(await sender.send(post(url, { tls })))).toEqual({ status: 200, body: "secure" });
		const untrusted = await sender.send(post(url));
		expect(codeOf(untrusted)).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
		expect(outcomeOf(untrusted)[0]).toBe("tls");
		const other = `https://other.example:${target.port}/`;
		expect(codeOf(await sender.send(post(other, { tls })))).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
		expect(codeOf(await sender.send(post(url, { tls: { cert: "no PEM" } })))).toMatch(/^ERR_OSSL_/);
	});

	test("asks for the default port where the URL has none, and for IPv6 literals in brackets", async () => {
		const proxy = await startConnectProxy({ answer: () => 502 });
		const { sender } = setupProxied(`http://127.0.0.1:${proxy.port}`, [proxy]);
		for (const url of [
			"http://a.example",
			"https://a.example",
			"https://[2606:4700::1]/",
			"https://8.8.8.8:8443",
		]) {
			expect(codeOf(await sender.send(post(url)))).toBe("ERR_CALLHOOK_PROXY");
		}
		expect(proxy.requests.map(({ authority }) => authority)).toEqual([
			...["a.example:80", "a.example:443", "[2606:4700::1]:443", "8.8.8.8:8443"],
		]);
	});

	test("shows its credentials to the proxy and to nobody else", async () => {
		const proxy = await startConnectProxy();
		const headers: http.IncomingHttpHeaders[] = [];
		const target = await listen(
			http.createServer((request, response) => {
				headers.push(request.headers);
				response.end();
			}),
		);
		const proxyUrl = `http://us%40er:p%3Ass@127.0.0.1:${proxy.port}`;
		const { sender } = setupProxied(proxyUrl, [proxy, target]);
		expect(responseOf(await sender.send(post(`http://hook.example:${target.port}/`))).status).toBe(200);
		const basic = `Basic ${Buffer.from("us@er:p:ss").toString("base64")}`;
		expect(proxy.requests.map((request) => request.headers["proxy-authorization"])).toEqual([basic]);
		expect(JSON.stringify(headers)).not.toMatch(/proxy|Basic/i);
	});

	test.for([400, 403, 407, 429, 502, 503, 301])(
		"is told %i by the proxy: no fault of the endpoint, and tried again",
		async (status, { expect }) => {
			const proxy = await startConnectProxy({ answer: () => status });
			const proxyUrl = `http://user:s3cret@127.0.0.1:${proxy.port}`;
			const { sender } = setupProxied(proxyUrl, [proxy]);
			for (const url of ["http://hook.example/", "https://hook.example/"]) {
				const result = await sender.send(post(url));
				expect(result).toMatchObject({
					error: { code: "ERR_CALLHOOK_PROXY", details: { reason: `it answered ${status}`, status } },
				});
				expect(outcomeOf(result)).toEqual(retriedAsProxy);
				expect(JSON.stringify(result) + String((result as { error: Error }).error.stack)).not.toContain(
					"s3cret",
				);
			}
			await proxy.quiet();
		},
	);

	test("finds the proxy down, or closing, or talking nonsense: tried again", async () => {
		const closing = await startConnectProxy({ answer: (_, socket) => void socket.destroy() });
		const nonsense = await listenRawTcp((socket) => socket.write("SSH-2.0-OpenSSH_9.2p1\r\n"));
		for (const port of [await closedPort(), closing.port, nonsense.port]) {
			const { sender } = setupProxied(`http://user:s3cret@127.0.0.1:${port}`, []);
			for (const url of ["http://hook.example/", "https://hook.example/"]) {
				const result = await sender.send(post(url));
				expect(outcomeOf(result)).toEqual(retriedAsProxy);
				expect(String((result as { error: Error }).error.stack)).not.toContain("s3cret");
			}
		}
		await closing.quiet();
		await nonsense.quiet();
	});

	test("trusts no https: proxy that it cannot verify", async () => {
		const proxy = await startConnectProxy({ isTls: true });
		const { sender } = setupProxied(`https://127.0.0.1:${proxy.port}`, [proxy]);
		const result = await sender.send(post("https://hook.example/"));
		expect(result).toMatchObject({ error: { details: { reason: "DEPTH_ZERO_SELF_SIGNED_CERT" } } });
		expect(outcomeOf(result)).toEqual(retriedAsProxy);
		expect(proxy.requests).toEqual([]);
	});

	test("verifies an https: proxy by its own name, not by that of the target", async () => {
		const named: string[] = [];
		const listener = await listen(
			https.createServer({
				...{ key, cert },
				SNICallback: (name, answer) => {
					named.push(name);
					answer(null);
				},
			}),
		);
		for (const [host, names] of [
			["localhost", ["localhost"]],
			["127.0.0.1", []],
		] as const) {
			const { sender } = setupProxied(`https://${host}:${listener.port}`, [listener]);
			const result = await sender.send(post("https://hook.example/"));
			expect(result).toMatchObject({ error: { details: { reason: "DEPTH_ZERO_SELF_SIGNED_CERT" } } });
			expect(named.splice(0)).toEqual(names);
		}
	});

	test("waits for a proxy that hangs no longer than the deadline, and connects to nothing after close()", async () => {
		const reached = createDeferred<void>();
		const proxy = await startConnectProxy({ answer: () => void reached.resolve() });
		const { sender, clock } = setupProxied(`http://127.0.0.1:${proxy.port}`, [proxy]);
		const sending = sender.send(post("https://hook.example/"));
		await reached.promise;
		await clock.advance(timeoutMs);
		expect(codeOf(await sending)).toBe("ERR_CALLHOOK_TIMEOUT");
		await sender.close();
		await proxy.quiet();
	});

	test("still judges URLs and IP literals itself, and asks the proxy for none that is refused", async () => {
		const proxy = await startConnectProxy();
		const { sender, guard } = setupProxied(`http://127.0.0.1:${proxy.port}`, [proxy], {
			allow: ["127.0.0.1"],
		});
		for (const [url, reason] of [
			["http://10.0.0.1/", "private"],
			["https://[::1]/", "loopback"],
			["https://169.254.169.254/", "link-local"],
			["https://localhost/", "localhost"],
			["https://app.localhost./", "localhost"],
			["https://hook.example:25/", "port"],
		] as const) {
			await expect(guard.check(url), url).rejects.toMatchObject({ details: { reason } });
			expect(await sender.send(post(url)), url).toMatchObject({ error: { details: { reason } } });
		}
		await guard.check("https://hook.example/");
		await guard.check("https://127.0.0.1/");
		expect(proxy.requests).toEqual([]);
	});
});

describe("readNetworkOptions()", () => {
	test.for([
		["http://proxy.example", "http:", "proxy.example", 80],
		["https://proxy.example/", "https:", "proxy.example", 443],
		["http://10.0.0.1:3128", "http:", "10.0.0.1", 3128],
		["http://[fd00::1]:3128", "http:", "fd00::1", 3128],
	] as const)("takes the proxy %s", ([text, protocol, hostname, port], { expect }) => {
		expect(readNetworkOptions({ proxy: text }).proxy).toEqual({
			protocol,
			hostname,
			port,
			authorization: undefined,
		});
	});

	test("takes a user without a password", () => {
		const { proxy } = readNetworkOptions({ proxy: "http://user@proxy.example" });
		expect(proxy?.authorization).toBe(`Basic ${Buffer.from("user:").toString("base64")}`);
	});

	test.for<unknown>([
		...[
			"",
			"proxy.example",
			"proxy.example:3128",
			"socks5://user:s3cret@proxy.example",
			"ftp://proxy.example",
		],
		...[
			"http://user:s3cret@proxy.example/path",
			"http://proxy.example?s3cret",
			"http://proxy.example#s3cret",
		],
		...["http://user:s3cret%ff%@proxy.example", "http://us:s3cret@proxy.example:99999", 1, null, {}, []],
	])("refuses the proxy %j, and does not repeat it", (proxy, { expect }) => {
		const read = () => readNetworkOptions({ proxy: proxy as string });
		expect(read).toThrow(
			expect.objectContaining({
				code: "ERR_CALLHOOK_INVALID_OPTION",
				message: expect.not.stringContaining("s3cret"),
				details: {
					option: "network.proxy",
					expected: expect.any(String),
					received: expect.not.stringContaining("s3cret"),
				},
			}),
		);
	});

	test("refuses what it does not know, and what the guard does not take", () => {
		for (const options of [{ proxies: "" }, { allow: "10.0.0.0/8" }, "http://proxy.example"]) {
			expect(() => readNetworkOptions(options as NetworkOptions)).toThrow(
				expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_OPTION" }),
			);
		}
		expect(readNetworkOptions().proxy).toBeUndefined();
	});
});
