import http from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/internal/clock.ts";
import { createAddressGuard, type ResolvedAddress } from "../../src/webhook/address-guard.ts";
import { decideOutcome, defaultOutcomePolicy, type Outcome } from "../../src/webhook/outcome.ts";
import { createSender, type Sender, type SendResult } from "../../src/webhook/sender.ts";
import { type BadReceiver, badReceivers, type Expected } from "../support/bad-receivers.ts";
import { closedPort, type Listener, listen } from "../support/listener.ts";
import { post } from "../support/sender.ts";

const shortMs = 300;
const longMs = 20_000;
const retryMs = 5_000;
const loopback: readonly ResolvedAddress[] = [{ address: "127.0.0.1", family: 4 }];

function openSender(lookup: BadReceiver["lookup"] = async () => loopback): Sender {
	const guard = createAddressGuard({ allow: ["127.0.0.1/32"], allowHttp: true, lookup });
	const sender = createSender(guard, systemClock);
	onTestFinished(() => sender.close());
	return sender;
}

interface Started extends BadReceiver {
	readonly listener: Listener | undefined;
	readonly url: () => string;
}

async function start(receiver: BadReceiver): Promise<Started> {
	const listener = receiver.server && (await listen(receiver.server()));
	const port = listener?.port ?? (await closedPort());
	const url = receiver.url?.(port) ?? `http://127.0.0.1:${port}/`;
	return { ...receiver, listener, url: () => url };
}

async function attempt(sender: Sender, { url, hangs = false, request }: Started): Promise<Outcome> {
	const startedAtMs = systemClock.now();
	const result = await sender.send(post(url(), { timeoutMs: hangs ? shortMs : longMs, ...request }));
	return judge(result, startedAtMs);
}

function judge(result: SendResult, startedAtMs = 0): Outcome {
	const nowMs = systemClock.now();
	const facts = { number: 1, startedAtMs, durationMs: nowMs - startedAtMs, nowMs, result };
	return decideOutcome(facts, { ...defaultOutcomePolicy, schedule: { delaysMs: [retryMs], jitter: 0 } }, 0.5);
}

function expectOutcome({ to, attempt, endpoint }: Outcome, expected: Expected): void {
	const { is, next = { retryInMs: [retryMs, retryMs] as const }, bodyLength } = expected;
	expect(attempt.status ?? attempt.errorClass, attempt.errorCode).toBe(is);
	expect(endpoint?.action).toBe(expected.endpoint);
	expect(attempt.outcome).toBe(next === "delivered" ? next : "failed");
	if (bodyLength !== undefined) expect(attempt.responseBody).toHaveLength(bodyLength);
	if (typeof next === "string") {
		expect(to).toEqual({ state: next });
	} else {
		if (to.state !== "waiting") throw new Error(`expected another attempt, but it is ${to.state}`);
		expect(to.retryInMs).toBeGreaterThanOrEqual(next.retryInMs[0]);
		expect(to.retryInMs).toBeLessThanOrEqual(next.retryInMs[1]);
	}
}

/** Resolves once this process has no more sockets than before. */
async function socketsBackTo(before: number): Promise<void> {
	while (openSockets() > before) await new Promise((resolve) => setImmediate(resolve));
}

function openSockets(): number {
	return process.getActiveResourcesInfo().filter((name) => /TCPSocket|TCPWrap|TLS|GetAddrInfo/.test(name))
		.length;
}

describe("a receiver that", () => {
	test.for(Object.entries(badReceivers))("%s", async ([, receiver], { expect }) => {
		const before = openSockets();
		const started = await start(receiver);
		const sender = openSender(receiver.lookup);
		expectOutcome(await attempt(sender, started), receiver.expected);
		// A connection that failed is not kept; one that worked, or is still being made, may be until the sender ends.
		if (typeof receiver.expected.is === "string" && !receiver.hangs) await started.listener?.quiet();
		await sender.close();
		await started.listener?.quiet();
		await socketsBackTo(before);
		expect(openSockets()).toBeLessThanOrEqual(before);
	});
});

