import { Webhook } from "standardwebhooks";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { connectBridge, setupBridge } from "../../test/support/bridge.ts";
import type { ReceivedWebhook } from "../../test/support/http-receiver.ts";
import { codeOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { createBus } from "../bus/index.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { type BridgeOptions, createWebhookBridge } from "./index.ts";

const always = (status: number) => () => status;
const startMs = Date.parse("2026-01-02T03:04:05.678Z");

/** The signature that the library of Standard Webhooks gives this very message. */
function signatureOf(secret: string, { id, headers, text }: ReceivedWebhook): string {
	return new Webhook(secret).sign(id, new Date(Number(headers["webhook-timestamp"]) * 1_000), text);
}

/** When an attempt was made, in seconds from the start. */
function secondsOf({ headers }: ReceivedWebhook): number {
	return Number(headers["webhook-timestamp"]) - Math.floor(startMs / 1_000);
}

describe("createWebhookBridge()", () => {
	const options = { forward: ["order.*"] };

	test("refuses a bus without a store", () => {
		expect(codeOf(() => createWebhookBridge(createBus(), options))).toBe("ERR_CALLHOOK_STORE_REQUIRED");
	});

	test("refuses a second bridge on one bus, until the first has stopped", async () => {
		const bus = createBus({ store: memoryStore() });
		const first = createWebhookBridge(bus, options);
		expect(codeOf(() => createWebhookBridge(bus, options))).toBe("ERR_CALLHOOK_TARGET_EXISTS");
		await first.stop();
		await createWebhookBridge(bus, options).stop();
	});

	test("refuses options that cannot work, and takes nothing of the bus for them", async () => {
		const bus = createBus({ store: memoryStore() });
		const wrong = [
			undefined,
			{ forward: [] },
			{ ...options, network: { allow: ["x"] } },
			{ ...options, network: null },
		];
		for (const value of wrong) {
			expect(codeOf(() => createWebhookBridge(bus, value as BridgeOptions))).toBe(
				"ERR_CALLHOOK_INVALID_OPTION",
			);
		}
		expect(codeOf(() => createWebhookBridge(bus, { forward: ["a*"] }))).toBe("ERR_CALLHOOK_INVALID_PATTERN");
		await createWebhookBridge(bus, options).stop();
	});
});

describe("what is sent", () => {
	test("is the payload of Standard Webhooks and no more, signed, with the headers it needs", async () => {
		const clock = fakeClock({ now: startMs });
		const { bus, receiver, endpoint } = await setupBridge({
			clock,
			decide: always(204),
			options: { userAgent: "Shop/1.0" },
		});
		const { secret } = await endpoint({}, "/hooks?tenant=7");
		const data = { orderId: "o_1", total: 4_200, note: "naïve €", nested: { list: [1, null] } };
		const { event } = bus.emit("order.paid", data, {
			time: "2026-01-01T12:00:00+02:00",
			key: "o_1",
			subject: "subject",
			correlationId: "c_1",
			metadata: { internal: true },
		});
		const webhook = await receiver.webhooks.next();
		expect(webhook.text).toBe(
			`{"type":"order.paid","timestamp":"2026-01-01T10:00:00.000Z","data":${JSON.stringify(data)}}`,
		);
		expect(webhook.path).toBe("/hooks?tenant=7");
		expect(webhook.headers).toStrictEqual({
			host: `127.0.0.1:${receiver.port}`,
			connection: "keep-alive",
			"content-type": "application/json",
			"content-length": String(Buffer.byteLength(webhook.text)),
			"user-agent": "Shop/1.0",
			"webhook-id": event.id,
			"webhook-timestamp": String(Math.floor(startMs / 1_000)),
			"webhook-signature": signatureOf(secret, webhook),
		});
	});

	test("has the traceparent of the event as a header, and no such header without one", async () => {
		const { bus, receiver, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint();
		const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
		bus.emit("order.paid", {}, { traceparent });
		expect((await receiver.webhooks.next()).headers.traceparent).toBe(traceparent);
		bus.emit("order.paid", {});
		expect((await receiver.webhooks.next()).headers).not.toHaveProperty("traceparent");
	});

	test("has the traceparent in each of its attempts", async () => {
		const statuses = [500, 204];
		const { bus, clock, receiver, endpoint, failed } = await setupBridge({ decide: () => statuses.shift() });
		await endpoint();
		const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
		bus.emit("order.paid", {}, { traceparent });
		await failed.next();
		await clock.advance(5_000);
		const webhooks = await receiver.webhooks.take(2);
		expect(webhooks.map(({ headers }) => headers.traceparent)).toEqual([traceparent, traceparent]);
	});

	test("is what was emitted, whatever happens to the data afterwards", async () => {
		const { bus, receiver, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint();
		const data = { items: ["a"] };
		bus.on("order.paid", (seen) => (seen as typeof data).items.push("by a callback"));
		bus.emit("order.paid", data);
		data.items.push("by the emitter");
		expect((await receiver.webhooks.next()).message.data).toEqual({ items: ["a"] });
	});

	test("is null for an event without data", async () => {
		const { bus, receiver, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint();
		bus.emit("order.paid", undefined);
		expect((await receiver.webhooks.next()).message.data).toBeNull();
	});

	test("goes out whatever the metadata says of itself as JSON", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		await endpoint();
		for (const json of [null, 5, [], { webhook: null }]) {
			bus.emit("order.paid", {}, { metadata: { toJSON: () => json } });
			await bridge.idle();
		}
		expect(receiver.webhooks.items).toHaveLength(4);
	});

	test("has the id that the event was given", async () => {
		const { bus, receiver, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint();
		bus.emit("order.paid", {}, { id: "order-1" });
		expect((await receiver.webhooks.next()).id).toBe("order-1");
	});

	test("is nothing when emit throws, and nothing for a repeated idempotency key", async () => {
		const clock = fakeClock();
		const { receiver } = await setupBridge({ clock, decide: always(204) });
		const schema = z.object({ id: z.string() });
		const bus = createBus({
			events: defineEvents({ "order.paid": schema, "order.any": z.unknown() }),
			store: memoryStore({ clock }),
			clock,
		});
		const bridge = createWebhookBridge(bus, {
			forward: ["**"],
			network: { allow: [`127.0.0.1:${receiver.port}`], allowHttp: true },
		});
		await bridge.endpoints.create({ url: receiver.origin, events: ["**"] });
		const emit = bus.emit as (type: string, data: unknown, options?: object) => unknown;
		expect(codeOf(() => emit("order.paid", { id: 1 }))).toBe("ERR_CALLHOOK_INVALID_DATA");
		expect(codeOf(() => emit("order.lost", {}))).toBe("ERR_CALLHOOK_UNKNOWN_EVENT_TYPE");
		expect(codeOf(() => emit("order.any", 1n))).toBe("ERR_CALLHOOK_NOT_SERIALIZABLE");
		expect(codeOf(() => emit("order.paid", { id: "x" }, { id: "a.b" }))).toBe("ERR_CALLHOOK_INVALID_OPTION");
		emit("order.paid", { id: "first", stripped: true }, { idempotencyKey: "k" });
		emit("order.paid", { id: "again" }, { idempotencyKey: "k" });
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ message }) => message.data)).toEqual([{ id: "first" }]);
		await bridge.stop();
	});
});

