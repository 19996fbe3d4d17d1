import { describe, expect, test } from "vitest";
import { connectBridge, setupBridge } from "../../test/support/bridge.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { watch } from "../../test/support/watch.ts";
import { fakeClock } from "../testing/index.ts";
import type { BridgeOptions, OutgoingEvent, WebhookFilter, WebhookTransform } from "./index.ts";

const retry = { delaysMs: [1_000, 1_000], jitter: 0 };
const never = () => new Promise<never>(() => undefined);

/** A bridge with one endpoint that names the function. */
async function setup(
	functions: { filter?: WebhookFilter; transform?: WebhookTransform },
	more: Partial<BridgeOptions> = {},
) {
	const { filter, transform } = functions;
	const options: Partial<BridgeOptions> = {
		...{ retry, ...more },
		filters: filter && { f: filter },
		transforms: transform && { t: transform },
	};
	const bridge = await setupBridge({ decide: () => 204, options });
	const { id } = await bridge.endpoint({
		...(filter && { filter: "f" }),
		...(transform && { transform: "t" }),
		...{ tenant: "t1", headers: { "x-api-key": "hunter2" } },
	});
	return { ...bridge, id };
}

describe("a filter", () => {
	test("is asked with the event as it was stored and the endpoint without secrets", async () => {
		const asked: unknown[][] = [];
		const { bus, bridge, id } = await setup({
			filter: (...args) => {
				asked.push(args);
				return true;
			},
		});
		const { event } = bus.emit("order.paid", { a: 1 }, { key: "k", metadata: { m: 1 } });
		await bridge.idle();
		expect(asked).toHaveLength(1);
		const [seen, endpoint] = asked[0] as [OutgoingEvent, unknown];
		const { type, time, source } = event;
		expect(seen).toEqual({
			...{ id: event.id, type, time, source, key: "k", data: { a: 1 }, metadata: { m: 1 } },
		});
		expect(endpoint).toMatchObject({ id, tenant: "t1", headers: { "x-api-key": "(hidden)" } });
	});

	test("cancels what it does not want, and nothing else", async () => {
		const { bus, bridge, receiver } = await setup({
			filter: async ({ data }) => (data as { number: number }).number % 2 === 0,
		});
		for (let number = 1; number <= 4; number++) bus.emit("order.paid", { number });
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ message }) => message.data)).toEqual([
			{ number: 2 },
			{ number: 4 },
		]);
		const states = (await bridge.deliveries.list()).items.map(({ state }) => state);
		expect(states).toEqual(["delivered", "cancelled", "delivered", "cancelled"]);
	});

	test("cannot change what is sent, or what the next one sees", async () => {
		const { bus, bridge, receiver } = await setup({
			filter: (event) => {
				(event.data as { a: number }).a = 2;
				return true;
			},
		});
		bus.emit("order.paid", { a: 1 });
		await bridge.idle();
		expect(receiver.webhooks.items[0]?.message.data).toEqual({ a: 1 });
	});
});

/** Throws what is no error. */
function thrower(thrown: unknown): () => never {
	return () => {
		throw thrown;
	};
}

