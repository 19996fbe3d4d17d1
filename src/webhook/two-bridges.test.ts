import { Webhook } from "standardwebhooks";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type Connected, connectBridge } from "../../test/support/bridge.ts";
import { type HttpReceiver, type ReceivedWebhook, startReceiver } from "../../test/support/http-receiver.ts";
import { dropSchema, findServer, freshSchema, serverPool } from "../../test/support/postgres.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { postgresStore } from "../stores/postgres/index.ts";
import { type FakeClock, fakeClock } from "../testing/index.ts";
import type { BridgeOptions, EndpointInput } from "./index.ts";

interface Stores {
	/** Opens the same outbox once more. */
	open(): OutboxStore;
	dispose?(): Promise<void>;
}

interface Side extends Connected {
	readonly store: OutboxStore;
}

/** Two bridges on two buses over one outbox. The first changes endpoints, and sends only where it is told to. */
async function setup(
	stores: Stores,
	{
		decide,
		first = { deliver: false },
		second = {},
	}: {
		decide?: (webhook: ReceivedWebhook) => number | undefined;
		first?: Partial<BridgeOptions>;
		second?: Partial<BridgeOptions>;
	} = {},
) {
	const receiver: HttpReceiver = await startReceiver(decide);
	const clocks: FakeClock[] = [];
	const opened: OutboxStore[] = [];
	onTestFinished(async () => {
		for (const store of opened) await store.close();
		await stores.dispose?.();
	});
	const connect = (options: Partial<BridgeOptions>): Side => {
		const clock = fakeClock({ now: Date.now() });
		const store = stores.open();
		opened.push(store);
		clocks.push(clock);
		return connectBridge(receiver, store, clock, options);
	};
	const [a, b] = [connect(first), connect(second)];
	const create = (fields: Partial<EndpointInput> = {}, path = "/a") =>
		a.bridge.endpoints.create({ url: receiver.origin + path, events: ["**"], ...fields });
	/** A second later the others know. */
	async function later(): Promise<void> {
		for (const clock of clocks) await clock.advance(1_000);
	}
	/** Emits on the second, and waits until nothing is left. */
	async function emit(number: number): Promise<void> {
		await b.bus.emit("order.paid", { number }).stored;
		await b.bridge.idle();
	}
	const got = () =>
		receiver.webhooks.items.map(
			({ path, message }) => `${path} ${(message.data as { number: number }).number}`,
		);
	return { receiver, a, b, create, later, emit, got };
}

const server = await findServer();
const pool = serverPool();
afterAll(() => pool.end());

const kinds: readonly (readonly [string, () => Stores])[] = [
	[
		"in memory",
		() => {
			const store = memoryStore();
			return { open: () => ({ ...store, close: async () => undefined }) };
		},
	],
	[
		"in PostgreSQL",
		() => {
			const schema = freshSchema();
			return {
				open: () => postgresStore({ pool, schema, pollMs: 20 }),
				dispose: () => dropSchema(pool, schema),
			};
		},
	],
];