describe("forward", () => {
	test("is the only way out, whatever an endpoint asks for", async () => {
		const { bus, bridge, store, receiver, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint({ events: ["**"] });
		for (const type of ["user.created", "order", "order.item.sold", "orders.paid", "order.paid"])
			bus.emit(type, {});
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ message }) => message.type)).toEqual(["order.paid"]);
		expect((await store.query({}, {})).items.map(({ type }) => type)).toEqual(["order.paid"]);
	});

	test("holds for what an earlier process left in the store, which is a newer one's for an hour", async () => {
		const clock = fakeClock();
		const earlier = await setupBridge({
			clock,
			decide: ({ message }) => (message.type === "order.paid" ? 503 : 204),
		});
		await earlier.endpoint();
		earlier.bus.emit("order.paid", {});
		await earlier.failed.next();
		await earlier.bridge.stop();
		const { receiver, store } = earlier;
		const later = connectBridge(receiver, store, clock, { forward: ["user.*"] });
		await clock.advance(5_000);
		later.bus.emit("user.created", {});
		await later.delivered.next();
		const left = async () => (await later.bridge.deliveries.list({ type: "order.paid" })).items;
		// As if it had not been claimed.
		expect(await left()).toMatchObject([{ state: "waiting", attempts: [{ status: 503 }] }]);
		await clock.advance(3_600_000);
		await later.bridge.idle();
		expect(receiver.webhooks.items.map(({ message }) => message.type)).toEqual([
			"order.paid",
			"user.created",
		]);
		expect(await left()).toMatchObject([{ state: "cancelled", attempts: [{ status: 503 }] }]);
	});
});

