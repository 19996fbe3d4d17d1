import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { type BridgeSetup, connectBridge, setupBridge } from "../../test/support/bridge.ts";
import { Inbox } from "../../test/support/inbox.ts";
import { listen } from "../../test/support/listener.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import type { BridgeOptions, EndpointInput } from "./index.ts";

interface Asked {
	readonly method: string;
	readonly path: string;
	readonly headers: IncomingMessage["headers"];
	readonly body: string;
	readonly response: ServerResponse;
}

/** A server of its own, which knows of verification, and a bridge that may call it. */
async function setup(answer: (asked: Asked) => void, options: Partial<BridgeOptions> = {}) {
	const asked = new Inbox<Asked>();
	const server = http.createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on("data", (chunk: Buffer) => chunks.push(chunk));
		request.on("end", () => {
			const body = Buffer.concat(chunks).toString("utf8");
			const { method = "", url: path = "", headers } = request;
			const each = { method, path, headers, body, response };
			answer(each);
			asked.push(each);
		});
	});
	server.keepAliveTimeout = 0;
	const listener = await listen(server);
	// Behind the stop of the bridge, which comes first.
	onTestFinished(() => listener.quiet());
	const bridge = await setupBridge({
		options: { network: { allow: [`127.0.0.1/32:${listener.port}`], allowHttp: true }, ...options },
	});
	const origin = `http://127.0.0.1:${listener.port}`;
	const create = (fields: Partial<EndpointInput>, path = "/hooks") =>
		bridge.bridge.endpoints.create({ url: origin + path, events: ["**"], ...fields });
	return { ...bridge, asked, origin, create };
}

function challengeOf({ body }: Asked): string {
	return (JSON.parse(body) as { data: { challenge: string } }).data.challenge;
}

/** What a server answers that knows of a challenge: in JSON, or as text. */
const knows = (form: "json" | "text") => (asked: Asked) => {
	const isChallenge = asked.body.includes("webhook.verification");
	if (!isChallenge) return void asked.response.writeHead(204).end();
	const challenge = challengeOf(asked);
	asked.response.writeHead(200).end(form === "json" ? JSON.stringify({ challenge }) : `${challenge}\n`);
};

async function emitAndWait({ bus, bridge }: Pick<BridgeSetup, "bus" | "bridge">): Promise<void> {
	await bus.emit("order.paid", {}).stored;
	await bridge.idle();
}

describe("a challenge", () => {
	test.for(["json", "text"] as const)(
		"that is answered as %s makes the endpoint get events",
		async (form, { expect }) => {
			const all = await setup(knows(form));
			const told: unknown[] = [];
			all.bus.observe("endpoint:verified", ({ endpointId }) => void told.push(endpointId));
			const endpoint = await all.create({ verify: "challenge" });
			expect(endpoint.state).toBe("enabled");
			expect(told).toEqual([endpoint.id]);
			const challenge = await all.asked.next();
			expect([challenge.method, challenge.path]).toEqual(["POST", "/hooks"]);
			expect(challenge.headers).toHaveProperty("webhook-signature");
			await emitAndWait(all);
			expect(JSON.parse((await all.asked.next()).body)).toMatchObject({ type: "order.paid" });
			expect(await all.bridge.endpoints.get(endpoint.id)).toMatchObject({
				state: "enabled",
				verify: "challenge",
			});
		},
	);

	test("that is not answered leaves it without any event, until it is asked again", async () => {
		let isReady = false;
		const all = await setup((asked) => {
			if (isReady) return knows("json")(asked);
			asked.response.writeHead(200).end(JSON.stringify({ challenge: "guessed" }));
		});
		const { id, state } = await all.create({ verify: "challenge" });
		expect(state).toBe("unverified");
		await emitAndWait(all);
		expect(all.asked.items).toHaveLength(1);
		expect((await all.bridge.deliveries.list()).items).toEqual([]);
		const again = await all.bridge.endpoints.verify(id);
		expect(again).toMatchObject({ endpoint: { state: "unverified" }, attempt: { status: 200 } });
		isReady = true;
		expect((await all.bridge.endpoints.verify(id)).endpoint.state).toBe("enabled");
		await emitAndWait(all);
		expect(all.asked.items).toHaveLength(4);
	});

	test.for([
		[500, true],
		[302, true],
		[204, false],
	] as const)("that is answered with %i proves nothing", async ([status, hasBody], { expect }) => {
		const all = await setup((asked) => {
			const body = hasBody ? JSON.stringify({ challenge: challengeOf(asked) }) : undefined;
			asked.response.writeHead(status).end(body);
		});
		expect((await all.create({ verify: "challenge" })).state).toBe("unverified");
	});

	test("is another one each time, and an old answer proves nothing", async () => {
		const seen: string[] = [];
		const all = await setup((asked) => {
			seen.push(challengeOf(asked));
			asked.response.writeHead(200).end(seen[0]);
		});
		const { id } = await all.create({ verify: "challenge" });
		await all.bridge.endpoints.update(id, { verify: null });
		await all.bridge.endpoints.update(id, { verify: "challenge" });
		expect(new Set(seen).size).toBe(2);
		expect((await all.bridge.endpoints.get(id))?.state).toBe("unverified");
	});

	test("is asked of a new URL, and what waits goes there when that is verified, not before", async () => {
		let isReady = false;
		const all = await setup(
			(asked) => {
				if (asked.body.includes("webhook.verification") && (asked.path === "/hooks" || isReady))
					return knows("text")(asked);
				asked.response.writeHead(asked.path === "/hooks" ? 500 : 204).end();
			},
			{ retry: { delaysMs: [1_000], jitter: 0 } },
		);
		const { id } = await all.create({ verify: "challenge" });
		all.bus.emit("order.paid", {});
		await all.failed.next();
		const moved = await all.bridge.endpoints.update(id, { url: `${all.origin}/new` });
		expect(moved.state).toBe("unverified");
		await all.clock.advance(20_000);
		expect(all.asked.items.map(({ path }) => path)).toEqual(["/hooks", "/hooks", "/new"]);
		isReady = true;
		await all.bridge.endpoints.verify(id);
		await all.clock.advance(5_000);
		await all.delivered.next();
		expect(all.asked.items.at(-1)).toMatchObject({ path: "/new" });
	});

	test("that is answered after the URL was changed proves nothing of the new one", async () => {
		const held: Asked[] = [];
		const all = await setup((asked) => void held.push(asked));
		const created = all.create({ verify: "challenge" });
		const first = await all.asked.next();
		const { items } = await all.bridge.endpoints.list();
		const id = items[0]?.id as string;
		const updated = all.bridge.endpoints.update(id, { url: `${all.origin}/new` });
		const second = await all.asked.next();
		knows("text")(first);
		expect((await created).state).toBe("unverified");
		second.response.writeHead(500).end();
		expect((await updated).state).toBe("unverified");
	});

	test("is given up when the bridge stops meanwhile", async () => {
		const all = await setup(() => undefined);
		const created = all.create({ verify: "challenge" });
		await all.asked.next();
		const stopped = all.bridge.stop({ timeoutMs: 0 });
		await all.clock.advance(0);
		await stopped;
		expect((await created).state).toBe("unverified");
	});
});

