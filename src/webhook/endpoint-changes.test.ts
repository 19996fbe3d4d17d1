import { describe, expect, test, vi } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { isCallhookError } from "../errors.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createWebhookBridge, type EndpointChanges, type EndpointInput } from "./index.ts";

const input = { url: "https://hook.example/a", events: ["order.*"] };

/** A bridge that sends nothing. */
function setup() {
	const lookup = vi.fn(async () => [{ address: "93.184.215.14", family: 4 as const }]);
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const bus = createBus({ store, clock, outbox: { deliver: false } });
	const bridge = createWebhookBridge(bus, {
		...{ forward: ["**"], network: { lookup } },
		filters: { paid: () => true },
		transforms: { slim: () => ({}) },
	});
	const api = bridge.endpoints;
	const create = (fields: Partial<EndpointInput> = {}) => api.create({ ...input, ...fields });
	const updated: string[] = [];
	bus.observe("endpoint:updated", ({ url }) => void updated.push(url));
	return { api, bridge, bus, clock, create, store, lookup, updated };
}

/** What may be taken away again, with a value for each. */
const optional: EndpointChanges = {
	tenant: "t1",
	description: "orders",
	where: { "data.total": { gte: 10 } },
	filter: "paid",
	transform: "slim",
	headers: { "x-a": "1" },
	rateLimit: { count: 1, perMs: 1_000 },
	timeoutMs: 500,
	retry: { delaysMs: [1], jitter: 0 },
	compress: "gzip",
};
const withDefaults: readonly (readonly [EndpointChanges, EndpointChanges])[] = [
	[{ concurrency: 9 }, { concurrency: 4 }],
	[{ order: "key" }, { order: "none" }],
	[{ format: "cloudevents-binary" }, { format: "standard" }],
];

