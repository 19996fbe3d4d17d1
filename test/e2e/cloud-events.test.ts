import { createBus, defineEvents, memoryStore } from "callhook";
import { createWebhookBridge, type EndpointInput } from "callhook/webhook";
import { type CloudEvent, HTTP } from "cloudevents";
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { type ReceivedWebhook, startReceiver } from "../support/http-receiver.ts";

const events = defineEvents({
	"order.paid": { schema: z.object({ note: z.string(), total: z.number() }), version: 3 },
	"order.noted": z.object({ note: z.string(), total: z.number() }),
});
const source = "/shop/caf%C3%A9?branch=1";
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/** Texts that a header cannot hold as they are, or that mean something else there. */
const texts = [
	"orders/1",
	"größer — 日本 😀",
	'100 % "sure", 50%25 and %41',
	"a b\tc\r\nx-injected: 1",
	"~!#$&'()*+,-./:;<=>?@[\\]^_`{|}",
	"é combining é, \u00a0 and \u{1f469}\u200d\u{1f4bb}",
] as const;

/** What a receiver that knows only CloudEvents makes of a request. */
function read({ headers, text }: ReceivedWebhook): CloudEvent<unknown> {
	const event = HTTP.toEvent({ headers, body: text });
	if (Array.isArray(event)) throw new Error("a batch");
	return event as CloudEvent<unknown>;
}

/** The SDK leaves attributes of headers as they came: decoding them is up to who reads them. */
function decode(event: CloudEvent<unknown>): Record<string, unknown> {
	const { data, ...attributes } = event.toJSON();
	const decoded = Object.entries(attributes)
		.filter((entry): entry is [string, string] => typeof entry[1] === "string")
		.map(([name, value]) => [name, decodeURIComponent(value)]);
	return { ...Object.fromEntries(decoded), data };
}

async function setup(format: EndpointInput["format"]) {
	const receiver = await startReceiver(() => 204);
	const errors: unknown[] = [];
	const bus = createBus({ events, source, store: memoryStore(), onError: (error) => errors.push(error) });
	const bridge = createWebhookBridge(bus, {
		forward: ["order.*"],
		network: { allow: [`127.0.0.1/32:${receiver.port}`], allowHttp: true },
	});
	onTestFinished(async () => {
		await bridge.stop({ timeoutMs: 0 });
		expect(errors).toEqual([]);
	});
	const { secret } = await bridge.endpoints.create({ url: receiver.origin, events: ["**"], format });
	return { bus, bridge, receiver, webhook: new Webhook(secret) };
}

describe.each(["cloudevents-structured", "cloudevents-binary"] as const)("%s", (format) => {
	const shown = format === "cloudevents-binary" ? decode : (event: CloudEvent<unknown>) => event.toJSON();

	test("is read by the SDK of CloudEvents, and verified by that of Standard Webhooks, whatever it holds", async () => {
		const { bus, bridge, receiver, webhook } = await setup(format);
		for (const [total, text] of texts.entries()) {
			const emission = bus.emit(
				"order.paid",
				{ note: text, total },
				{
					...{ subject: text, key: `key ${text}`, correlationId: `cor ${text}` },
					...{ traceparent, time: "2026-01-02T03:04:05.678Z", metadata: { hidden: text } },
				},
			);
			await bridge.idle();
			const received = await receiver.webhooks.next();
			expect(webhook.verify(received.text, received.headers as Record<string, string>)).toBeDefined();
			const event = read(received);
			expect(event.validate()).toBe(true);
			expect(shown(event)).toEqual({
				...{ specversion: "1.0", id: emission.event.id, source, type: "order.paid", subject: text },
				...{ time: "2026-01-02T03:04:05.678Z", datacontenttype: "application/json" },
				...{ partitionkey: `key ${text}`, correlationid: `cor ${text}`, dataversion: "3", traceparent },
				data: { note: text, total },
			});
			expect(received.id).toBe(emission.event.id);
			expect(received.headers).toMatchObject({ traceparent });
			expect(received.headers).not.toHaveProperty("x-injected");
		}
	});

	test("has no attribute that the event has not, and names the event that caused it", async () => {
		const { bus, bridge, receiver } = await setup(format);
		bus.on("order.paid", () => void bus.emit("order.noted", { note: "", total: 0 }));
		const { event: cause } = bus.emit("order.paid", { note: "", total: 1 });
		await bridge.idle();
		const [first, second] = (await receiver.webhooks.take(2)).map(read).map(shown);
		const byType = new Map([first, second].map((each) => [each?.type, each]));
		const common = {
			specversion: "1.0",
			source,
			time: expect.any(String),
			datacontenttype: "application/json",
		};
		expect(byType.get("order.paid")).toEqual({
			...{ ...common, id: cause.id, type: "order.paid", dataversion: "3", data: { note: "", total: 1 } },
		});
		expect(byType.get("order.noted")).toEqual({
			...{ ...common, id: expect.any(String), type: "order.noted", data: { note: "", total: 0 } },
			...{ causationid: cause.id, correlationid: cause.id },
		});
	});

	test("cannot be changed on the way: the body is signed", async () => {
		const { bus, bridge, receiver, webhook } = await setup(format);
		bus.emit("order.paid", { note: "größer", total: 10 });
		await bridge.idle();
		const { text, headers } = await receiver.webhooks.next();
		const changed = text.replace("10", "11");
		expect(changed).not.toBe(text);
		expect(() => webhook.verify(changed, headers as Record<string, string>)).toThrow();
	});
});

test("an event that the SDK has read it writes again as it was", async () => {
	const { bus, bridge, receiver } = await setup("cloudevents-structured");
	bus.emit("order.paid", { note: "größer", total: 1 }, { subject: "a b", key: "k" });
	await bridge.idle();
	const event = read(await receiver.webhooks.next());
	const again = HTTP.toEvent(HTTP.structured(event)) as CloudEvent<unknown>;
	expect(again.toJSON()).toEqual(event.toJSON());
});
