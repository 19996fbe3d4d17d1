import type { AddressInfo } from "node:net";
import { createContext, runInContext } from "node:vm";
import { serve } from "@hono/node-server";
import { createBus } from "callhook";
import { createReceiver } from "callhook/receiver";
import { build } from "esbuild";
import { Hono } from "hono";
import { expect, onTestFinished, test } from "vitest";
import { secret, signedRequest, standingClock } from "../support/signed-request.ts";

const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: { note: "é" } };

function setup() {
	const bus = createBus();
	const received: unknown[] = [];
	bus.on("**", (data, { id }) => received.push([id, data]));
	return { received, receiver: createReceiver({ secrets: secret, bus, clock: standingClock }) };
}

/** A server of the application, and how to send it a signed request. */
async function serveHono(app: Hono) {
	const port = await new Promise<number>((resolve) => {
		const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port: own }: AddressInfo) =>
			resolve(own),
		);
		onTestFinished(() => void server.close());
	});
	return async (path: string, request: Request) => {
		const { method, headers } = request;
		const response = await fetch(`http://127.0.0.1:${port}${path}`, {
			...{ method, headers, body: await request.arrayBuffer() },
		});
		return [response.status, await response.text()];
	};
}

test("Hono on a real socket: taken, forged, and read by the application first", async () => {
	const { receiver, received } = setup();
	const app = new Hono();
	app.post("/hooks", (c) => receiver.fetch(c.req.raw));
	app.post("/parsed", async (c) => {
		await c.req.json();
		return receiver.fetch(c.req.raw);
	});
	const send = await serveHono(app);
	expect(await send("/hooks", signedRequest(event))).toEqual([204, ""]);
	const forged = signedRequest(event, { headers: { "webhook-id": "msg_2" } });
	expect((await send("/hooks", forged))[0]).toBe(401);
	expect(await send("/parsed", signedRequest(event, { id: "msg_3" }))).toEqual([
		500,
		expect.stringContaining("receiver.fetch(c.req.raw) in front of c.req.json()"),
	]);
	expect(received).toEqual([["msg_1", event.data]]);
});

test("a route handler as Next has them: the receiver's fetch is the export", async () => {
	const { receiver, received } = setup();
	const route: { POST(request: Request): Promise<Response> } = { POST: receiver.fetch };
	const { POST } = route;
	expect((await POST(signedRequest(event))).status).toBe(204);
	expect(received).toEqual([["msg_1", event.data]]);
});

/** What workers have, by the names of the standards; nothing of Node. */
const webGlobals = {
	...{
		Request,
		Response,
		Headers,
		URL,
		URLSearchParams,
		TextEncoder,
		TextDecoder,
		AbortController,
		AbortSignal,
	},
	...{ ReadableStream, DecompressionStream, DOMException, Event, EventTarget, crypto, atob, btoa },
	...{ setTimeout, clearTimeout, setInterval, clearInterval, queueMicrotask, structuredClone, performance },
};

test("where there is nothing of Node: a bus, a store and a receiver in one bundle take a webhook", async () => {
	const { outputFiles } = await build({
		stdin: {
			contents: `
				import { createBus, memoryStore } from "./src/index.ts";
				import { cloudEvents, createReceiver } from "./src/receiver/index.ts";
				export const nodeGlobals = ["process", "Buffer", "require", "global", "setImmediate"].filter((name) => name in globalThis);
				export function setup(secrets, clock) {
					const store = memoryStore();
					const bus = createBus({ store });
					const received = [];
					bus.on("**", (data, event) => received.push([event.id, data]));
					cloudEvents({ verify: { token: "a-token-of-the-shop" } });
					return { received, bus, receiver: createReceiver({ secrets, bus, clock, dedupe: store }) };
				}`,
			...{ resolveDir: ".", loader: "js" },
		},
		...{ bundle: true, platform: "neutral", mainFields: ["module", "main"], conditions: ["import"] },
		...{ format: "iife", globalName: "worker", write: false },
	});
	const context = createContext({ ...webGlobals });
	runInContext(outputFiles[0]?.text ?? "", context);
	const { nodeGlobals, setup: open } = runInContext("worker", context) as {
		readonly nodeGlobals: readonly string[];
		setup(
			secrets: string,
			clock: object,
		): ReturnType<typeof setup> & { readonly bus: ReturnType<typeof createBus> };
	};
	expect(nodeGlobals).toEqual([]);
	const { receiver, received, bus } = open(secret, standingClock);
	onTestFinished(() => bus.close());
	expect((await receiver.fetch(signedRequest(event))).status).toBe(202);
	expect(await (await receiver.fetch(signedRequest(event))).json()).toEqual({ ignored: "DUPLICATE" });
	const forged = signedRequest(event, { headers: { "webhook-id": "msg_2" } });
	expect((await receiver.fetch(forged)).status).toBe(401);
	// Of another realm, so compared as text.
	expect(JSON.stringify(received)).toBe(JSON.stringify([["msg_1", event.data]]));
});
