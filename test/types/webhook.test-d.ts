import { createBus, defineEvents, memoryStore } from "callhook";
import { createWebhookBridge, type WebhookBridge } from "callhook/webhook";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

const events = defineEvents({
	"order.paid": z.object({ total: z.int(), customer: z.object({ country: z.string() }) }),
	"order.shipped": z.object({ carrier: z.string() }),
	"user.created": z.object({ email: z.string() }),
});
const url = "https://hook.example/";

function make() {
	return createWebhookBridge(createBus({ events, store: memoryStore() }), { forward: ["**"] });
}

describe("endpoints.create() - where", () => {
	test("knows the data of the events that are asked for", () => {
		const bridge = make();
		void bridge.endpoints.create({ url, events: ["order.paid"], where: { "data.total": { gte: 1_000 } } });
		void bridge.endpoints.create({
			...{ url, events: ["order.*"] },
			where: { or: [{ "data.customer.country": "DE" }, { "data.carrier": { prefix: "d" } }] },
		});
		void bridge.endpoints.create({ url, events: ["order.*"], where: { type: "order.paid" } });
		// @ts-expect-error -- no such path
		void bridge.endpoints.create({ url, events: ["order.paid"], where: { "data.totl": 1 } });
		// @ts-expect-error -- a path of another event
		void bridge.endpoints.create({ url, events: ["user.*"], where: { "data.total": 1 } });
		// @ts-expect-error -- a text where there is a number
		void bridge.endpoints.create({ url, events: ["order.paid"], where: { "data.total": { gte: "1" } } });
	});

	test("takes any path where the types of events are not known", () => {
		const bridge = createWebhookBridge(createBus({ store: memoryStore() }), { forward: ["**"] });
		void bridge.endpoints.create({
			url,
			events: ["order.*"],
			where: { "data.whatever.0": { in: [1, "a"] } },
		});
		const list = ["order.*"];
		void bridge.endpoints.create({ url, events: list, where: { "data.a": 1 } });
	});

	test("takes patterns that come from elsewhere", () => {
		const list: string[] = ["order.*"];
		void make().endpoints.create({ url, events: list, where: { "data.total": 1 } });
	});
});

test("a bridge of known types is a bridge", () => {
	expectTypeOf(make()).toExtend<WebhookBridge>();
});