describe("endpoints", () => {
	test("get what their patterns ask for, once, however many of them match", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({
			decide: always(204),
			options: { forward: ["**"] },
		});
		await endpoint({ events: ["order.paid"] }, "/exact");
		await endpoint({ events: ["order.*", "order.paid", "**"] }, "/several");
		await endpoint({ events: ["*.created", "order.item.*"] }, "/segments");
		await endpoint({ events: ["order.**"] }, "/deep");
		for (const type of ["order.paid", "user.created", "order.item.sold"]) bus.emit(type, {});
		await bridge.idle();
		const got = receiver.webhooks.items.map(({ path, message }) => `${path} ${message.type}`);
		expect(got.sort()).toEqual(
			[
				"/exact order.paid",
				"/several order.paid",
				"/several user.created",
				"/several order.item.sold",
				"/segments user.created",
				"/segments order.item.sold",
				"/deep order.paid",
				"/deep order.item.sold",
			].sort(),
		);
	});

	test("get nothing that was emitted before they were there", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: always(204) });
		bus.emit("order.paid", { number: 1 });
		await bridge.idle();
		await endpoint();
		bus.emit("order.paid", { number: 2 });
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ message }) => message.data)).toEqual([{ number: 2 }]);
	});

	test("sign each with its own secret", async () => {
		const { bus, receiver, endpoint } = await setupBridge({ decide: always(204) });
		const secrets = new Map<string, string>();
		for (const path of ["/a", "/b"]) secrets.set(path, (await endpoint({}, path)).secret);
		bus.emit("order.paid", {});
		for (const webhook of await receiver.webhooks.take(2)) {
			const secret = secrets.get(webhook.path) as string;
			expect(webhook.headers["webhook-signature"]).toBe(signatureOf(secret, webhook));
		}
		expect(new Set(secrets.values()).size).toBe(2);
	});

	test("that are deleted get nothing more: what waited is cancelled, and idle() does not wait for it", async () => {
		const { bus, bridge, clock, receiver, failed, endpoint } = await setupBridge({
			decide: ({ path }) => (path === "/gone" ? 503 : 204),
		});
		const gone = await endpoint({}, "/gone");
		await endpoint({}, "/stays");
		bus.emit("order.paid", { number: 1 });
		await failed.next();
		expect(await bridge.endpoints.delete(gone.id)).toBe(true);
		await bridge.idle();
		await clock.advance(5_000);
		bus.emit("order.paid", { number: 2 });
		await bridge.idle();
		expect(receiver.webhooks.items.filter(({ path }) => path === "/gone")).toHaveLength(1);
		expect(receiver.webhooks.items.filter(({ path }) => path === "/stays")).toHaveLength(2);
		expect((await bridge.deliveries.list({ endpointId: gone.id })).items).toMatchObject([
			{ state: "cancelled", attempts: [{ status: 503 }] },
		]);
	});

	test("that are deleted while they are called are not called again", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge();
		const { id } = await endpoint();
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		await bridge.endpoints.delete(id);
		webhook.answer(503);
		await bridge.idle();
		expect((await bridge.deliveries.list()).items).toMatchObject([{ state: "cancelled" }]);
	});
});