describe("update()", () => {
	test.for(Object.entries(optional))("changes and takes away %s", async ([field, value], { expect }) => {
		const { api, create, clock } = setup();
		const before = await create();
		await clock.advance(1_000);
		const { secret: _, ...rest } = before;
		const changed = { ...rest, [field]: value, updatedAt: "2026-01-01T00:00:01.000Z" };
		expect(await api.update(before.id, { [field]: value })).toStrictEqual(changed);
		expect(await api.get(before.id)).toStrictEqual(changed);
		const { [field as "url"]: _gone, ...without } = changed;
		expect(await api.update(before.id, { [field]: null })).toStrictEqual(without);
		expect(await api.get(before.id)).toStrictEqual(without);
	});

	test.for(withDefaults)(
		"changes %o and goes back to the default by null",
		async ([to, back], { expect }) => {
			const { api, create } = setup();
			const { id } = await create();
			expect(await api.update(id, to)).toMatchObject(to);
			const nulled = Object.fromEntries(Object.keys(to).map((field) => [field, null]));
			expect(await api.update(id, nulled)).toMatchObject(back);
		},
	);

	test("changes the URL and the events, and asks the guard about a new URL only", async () => {
		const { api, create, lookup, updated } = setup();
		const { id } = await create();
		lookup.mockClear();
		await api.update(id, { events: ["user.*"], description: "x" });
		expect(lookup).not.toHaveBeenCalled();
		const url = "https://other.example/b";
		expect(await api.update(id, { url })).toMatchObject({ url, events: ["user.*"], description: "x" });
		expect(lookup).toHaveBeenCalledTimes(1);
		expect(updated).toEqual([input.url, url]);
		lookup.mockResolvedValueOnce([{ address: "10.0.0.1", family: 4 }]);
		const error = await rejectionOf(api.update(id, { url: "https://inner.example/" }));
		expect(error.code).toBe("ERR_CALLHOOK_URL_REFUSED");
		expect((await api.get(id))?.url).toBe(url);
	});

	test("leaves what is undefined as it is, for that is not given", async () => {
		const { api, create } = setup();
		const { id } = await create();
		await api.update(id, optional);
		const before = await api.get(id);
		const given = Object.keys(optional).map((field) => [field, undefined]);
		await api.update(id, {
			url: undefined,
			events: undefined,
			tenant: undefined,
			...Object.fromEntries(given),
		});
		expect(await api.get(id)).toEqual(before);
	});

	test("refuses what create() refuses, what cannot be changed, and to take away what must be there", async () => {
		const { api, create, updated } = setup();
		const { id } = await create();
		const wrong = [
			...[{ url: null }, { events: null }, { events: [] }, { url: "ftp://a.example/" }, { concurrency: 0 }],
			...[{ filter: "none" }, { transform: "none" }, { headers: { host: "a" } }, { where: { "data.a": {} } }],
			...[{ secret: "x" }, { signature: "v1a" }, { id: "ep_x" }, { state: "enabled" }, { unknown: 1 }],
		];
		for (const changes of wrong) {
			const error = await rejectionOf(api.update(id, changes));
			expect(error.code, JSON.stringify(changes)).toBe("ERR_CALLHOOK_INVALID_ENDPOINT");
		}
		for (const changes of [null, undefined, 5, "url"])
			expect(optionOf(await rejectionOf(api.update(id, changes as EndpointChanges)))).toBe("changes");
		expect(updated).toEqual([]);
		expect((await api.get(id))?.updatedAt).toBe((await api.get(id))?.createdAt);
	});

	test("and all else throws for an endpoint that there is not", async () => {
		const { api } = setup();
		const calls = [
			...[api.update("ep_x", {}), api.enable("ep_x"), api.disable("ep_x"), api.getSecrets("ep_x")],
			...[api.rotateSecret("ep_x"), api.ping("ep_x"), api.verify("ep_x")],
		];
		for (const call of calls) {
			const error = await rejectionOf(call);
			expect(isCallhookError(error, "ERR_CALLHOOK_UNKNOWN_ENDPOINT") && error.details).toEqual({
				endpointId: "ep_x",
			});
		}
	});

	test("and all else refuses an id that is no text, before the store is asked", async () => {
		const { api, store } = setup();
		const asked = vi.spyOn(store.endpoints, "get");
		const deleted = vi.spyOn(store.endpoints, "delete");
		const id = { a: "1" } as unknown as string;
		const calls = [
			...[api.get(id), api.update(id, {}), api.delete(id), api.enable(id), api.disable(id)],
			...[api.getSecrets(id), api.rotateSecret(id), api.ping(id), api.verify(id)],
		];
		for (const call of calls) expect(optionOf(await rejectionOf(call))).toBe("id");
		expect([asked, deleted].flatMap(({ mock }) => mock.calls)).toEqual([]);
	});

	test("at the same time as others loses nothing of them", async () => {
		const { api, create } = setup();
		const { id } = await create();
		const changes = Object.entries(optional);
		await Promise.all([
			...changes.map(([field, value]) => api.update(id, { [field]: value })),
			...[api.rotateSecret(id), api.rotateSecret(id), api.disable(id), api.disable(id)],
		]);
		const { headers, ...shown } = optional;
		expect(await api.get(id)).toMatchObject({ ...shown, headers, state: "disabled" });
		expect((await api.getSecrets(id)).previous).toHaveLength(2);
	});

	test("changes nothing when it throws within", async () => {
		const { api, create, store } = setup();
		const { id } = await create();
		const failure = new Error("disk full");
		vi.spyOn(store.endpoints, "put").mockRejectedValueOnce(failure);
		await expect(api.update(id, { description: "x" })).rejects.toBe(failure);
		expect(await api.get(id)).not.toHaveProperty("description");
	});
});

describe("list()", () => {
	test("by tenant, page by page, and hides what is secret", async () => {
		const { api, create } = setup();
		const headers = { "x-api-key": "hunter2", "x-region": "eu" };
		const ids: string[] = [];
		for (const tenant of ["a", "b", "a", undefined, "a"]) {
			const { id } = await create({ tenant, headers });
			if (tenant === "a") ids.push(id);
		}
		const first = await api.list({ tenant: "a", limit: 2 });
		const second = await api.list({ tenant: "a", limit: 2, cursor: first.cursor });
		expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
		expect(second.cursor).toBeUndefined();
		expect(first.items[0]?.headers).toEqual({ "x-api-key": "(hidden)", "x-region": "eu" });
		expect(JSON.stringify([first, second, await api.get(ids[0] as string)])).not.toContain("hunter2");
		expect(optionOf(await rejectionOf(api.list({ tenant: 5 as unknown as string })))).toBe("tenant");
	});
});