/** Functions that fail, with what the history says of them. */
const failures: readonly (readonly [string, Parameters<typeof setup>[0], RegExp])[] = [
	[
		"a filter that throws",
		{
			filter: () => {
				throw new Error("no database");
			},
		},
		/filter "f" failed.*no database/,
	],
	["a filter that rejects", { filter: () => Promise.reject(new Error("no database")) }, /no database/],
	[
		"a filter that answers neither yes nor no",
		{ filter: () => "yes" as unknown as boolean },
		/true or false/,
	],
	[
		"a transform that throws no error",
		{
			transform: () => {
				throw "just text";
			},
		},
		/transform "t" failed.*just text/,
	],
	[
		"a transform that returns nothing",
		{ transform: () => undefined as unknown as null },
		/neither an object nor null/,
	],
	[
		"a transform that returns a list",
		{ transform: () => [] as unknown as null },
		/neither an object nor null/,
	],
	["a transform that returns a field too much", { transform: () => ({ body: 1 }) as object }, /field "body"/],
	["a transform whose data is no JSON", { transform: () => ({ data: 1n }) }, /cannot be written as JSON/],
	[
		"a transform whose data is a function",
		{ transform: () => ({ data: () => 1 }) },
		/cannot be written as JSON/,
	],
	[
		"a transform whose answer throws no error as it is read",
		{ transform: () => Object.defineProperty({}, "data", { get: thrower("just text"), enumerable: true }) },
		/transform "t" failed.*just text/,
	],
	[
		"a transform whose answer throws undefined as it is read",
		{ transform: () => new Proxy({}, { ownKeys: thrower(undefined) }) },
		/transform "t" failed.*undefined/,
	],
	["a filter that throws what has no text", { filter: thrower(Object.create(null)) }, /filter "f" failed/],
	["a filter whose text throws", { filter: thrower({ toString: thrower(5) }) }, /filter "f" failed/],
	[
		"a transform with a header that may not be",
		{ transform: () => ({ headers: { host: "x" } }) },
		/"host" is set/,
	],
	[
		"a transform with a header of two lines",
		{ transform: () => ({ headers: { "x-a": "1\r\nb: 2" } }) },
		/"x-a" must be/,
	],
];

describe("a failed attempt comes of", () => {
	test.for(failures)("%s, and it is retried to the end", async ([, functions, reason], { expect }) => {
		const { bus, bridge, clock, receiver, failed, dead, id } = await setup(functions);
		bus.emit("order.paid", {});
		const errorClass = functions.filter === undefined ? "transform" : "filter";
		const attempt = {
			errorClass,
			errorCode: "ERR_CALLHOOK_USER_FUNCTION",
			error: expect.stringMatching(reason),
		};
		expect(await failed.next()).toMatchObject({ retryInMs: 1_000, attempt });
		for (let count = 0; count < 2; count++) await clock.advance(1_000);
		expect(await dead.next()).toMatchObject({ attempts: 3, attempt });
		await bridge.idle();
		expect(receiver.webhooks.items).toEqual([]);
		const [delivery] = (await bridge.deliveries.list()).items;
		expect(delivery).toMatchObject({ state: "dead", attempts: Array(3).fill(attempt) });
		// It says nothing of the endpoint.
		expect(await bridge.endpoints.get(id)).not.toHaveProperty("failingSince");
	});

	test.for([
		["filter", { filter: never }],
		["transform", { transform: never }],
	] as const)(
		"a %s that never answers, after the time of an attempt",
		async ([errorClass, functions], { expect }) => {
			const { bus, bridge, clock, failed } = await setup(functions, { timeoutMs: 2_000 });
			bus.emit("order.paid", {});
			await clock.advance(1_999);
			expect(failed.items).toEqual([]);
			await clock.advance(1);
			expect(await failed.next()).toMatchObject({
				attempt: { errorClass, errorCode: "ERR_CALLHOOK_TIMEOUT", durationMs: 2_000 },
			});
			await bridge.stop();
		},
	);

	test("nothing when the bridge stops while it is asked: the attempt is not counted", async () => {
		const { bus, bridge, clock, failed } = await setup({ filter: never }, { timeoutMs: 60_000 });
		bus.emit("order.paid", {});
		await clock.advance(0);
		const stopped = watch(bridge.stop({ timeoutMs: 1_000 }));
		await clock.advance(1_000);
		await stopped.promise;
		expect(failed.items).toEqual([]);
		expect((await bridge.deliveries.list()).items).toMatchObject([{ state: "pending", attempts: [] }]);
	});

	test("a payload that a transform made too large: dead at once", async () => {
		const { bus, bridge, dead, receiver } = await setup(
			{ transform: () => ({ data: "x".repeat(2_000) }) },
			{ maxPayloadBytes: 2_000 },
		);
		bus.emit("order.paid", {});
		expect(await dead.next()).toMatchObject({
			attempts: 1,
			attempt: { errorClass: "payload", errorCode: "ERR_CALLHOOK_PAYLOAD_TOO_LARGE" },
		});
		await bridge.idle();
		expect(receiver.webhooks.items).toEqual([]);
	});
});