describe("retries", () => {
	test("follow the schedule to the last attempt: one id, a new timestamp and signature each time", async () => {
		const clock = fakeClock({ now: startMs });
		const { bus, bridge, receiver, failed, dead, endpoint } = await setupBridge({
			clock,
			decide: always(503),
		});
		const { id: endpointId, secret } = await endpoint();
		const { event } = bus.emit("order.paid", {});
		const webhooks = [await receiver.webhooks.next()];
		for (const delayMs of [5_000, 300_000]) {
			await failed.next();
			const { items } = await bridge.deliveries.list();
			const nextAttemptAt = new Date(clock.now() + delayMs).toISOString();
			expect(items).toMatchObject([{ state: "waiting", nextAttemptAt }]);
			await clock.advance(delayMs);
			webhooks.push(await receiver.webhooks.next());
		}
		await dead.next();
		expect(webhooks.map(secondsOf)).toEqual([0, 5, 305]);
		expect(webhooks.map(({ id }) => id)).toEqual(Array(3).fill(event.id));
		expect(new Set(webhooks.map(({ text }) => text)).size).toBe(1);
		for (const webhook of webhooks)
			expect(webhook.headers["webhook-signature"]).toBe(signatureOf(secret, webhook));
		expect(new Set(webhooks.map(({ headers }) => headers["webhook-signature"])).size).toBe(3);
		const headers = { requestHeaders: expect.any(Object), responseHeaders: expect.any(Object) };
		const response = { status: 503, ...headers, responseBody: "" };
		const attempt = { durationMs: expect.any(Number), outcome: "failed", ...response };
		const startedAt = (seconds: number) => new Date(startMs + seconds * 1_000).toISOString();
		expect((await bridge.deliveries.list()).items).toStrictEqual([
			{
				id: expect.stringMatching(/^dlv_/),
				eventId: event.id,
				endpointId,
				type: "order.paid",
				state: "dead",
				addedAt: startedAt(0),
				endedAt: startedAt(305),
				attempts: [
					{ ...attempt, number: 1, startedAt: startedAt(0) },
					{ ...attempt, number: 2, startedAt: startedAt(5) },
					{ ...attempt, number: 3, startedAt: startedAt(305) },
				],
			},
		]);
	});

	test("end with the first success", async () => {
		const answers = [503, 301, 200];
		const { bus, bridge, clock, receiver, failed, delivered, endpoint } = await setupBridge({
			decide: () => answers.shift(),
		});
		await endpoint();
		bus.emit("order.paid", {});
		for (const delayMs of [5_000, 300_000]) {
			await failed.next();
			await clock.advance(delayMs);
		}
		await delivered.next();
		await bridge.idle();
		const [delivery] = (await bridge.deliveries.list()).items;
		expect(delivery).toMatchObject({
			state: "delivered",
			attempts: [{ status: 503 }, { status: 301 }, { status: 200 }],
		});
		expect(receiver.webhooks.items).toHaveLength(3);
	});

	test("come later by the jitter, and never earlier", async () => {
		const { bus, bridge, clock, failed, endpoint } = await setupBridge({
			decide: always(500),
			options: { retry: { delaysMs: [10_000], jitter: 0.5 } },
		});
		await endpoint();
		for (const [random, delayMs] of [
			[0, 10_000],
			[0.5, 12_500],
		] as const) {
			const spy = vi.spyOn(Math, "random").mockReturnValue(random);
			bus.emit("order.paid", {});
			expect(await failed.next()).toMatchObject({ retryInMs: delayMs });
			spy.mockRestore();
			const [newest] = (await bridge.deliveries.list()).items;
			expect(newest?.nextAttemptAt).toBe(new Date(clock.now() + delayMs).toISOString());
			await clock.advance(1);
		}
	});

	test("follow a deadline that passed, the endpoint's own if it has one", async () => {
		const { bus, clock, receiver, failed, endpoint } = await setupBridge({ options: { timeoutMs: 2_000 } });
		const ids = [(await endpoint({}, "/default")).id, (await endpoint({ timeoutMs: 500 }, "/own")).id];
		bus.emit("order.paid", {});
		await receiver.webhooks.take(2);
		await clock.advance(500);
		const attempt = { outcome: "failed", errorCode: "ERR_CALLHOOK_TIMEOUT" };
		expect(await failed.next()).toMatchObject({ target: ids[1], attempt: { ...attempt, durationMs: 500 } });
		await clock.advance(1_500);
		expect(await failed.next()).toMatchObject({ target: ids[0], attempt: { ...attempt, durationMs: 2_000 } });
	});

	test("are not made after a refusal by the guard, which judges anew at each attempt", async () => {
		const answers = ["93.184.215.14", "10.0.0.1"];
		const lookup = async () => [{ address: answers.shift() as string, family: 4 as const }];
		const { bus, bridge, receiver, dead, endpoint } = await setupBridge({ options: { network: { lookup } } });
		await endpoint({ url: "https://hook.example/" });
		bus.emit("order.paid", {});
		expect(await dead.next()).toMatchObject({
			attempts: 1,
			attempt: { errorCode: "ERR_CALLHOOK_URL_REFUSED" },
		});
		await bridge.idle();
		expect(receiver.webhooks.items).toEqual([]);
	});
});