test("all of them at once, several times over one sender, leave neither sockets nor memory behind", async () => {
	const before = openSockets();
	const started = await Promise.all(
		Object.values(badReceivers)
			.filter(({ lookup }) => lookup === undefined)
			.map(start),
	);
	const sender = openSender();
	// The first round loads and allocates what stays.
	for (let round = 0; round < 2; round++) await Promise.all(started.map((each) => attempt(sender, each)));
	const rssBefore = process.memoryUsage().rss;
	for (let round = 0; round < 3; round++) {
		const several = started.flatMap((each) => [each, each, each]);
		const outcomes = await Promise.all(several.map((each) => attempt(sender, each)));
		for (const [index, { expected }] of several.entries())
			expectOutcome(outcomes[index] as Outcome, expected);
	}
	await sender.close();
	for (const { listener } of started) await listener?.quiet();
	await socketsBackTo(before);
	// Generous: what the receivers have buffered in this process is in it too.
	expect(process.memoryUsage().rss - rssBefore).toBeLessThan(150_000_000);
});

test("a storm of 503 over few connections is all tried again, and the next success counts", async () => {
	let isUp = false;
	const listener = await listen(
		http.createServer((request, response) =>
			request.resume().on("end", () => response.writeHead(isUp ? 204 : 503).end()),
		),
	);
	const sender = openSender();
	const request = post(`http://127.0.0.1:${listener.port}/`, { timeoutMs: longMs });
	for (let wave = 0; wave < 10; wave++) {
		const results = await Promise.all(Array.from({ length: 50 }, () => sender.send(request)));
		for (const result of results) expectOutcome(judge(result), { is: 503 });
	}
	isUp = true;
	expectOutcome(judge(await sender.send(request)), { is: 204, next: "delivered" });
	expect(await listener.connections()).toBeLessThanOrEqual(200);
	await sender.close();
	await listener.quiet();
});

test.for([301, 302, 303, 307, 308])(
	"a redirect (%i) to loopback reaches nobody",
	async (status, { expect }) => {
		const trap = await listen(http.createServer((_, response) => response.end("secret")));
		for (const location of [
			`http://127.0.0.1:${trap.port}/`,
			`//127.0.0.1:${trap.port}/`,
			`http://localhost:${trap.port}/`,
			`http://[::ffff:127.0.0.1]:${trap.port}/`,
			`http://2130706433:${trap.port}/`,
		]) {
			const listener = await listen(
				http.createServer((_, response) => response.writeHead(status, { location }).end("moved")),
			);
			const sender = openSender();
			const outcome = judge(
				await sender.send(post(`http://127.0.0.1:${listener.port}/`, { timeoutMs: longMs })),
			);
			expectOutcome(outcome, { is: status, bodyLength: 5 });
			await sender.close();
			await listener.quiet();
		}
		expect(await trap.connections()).toBe(0);
	},
);

test("a name that flips between a good and a bad address is called at the good one only", async () => {
	const reached: (string | undefined)[] = [];
	const server = http.createServer((_, response) => response.writeHead(200, { connection: "close" }).end());
	server.on("connection", ({ localAddress }) => reached.push(localAddress));
	// On every address of this machine: whoever is called at a bad one is seen.
	await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
	onTestFinished(() => void server.close());
	const port = (server.address() as { port: number }).port;
	let lookups = 0;
	const sender = openSender(async () => [
		{ address: lookups++ % 2 === 0 ? "127.0.0.1" : "127.0.0.2", family: 4 },
	]);
	for (let turn = 0; turn < 10; turn++) {
		const outcome = judge(await sender.send(post(`http://hook.example:${port}/`, { timeoutMs: longMs })));
		expectOutcome(outcome, turn % 2 === 0 ? { is: 200, next: "delivered" } : { is: "refused", next: "dead" });
	}
	expect(reached).toEqual(Array(5).fill("127.0.0.1"));
});
