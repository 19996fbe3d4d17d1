import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { createBus, defineEvents, memoryStore, type OutboxStore } from "callhook";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { createWebhookBridge, type Delivery, type WebhookBridge } from "callhook/webhook";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { startReceiver } from "../support/http-receiver.ts";
import { listen } from "../support/listener.ts";
import type { Answer, FromReceiver, LogEntry, ToReceiver } from "./webhook-receiver.ts";
import type { Leftovers } from "./webhook-sender.ts";

/** Starts a script of this folder in a process of its own, which ends with the test at the latest. */
function start(script: string, ...args: string[]): ChildProcess {
	const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
		cwd: fileURLToPath(new URL("../..", import.meta.url)),
		execArgv: ["--import", "tsx"],
		stdio: ["ignore", "ignore", "inherit", "ipc"],
	});
	onTestFinished(async () => {
		if (child.exitCode !== null || child.signalCode !== null) return;
		const exited = once(child, "exit");
		child.kill("SIGKILL");
		await exited;
	});
	return child;
}

/** The receiver's process and what it is asked. */
async function startRemote() {
	const child = start("webhook-receiver.ts");
	const next = async <Kind extends FromReceiver["kind"]>(kind: Kind) => {
		const [message] = (await once(child, "message")) as [FromReceiver];
		expect(message.kind).toBe(kind);
		return message as Extract<FromReceiver, { kind: Kind }>;
	};
	const ask = <Kind extends FromReceiver["kind"]>(message: ToReceiver, kind: Kind) => {
		const answer = next(kind);
		child.send(message);
		return answer;
	};
	const { port } = await next("listening");
	return {
		port,
		expect: (secrets: Readonly<Record<string, string>>) => ask({ kind: "expect", secrets }, "expecting"),
		log: async () => (await ask({ kind: "report" }, "report")).log,
	};
}

function connect(store: OutboxStore, port: number) {
	const errors: unknown[] = [];
	const bus = createBus({ store, onError: (error) => errors.push(error) });
	const bridge = createWebhookBridge(bus, {
		// Most first attempts fail on purpose.
		breaker: false,
		forward: ["order.*"],
		// More retries than the receiver ever asks for, and no time between them.
		retry: { delaysMs: Array<number>(8).fill(1), jitter: 1 },
		network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
	});
	onTestFinished(async () => {
		await bridge.stop({ timeoutMs: 0 });
		expect(errors).toEqual([]);
	});
	return { bus, bridge };
}

/** mulberry32: the same numbers from 0 to 1 in every run. */
function randomNumbers(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
		return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
	};
}

/** What the receiver does to the first attempts of each event: mostly nothing, up to four failures of every kind. */
function makePlans(count: number): Answer[][] {
	const random = randomNumbers(20_261_123);
	const failures = ["refuse", "hang-up", "take-and-fail", "take-and-hang-up"] as const;
	return Array.from({ length: count }, () => {
		const length = random() < 0.6 ? 0 : 1 + Math.floor(random() * 4);
		return Array.from({ length }, () => failures[Math.floor(random() * failures.length)] as Answer);
	});
}

/** What the receiver did, attempt by attempt, by endpoint and event. */
function answersOf(log: readonly LogEntry[]): Map<string, Answer[]> {
	const answers = new Map<string, Answer[]>();
	for (const { path, id, answer } of log) {
		const key = `${path} ${id}`;
		answers.set(key, [...(answers.get(key) ?? []), answer]);
	}
	return answers;
}

async function listAll(bridge: WebhookBridge): Promise<Delivery[]> {
	const deliveries: Delivery[] = [];
	let cursor: string | undefined;
	do {
		const page = await bridge.deliveries.list({ cursor });
		deliveries.push(...page.items);
		cursor = page.cursor;
	} while (cursor !== undefined);
	return deliveries;
}