describe("signals", () => {
	test("tell of each attempt and of the end, with the same facts as the store", async () => {
		const { bus, bridge, clock, delivered, failed, dead, endpoint } = await setupBridge({
			decide: ({ path }) => (path === "/good" ? 200 : 500),
			options: { retry: { delaysMs: [1_000], jitter: 0 } },
		});
		const good = await endpoint({}, "/good");
		const bad = await endpoint({}, "/bad");
		const { event } = bus.emit("order.paid", {});
		await failed.next();
		await clock.advance(1_000);
		await dead.next();
		await bridge.idle();
		const attemptsOf = async (endpointId: string) =>
			(await bridge.deliveries.list({ endpointId })).items[0]?.attempts;
		const [once] = (await attemptsOf(good.id)) ?? [];
		const [first, second] = (await attemptsOf(bad.id)) ?? [];
		const common = {
			deliveryId: expect.stringMatching(/^dlv_/),
			eventId: event.id,
			type: "order.paid",
			group: "webhooks",
		};
		const badly = { ...common, target: bad.id };
		expect(delivered.items).toStrictEqual([{ ...common, target: good.id, attempts: 1, attempt: once }]);
		expect(failed.items).toStrictEqual([
			{ ...badly, attempts: 1, attempt: first, retryInMs: 1_000 },
			{ ...badly, attempts: 2, attempt: second, retryInMs: undefined },
		]);
		expect(dead.items).toStrictEqual([{ ...badly, attempts: 2, attempt: second }]);
		expect([once?.status, first?.status, second?.status]).toEqual([200, 500, 500]);
	});

	test("cannot be broken by an observer", async () => {
		const { bus, bridge, errors, delivered, endpoint } = await setupBridge({ decide: always(204) });
		await endpoint();
		const fault = new Error("observer");
		bus.observe("delivery:delivered", () => {
			throw fault;
		});
		bus.emit("order.paid", {});
		await delivered.next();
		await bridge.idle();
		expect((await bridge.deliveries.list()).items).toMatchObject([{ state: "delivered" }]);
		expect(errors.splice(0)).toEqual([fault]);
	});
});

describe("idle()", () => {
	test("resolves at once where there is nothing, and where nobody listens", async () => {
		const { bus, bridge } = await setupBridge();
		await bridge.idle();
		bus.emit("order.paid", {});
		bus.emit("user.created", {});
		await bridge.idle();
	});

	test("waits for requests under way and for retries to come", async () => {
		const { bus, bridge, clock, receiver, failed, endpoint } = await setupBridge();
		await endpoint();
		bus.emit("order.paid", {});
		const idle = watch(bridge.idle());
		(await receiver.webhooks.next()).answer(503);
		await failed.next();
		await clock.advance(4_999);
		expect(idle.isOver).toBe(false);
		await clock.advance(1);
		const webhook = await receiver.webhooks.next();
		expect(idle.isOver).toBe(false);
		webhook.answer(204);
		await idle.promise;
		await bridge.idle();
	});
});