describe.each(kinds.filter(([name]) => name === "in memory" || server !== undefined))(
	"one outbox %s",
	(_, open) => {
		test("endpoints that one creates, changes and deletes count for the other within a second", async () => {
			const { a, create, later, emit, got, receiver } = await setup(open(), { decide: () => 204 });
			const { id } = await create();
			await later();
			await emit(1);
			await a.bridge.endpoints.update(id, { url: `${receiver.origin}/b` });
			await later();
			await emit(2);
			await a.bridge.endpoints.update(id, { events: ["order.sent"] });
			await later();
			await emit(3);
			await a.bridge.endpoints.update(id, { events: ["order.paid"], where: { "data.number": { gt: 4 } } });
			await later();
			await emit(4);
			await emit(5);
			await a.bridge.endpoints.disable(id);
			await later();
			await emit(6);
			await a.bridge.endpoints.enable(id);
			await later();
			await emit(7);
			await a.bridge.endpoints.delete(id);
			await later();
			await emit(8);
			expect(got()).toEqual(["/a 1", "/b 2", "/b 5", "/b 7"]);
		});

		test("an endpoint that one frees of what the other lacks gets what waits, though that had just looked", async () => {
			const transforms = { t: () => ({ data: {} }) };
			const { a, b, create, later, receiver } = await setup(open(), {
				...{ decide: () => 204, first: { deliver: false, transforms } },
			});
			const { id } = await create({ transform: "t" });
			await later();
			await b.bus.emit("order.paid", { number: 1 }).stored;
			// It has read the endpoints now and goes to sleep.
			while (b.errors.length === 0) await b.clock.advance(0);
			await b.clock.advance(0);
			await a.bridge.endpoints.update(id, { transform: null });
			while (receiver.webhooks.items.length === 0) await b.clock.advance(100);
			await b.bridge.idle();
			expect(b.errors.splice(0)).toMatchObject([{ message: expect.stringContaining('transform "t"') }]);
		});

		test("a secret that one revokes signs nothing of the other", async () => {
			const { a, create, later, emit, receiver } = await setup(open(), { decide: () => 204 });
			const { id } = await create();
			await later();
			await emit(1);
			const { secret } = await a.bridge.endpoints.rotateSecret(id, { overlapMs: 0 });
			await later();
			await emit(2);
			const { headers, text, id: messageId } = receiver.webhooks.items[1] as ReceivedWebhook;
			const date = new Date(Number(headers["webhook-timestamp"]) * 1_000);
			expect(headers["webhook-signature"]).toBe(new Webhook(secret).sign(messageId, date, text));
		});

		test("what the other has claimed and not begun is not sent once it is disabled", async () => {
			const { a, b, create, later, receiver, got } = await setup(open());
			const { id } = await create({ concurrency: 1 });
			await later();
			for (let number = 1; number <= 2; number++) await b.bus.emit("order.paid", { number }).stored;
			const webhook = await receiver.webhooks.next();
			while ((await b.bridge.deliveries.list()).items.length < 2);
			await a.bridge.endpoints.disable(id);
			await later();
			webhook.answer(204);
			await b.bridge.idle();
			expect(got()).toHaveLength(1);
			const { items } = await b.bridge.deliveries.list();
			expect(items.map(({ state }) => state).sort()).toEqual(["cancelled", "delivered"]);
		});

		test("changes that both make at once are all there", async () => {
			const { a, b, create, later } = await setup(open());
			const { id } = await create();
			await later();
			await Promise.all(
				[0, 1, 2, 3].flatMap((count) => [
					a.bridge.endpoints.update(id, { description: `d${count}` }),
					b.bridge.endpoints.update(id, { tenant: `t${count}` }),
					a.bridge.endpoints.rotateSecret(id),
					b.bridge.endpoints.rotateSecret(id),
				]),
			);
			const shown = await a.bridge.endpoints.get(id);
			expect(shown).toMatchObject({
				description: expect.stringMatching(/^d/),
				tenant: expect.stringMatching(/^t/),
			});
			expect(await b.bridge.endpoints.get(id)).toEqual(shown);
			expect((await b.bridge.endpoints.getSecrets(id)).previous).toHaveLength(8);
		});

		test("a pause that one begins holds for the other, whatever that one writes", async () => {
			const options = { breaker: { failures: 2 }, retry: { delaysMs: [86_400_000], jitter: 0 } };
			const { a, b, create, later, receiver, got } = await setup(open(), {
				...{ decide: () => 500, first: { ...options, concurrency: 1 }, second: options },
			});
			const { id } = await create({ concurrency: 1 });
			await later();
			const paused = Promise.race(
				[a, b].map(({ bus }) => new Promise((resolve) => bus.observe("endpoint:paused", resolve))),
			);
			for (let number = 1; number <= 4; number++) await b.bus.emit("order.paid", { number }).stored;
			await paused;
			await Promise.all([later(), receiver.connections()]);
			// A database takes its own time, whatever the clock says: until both know.
			const knows = async ({ bridge }: typeof a) =>
				(await bridge.endpoints.get(id))?.pausedUntil !== undefined;
			while (!(await knows(a)) || !(await knows(b))) await later();
			await later();
			const before = got().length;
			await b.bus.emit("order.paid", { number: 5 }).stored;
			await a.bus.emit("order.paid", { number: 6 }).stored;
			await later();
			expect(got()).toHaveLength(before);
			for (const { bridge } of [a, b]) expect(await bridge.endpoints.get(id)).toHaveProperty("pausedUntil");
		});
	},
);