describe("webhooks to another process", () => {
	test("arrive genuine, each as often as it failed and once more", async () => {
		const remote = await startRemote();
		const { bus, bridge } = connect(memoryStore(), remote.port);
		const secrets: Record<string, string> = {};
		const pathById = new Map<string, string>();
		for (const path of ["/a", "/b"]) {
			const url = `http://127.0.0.1:${remote.port}${path}`;
			const endpoint = await bridge.endpoints.create({ url, events: ["order.*"] });
			secrets[path] = endpoint.secret;
			pathById.set(endpoint.id, path);
		}
		await remote.expect(secrets);
		const plans = new Map(makePlans(300).map((plan) => [bus.emit("order.paid", { plan }).event.id, plan]));
		await bridge.idle();

		const log = await remote.log();
		expect(log.filter(({ invalid }) => invalid !== undefined)).toEqual([]);
		// No event is missing, none came without having been emitted, and after a success there was no further attempt.
		const expected = [...plans].flatMap(([id, plan]) =>
			["/a", "/b"].map((path): [string, Answer[]] => [`${path} ${id}`, [...plan, "take"]]),
		);
		expect(answersOf(log)).toEqual(new Map(expected));

		const deliveries = await listAll(bridge);
		expect(deliveries).toHaveLength(600);
		for (const { state, eventId, endpointId, attempts } of deliveries) {
			const answers: Answer[] = [...(plans.get(eventId) as Answer[]), "take"];
			const seen = attempts.map(({ status, errorCode }): string =>
				String(status ?? (errorCode && "hang-up")),
			);
			const wanted = answers.map((answer) =>
				answer.endsWith("hang-up") ? "hang-up" : answer === "take" ? "204" : "503",
			);
			expect([state, pathById.has(endpointId), seen]).toEqual(["delivered", true, wanted]);
		}
	});

	test("are not lost when the sender stops in the middle and another goes on", async () => {
		const remote = await startRemote();
		const store = memoryStore();
		const first = connect(store, remote.port);
		const url = `http://127.0.0.1:${remote.port}/a`;
		const { secret } = await first.bridge.endpoints.create({ url, events: ["**"], concurrency: 20 });
		await remote.expect({ "/a": secret });
		const halfway = new Promise<void>((resolve) => {
			let delivered = 0;
			first.bus.observe("delivery:delivered", () => {
				if (++delivered === 100) resolve();
			});
		});
		const ids = makePlans(300).map((plan) => first.bus.emit("order.paid", { plan }).event.id);
		await halfway;
		await first.bridge.stop({ timeoutMs: 0 });
		const left = (await listAll(first.bridge)).filter(({ state }) => state !== "delivered");
		expect(left.length).toBeGreaterThan(0);
		for (const { state } of left) expect(state).toMatch(/^(pending|waiting)$/);

		const second = connect(store, remote.port);
		await second.bridge.idle();
		const log = await remote.log();
		expect(log.filter(({ invalid }) => invalid !== undefined)).toEqual([]);
		const answers = answersOf(log);
		expect([...answers.keys()].sort()).toEqual(ids.map((id) => `/a ${id}`).sort());
		const takes = [...answers.values()].map((all) => all.filter((answer) => answer === "take").length);
		expect(Math.min(...takes)).toBe(1);
		// Only what was under way when the first one stopped can have been taken twice.
		expect(takes.filter((count) => count > 1).length).toBeLessThanOrEqual(20);
		for (const { state } of await listAll(second.bridge)) expect(state).toBe("delivered");
	});

	test("keep no process alive after stop()", async () => {
		const receiver = await startReceiver(({ path }) =>
			path === "/slow" ? undefined : path === "/bad" ? 503 : 204,
		);
		const child = start("webhook-sender.ts", String(receiver.port));
		await receiver.webhooks.take(3);
		const exited = once(child, "exit");
		const reported = once(child, "message") as Promise<[Leftovers]>;
		child.send("stop");
		const [{ resources }] = await reported;
		expect(resources.filter((name) => /Timeout|Immediate|TCP|TLS|GetAddrInfo/.test(name))).toEqual([]);
		expect(await exited).toEqual([0, null]);
		await receiver.quiet();
	});
});

describe("webhooks to another bus", () => {
	const events = defineEvents({
		"order.paid": z.object({ orderId: z.string(), paidAt: z.coerce.date(), total: z.number().default(0) }),
		"order.shipped": z.object({ orderId: z.string() }),
	});

	async function pair({ secret }: { secret?: string } = {}) {
		const store = memoryStore();
		const here = createBus({ events, store });
		const there = createBus({ events });
		const sockets = http.createServer((request, response) => handler(request, response));
		const { port, quiet } = await listen(sockets);
		const bridge = createWebhookBridge(here, {
			forward: ["**"],
			retry: { delaysMs: [], jitter: 0 },
			network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
		});
		const endpoint = await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/`, events: ["**"] });
		const handler = toNodeHandler(createReceiver({ secrets: secret ?? endpoint.secret, bus: there }));
		onTestFinished(async () => {
			await bridge.stop();
			await quiet();
		});
		return { here, there, bridge };
	}

	test("are the same event there: id, type, time and typed data", async () => {
		const { here, there, bridge } = await pair();
		const received: unknown[] = [];
		there.on("order.paid", (data, event) => {
			// Compiles because the catalog types both ends: `paidAt` is a Date again.
			received.push([event.id, event.type, event.time, data.orderId, data.paidAt.getTime(), data.total]);
		});
		there.on("order.shipped", (data, event) => received.push([event.id, event.type, event.time, data]));
		const paidAt = new Date("2026-03-04T05:06:07.089Z");
		const time = "2026-03-04T05:06:08.000Z";
		const paid = here.emit("order.paid", { orderId: "o_1", paidAt }, { id: "paid-1", time });
		await bridge.idle();
		const shipped = here.emit("order.shipped", { orderId: "o_1" });
		await bridge.idle();
		expect(received).toEqual([
			["paid-1", "order.paid", time, "o_1", paidAt.getTime(), 0],
			[shipped.event.id, "order.shipped", shipped.event.time, { orderId: "o_1" }],
		]);
		expect(paid.event.id).toBe("paid-1");
		expect((await listAll(bridge)).map(({ attempts }) => attempts.map(({ status }) => status))).toEqual([
			[204],
			[204],
		]);
	});

	test("emit nothing there when they are signed with another secret", async () => {
		const { here, there, bridge } = await pair({ secret: `whsec_${Buffer.alloc(32).toString("base64")}` });
		const received: unknown[] = [];
		there.on("**", (_, event) => received.push(event.id));
		here.emit("order.shipped", { orderId: "o_1" });
		await bridge.idle();
		expect(received).toEqual([]);
		expect(await listAll(bridge)).toMatchObject([
			{
				state: "dead",
				attempts: [{ status: 401, responseBody: expect.stringContaining("ERR_CALLHOOK_SIGNATURE_MISMATCH") }],
			},
		]);
	});
});