describe("disable() and enable()", () => {
	test("cancel what waits, let end what is under way, and begin with what comes from then on", async () => {
		const setup = await setupBridge({ options: { retry: { delaysMs: [60_000], jitter: 0 } } });
		const { bus, bridge, clock, receiver, endpoint, failed } = setup;
		const { id } = await endpoint({ concurrency: 2 });
		for (let number = 1; number <= 6; number++) bus.emit("order.paid", { number });
		const [one, two] = await receiver.webhooks.take(2);
		one?.answer(500);
		await failed.next();
		const three = await receiver.webhooks.next();
		const told: string[] = [];
		for (const name of ["disabled", "enabled"] as const)
			bus.observe(`endpoint:${name}`, () => void told.push(name));
		const [disabled] = await Promise.all([bridge.endpoints.disable(id), bridge.endpoints.disable(id)]);
		expect(disabled).toMatchObject({ state: "disabled", disabledReason: "manual" });
		bus.emit("order.paid", { number: 7 });
		two?.answer(204);
		three.answer(500);
		await bridge.idle();
		expect(told).toEqual(["disabled"]);
		const { items } = await bridge.deliveries.list();
		expect(
			items.map(({ state, attempts }) => `${state} ${attempts.map(({ status }) => status).join()}`),
		).toEqual([
			...["cancelled ", "cancelled ", "cancelled ", "cancelled 500", "delivered 204", "cancelled 500"],
		]);
		await clock.advance(60_000);
		expect(receiver.webhooks.items).toHaveLength(3);
		expect(await bridge.endpoints.enable(id)).not.toHaveProperty("disabledReason");
		await bridge.endpoints.enable(id);
		expect(told).toEqual(["disabled", "enabled"]);
		bus.emit("order.paid", { number: 8 });
		const last = await receiver.webhooks.next();
		expect(last.message.data).toEqual({ number: 8 });
		last.answer(204);
		await bridge.idle();
	});
});

describe("ping()", () => {
	test("sends a signed event whatever the state is, and keeps nothing of it", async () => {
		const { bridge, receiver, endpoint } = await setupBridge({
			decide: () => 418,
			options: { transforms: { t: () => null } },
		});
		const { id } = await endpoint({ transform: "t", events: ["order.paid"] });
		await bridge.endpoints.disable(id);
		const attempt = await bridge.endpoints.ping(id);
		expect(attempt).toMatchObject({ number: 1, outcome: "failed", status: 418 });
		const webhook = await receiver.webhooks.next();
		expect(webhook.message).toMatchObject({ type: "webhook.ping", data: {} });
		expect(webhook.headers).toHaveProperty("webhook-signature");
		expect(JSON.stringify(attempt)).not.toContain("webhook-signature");
		expect((await bridge.deliveries.list()).items).toEqual([]);
		expect(await bridge.endpoints.get(id)).not.toHaveProperty("failingSince");
	});

	test("gives the error of what cannot be reached", async () => {
		const { bridge, endpoint, receiver, clock } = await setupBridge({ options: { timeoutMs: 1_000 } });
		const { id } = await endpoint();
		const pinged = bridge.endpoints.ping(id);
		await receiver.webhooks.next();
		await clock.advance(1_000);
		expect(await pinged).toMatchObject({ outcome: "failed", errorClass: "timeout" });
	});
});

describe("custom headers", () => {
	test("are sent, those of a transform before those of the endpoint, each once in whatever spelling", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({
			decide: () => 204,
			options: { transforms: { t: () => ({ headers: { "X-Both": "transform", "x-only": "t" } }) } },
		});
		await endpoint({ transform: "t", headers: { "x-both": "endpoint", "X-Own": "e" } });
		bus.emit("order.paid", { a: 1 });
		const { headers, message } = await receiver.webhooks.next();
		expect(headers).toMatchObject({ "x-both": "transform", "x-only": "t", "x-own": "e" });
		expect(message.data).toEqual({ a: 1 });
		await bridge.idle();
	});

	test("of what the bridge or HTTP sets are refused, in whatever spelling", async () => {
		const { create } = setup();
		const names = [
			"Host",
			"content-type",
			"Content-Length",
			"WEBHOOK-ID",
			"webhook-foo",
			"ce-id",
			"te",
			"Date",
		];
		for (const name of [
			...names,
			"user-agent",
			"proxy-authorization",
			"a b",
			"",
			"x:y",
			"transfer-encoding",
		]) {
			const error = await rejectionOf(create({ headers: { [name]: "x" } }));
			expect(error.code, name).toBe("ERR_CALLHOOK_INVALID_ENDPOINT");
		}
		for (const value of ["a\nb", "a\rb", "é", "\u0000", " a", "x".repeat(5_000)]) {
			const error = await rejectionOf(create({ headers: { "x-secret": value } }));
			expect(error.code).toBe("ERR_CALLHOOK_INVALID_ENDPOINT");
			expect(error.message).not.toContain("xxxxx");
		}
		expect((await rejectionOf(create({ headers: { "x-a": "1", "X-A": "2" } }))).message).toContain("twice");
	});
});