describe("a transform", () => {
	test("replaces the data, under the same id and type, and is asked at each attempt", async () => {
		const statuses = [500, 204];
		let count = 0;
		const { bus, bridge, clock, receiver, endpoint, failed } = await setupBridge({
			decide: () => statuses.shift(),
			options: { retry, transforms: { t: async ({ data }) => ({ data: { was: data, count: ++count } }) } },
		});
		await endpoint({ transform: "t" });
		const { event } = bus.emit("order.paid", 5);
		await failed.next();
		await clock.advance(1_000);
		await bridge.idle();
		expect(receiver.webhooks.items.map(({ id, message }) => [id, message.type, message.data])).toEqual([
			[event.id, "order.paid", { was: 5, count: 1 }],
			[event.id, "order.paid", { was: 5, count: 2 }],
		]);
	});

	test("sends the headers that were checked, though they are others when read again", async () => {
		const values = ["one", "two\r\nx-b: 3"];
		const headers = Object.defineProperty({}, "x-a", { get: () => values.shift(), enumerable: true });
		const { bus, bridge, receiver } = await setup({ transform: () => ({ headers }) });
		bus.emit("order.paid", {});
		await bridge.idle();
		expect(receiver.webhooks.items[0]?.headers["x-a"]).toBe("one");
	});

	test("drops an event with null", async () => {
		const { bus, bridge, receiver } = await setup({ transform: () => null });
		bus.emit("order.paid", {});
		await bridge.idle();
		expect(receiver.webhooks.items).toEqual([]);
		expect((await bridge.deliveries.list()).items).toMatchObject([{ state: "cancelled", attempts: [] }]);
	});
});

describe("a function that this process lacks", () => {
	test("puts the deliveries off for another process, is reported once, and holds nothing else up", async () => {
		const clock = fakeClock();
		const first = await setupBridge({ clock, decide: () => 204, options: { filters: { f: () => true } } });
		await first.endpoint({ filter: "f" });
		await first.endpoint({ filter: "f" });
		await first.bridge.stop();
		const { receiver, store } = first;
		const second = connectBridge(receiver, store, clock);
		const other = await second.bridge.endpoints.create({ url: `${receiver.origin}/other`, events: ["**"] });
		for (let number = 1; number <= 20; number++) second.bus.emit("order.paid", { number });
		const all = await second.delivered.take(20);
		expect(new Set(all.map(({ target }) => target))).toEqual(new Set([other.id]));
		await clock.advance(60_000);
		expect(second.errors.splice(0).map(String)).toEqual([expect.stringContaining('filter "f"')]);
		expect(receiver.webhooks.items).toHaveLength(20);
		const waiting = await second.bridge.deliveries.list({ state: "pending", limit: 100 });
		expect(waiting.items).toHaveLength(40);
		expect(waiting.items.every(({ attempts }) => attempts.length === 0)).toBe(true);
		await second.bridge.stop();
		const third = connectBridge(receiver, store, clock, { filters: { f: () => true } });
		await third.bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(60);
	});
});

describe("options", () => {
	test("take objects of functions only, and endpoints name only what there is", async () => {
		for (const filters of [[], { f: 1 }, null, { f: null }] as unknown as BridgeOptions["filters"][]) {
			const error = await rejectionOf(setupBridge({ options: { filters } }));
			expect(optionOf(error)).toMatch(/^filters/);
		}
		const { endpoint } = await setupBridge({ options: { transforms: { t: () => null } } });
		const error = await rejectionOf(endpoint({ filter: "t" }));
		expect(error.message).toContain('the bridge has no filter "t"');
	});
});