describe("a CloudEvents handshake", () => {
	const origin = "hooks.shop.example";
	const agree = (headers: Record<string, string>) => (asked: Asked) => {
		asked.response
			.writeHead(asked.method === "OPTIONS" ? 200 : 204, asked.method === "OPTIONS" ? headers : {})
			.end();
	};

	test("asks by OPTIONS with the origin, and each webhook names it", async () => {
		const all = await setup(agree({ "webhook-allowed-origin": origin }), { origin });
		const { state } = await all.create({ verify: "cloudevents" });
		expect(state).toBe("enabled");
		const asked = await all.asked.next();
		expect([asked.method, asked.body, asked.headers["webhook-request-origin"]]).toEqual([
			"OPTIONS",
			"",
			origin,
		]);
		expect(asked.headers).not.toHaveProperty("webhook-request-rate");
		await emitAndWait(all);
		expect((await all.asked.next()).headers["webhook-request-origin"]).toBe(origin);
	});

	test("with a rate limit asks for the rate, and keeps to the lower one that is allowed", async () => {
		const all = await setup(agree({ "webhook-allowed-origin": "*", "webhook-allowed-rate": "30" }), {
			origin,
		});
		const endpoint = await all.create({ verify: "cloudevents", rateLimit: { count: 2, perMs: 1_000 } });
		expect((await all.asked.next()).headers["webhook-request-rate"]).toBe("120");
		expect(endpoint).toMatchObject({ state: "enabled", rateLimit: { count: 30, perMs: 60_000 } });
	});

	test.for([
		["no word of it", {}],
		["another origin", { "webhook-allowed-origin": "other.example" }],
		["no rate, where one was asked for", { "webhook-allowed-origin": "*" }],
		["a rate that is none", { "webhook-allowed-origin": "*", "webhook-allowed-rate": "0" }],
	] as const)("with %s leaves it without events", async ([, headers], { expect }) => {
		const all = await setup(agree(headers), { origin });
		const rateLimit = { count: 2, perMs: 1_000 };
		expect((await all.create({ verify: "cloudevents", rateLimit })).state).toBe("unverified");
		await emitAndWait(all);
		expect(all.asked.items).toHaveLength(1);
	});

	test("is not made with secrets that cannot be decrypted", async () => {
		const [oldKey, newKey] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64")) as [
			string,
			string,
		];
		const all = await setup(agree({ "webhook-allowed-origin": "*" }), { origin, secretKey: oldKey });
		const { id } = await all.create({ verify: "cloudevents", headers: { authorization: "Bearer x" } });
		await all.bridge.stop();
		const network = { allow: ["127.0.0.1"], allowHttp: true };
		const options = { origin, network, secretKey: newKey };
		const { bridge, errors } = connectBridge(all.receiver, all.store, all.clock, options);
		expect((await rejectionOf(bridge.endpoints.verify(id))).code).toBe("ERR_CALLHOOK_SECRET_KEY");
		expect(all.asked.items).toHaveLength(1);
		expect(errors.splice(0)).toHaveLength(1);
	});

	test("needs the origin of the bridge", async () => {
		const all = await setup(agree({ "webhook-allowed-origin": "*" }));
		const error = await rejectionOf(all.create({ verify: "cloudevents" }));
		expect(error.code).toBe("ERR_CALLHOOK_INVALID_ENDPOINT");
		expect(error.message).toContain("origin");
	});
});

test("verify() is refused for an endpoint that has no such field", async () => {
	const all = await setup(knows("text"));
	const { id } = await all.create({});
	expect(optionOf(await rejectionOf(all.bridge.endpoints.verify(id)))).toBe("verify");
});
