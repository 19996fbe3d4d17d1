import http from "node:http";
import { type BusEvent, createBus, memoryStore } from "callhook";
import { cloudEvents, createReceiver, toNodeHandler } from "callhook/receiver";
import { CloudEvent, HTTP, type Message } from "cloudevents";
import { expect, onTestFinished, test } from "vitest";
import { listen } from "../support/listener.ts";

const token = "a-token-of-the-shop";

async function setup() {
	const bus = createBus({ store: memoryStore() });
	onTestFinished(() => bus.close());
	const received: BusEvent[] = [];
	bus.on("**", (_, event) => received.push(event));
	const preset = cloudEvents({ verify: { token } });
	const receiver = createReceiver({ preset, bus, dedupe: memoryStore() });
	const { port } = await listen(http.createServer(toNodeHandler(receiver)));
	/** Sends as the package says, with what else is given. */
	async function send({ headers, body }: Message<unknown>, more: Record<string, string> = {}) {
		const given = { ...(headers as Record<string, string>), authorization: `Bearer ${token}`, ...more };
		const response = await fetch(`http://127.0.0.1:${port}/`, {
			...{ method: "POST", headers: given, body: body as string | Uint8Array<ArrayBuffer> },
		});
		return [response.status, await response.text()];
	}
	return { received, send };
}

const fields = { type: "com.example.order.paid", source: "https://shop.example/a", subject: "o-1" };
const structured = (event: CloudEvent<unknown>) => HTTP.structured(event);
const binary = (event: CloudEvent<unknown>) => HTTP.binary(event);
const batch = (...events: CloudEvent<unknown>[]): Message => ({
	headers: { "content-type": "application/cloudevents-batch+json; charset=utf-8" },
	body: JSON.stringify(events),
});

test.each([
	["structured", structured],
	["binary", binary],
	["batch", batch],
] as const)("messages of the cloudevents package, %s: each runs once", async (_, write) => {
	const { received, send } = await setup();
	const event = new CloudEvent({ ...fields, data: { note: "é" } });
	expect(await send(write(event))).toEqual([202, ""]);
	expect(await send(write(event))).toEqual([200, '{"ignored":"DUPLICATE"}']);
	// The same id of another source is another event.
	expect(await send(write(event.cloneWith({ source: "https://shop.example/b" })))).toEqual([202, ""]);
	expect(received).toMatchObject(
		["https://shop.example/a", "https://shop.example/b"].map((source) => ({
			...{ type: fields.type, subject: "o-1", time: event.time, data: { note: "é" } },
			metadata: { webhook: { hops: 1, source, id: event.id } },
		})),
	);
	expect(new Set(received.map(({ id }) => id)).size).toBe(2);
});

test("data of every kind the package can write", async () => {
	const { received, send } = await setup();
	const bytes = new Uint8Array([0, 1, 255]);
	const events = [
		new CloudEvent<unknown>({ ...fields, data: "plain", datacontenttype: "text/plain" }),
		new CloudEvent<unknown>({ ...fields, data: "<a/>", datacontenttype: "application/xml" }),
		new CloudEvent<unknown>({ ...fields, data: bytes, datacontenttype: "application/octet-stream" }),
		new CloudEvent<unknown>({ ...fields }),
	];
	for (const event of events) expect((await send(structured(event)))[0]).toBe(202);
	expect(received.map(({ data }) => data)).toEqual(["plain", "<a/>", "AAH/", null]);
	received.length = 0;
	for (const event of events) {
		// Another event, since the id was seen.
		expect((await send(binary(event.cloneWith({ source: "/b" }))))[0]).toBe(202);
	}
	expect(received.map(({ data }) => data)).toEqual(["plain", "<a/>", "AAH/", null]);
});

test("a batch: each event has its own repeat", async () => {
	const { received, send } = await setup();
	const [a, b, c] = ["a", "b", "c"].map((id) => new CloudEvent({ ...fields, id, data: id })) as [
		...CloudEvent<string>[],
	] as [CloudEvent<string>, CloudEvent<string>, CloudEvent<string>];
	expect((await send(batch(a, b)))[0]).toBe(202);
	expect((await send(batch(b, c)))[0]).toBe(202);
	expect((await send(batch(a, b, c)))[0]).toBe(200);
	expect(received.map(({ data }) => data)).toEqual(["a", "b", "c"]);
});

test("without the token, and of another version, nothing is taken", async () => {
	const { received, send } = await setup();
	const event = new CloudEvent({ ...fields, data: {} });
	for (const message of [structured(event), binary(event), batch(event)]) {
		expect((await send(message, { authorization: "Bearer wrong-wrong-wrong" }))[0]).toBe(401);
	}
	expect(await send(binary(event), { "ce-specversion": "0.3" })).toEqual([
		400,
		'{"error":"ERR_CALLHOOK_CLOUDEVENTS_VERSION"}',
	]);
	expect(received).toEqual([]);
});
