import { describe, expect, test } from "vitest";
import { connectBridge, setupBridge } from "../../test/support/bridge.ts";
import type { HttpReceiver } from "../../test/support/http-receiver.ts";
import { nextTurn } from "../internal/next-turn.ts";
import { fakeClock } from "../testing/index.ts";

const retry = { delaysMs: [1_000, 1_000], jitter: 0 };

/** The numbers that came in, in their order. */
function numbersOf({ webhooks }: HttpReceiver, path?: string): number[] {
	return webhooks.items
		.filter((webhook) => path === undefined || webhook.path === path)
		.map(({ message }) => (message.data as { readonly number: number }).number);
}

describe("order: endpoint", () => {
	test("holds through failures: what fails holds back what is behind it, and that says so", async () => {
		const statuses = [500, 500, 204, 204, 204];
		const { bus, bridge, clock, receiver, endpoint, failed } = await setupBridge({
			...{ decide: () => statuses.shift(), options: { retry, breaker: false } },
		});
		const { id } = await endpoint({ order: "endpoint", concurrency: 10 });
		for (let number = 1; number <= 3; number++) bus.emit("order.paid", { number });
		await failed.next();
		const list = async () => (await bridge.deliveries.list({ endpointId: id })).items.toReversed();
		const [first, second, third] = await list();
		expect(first).toMatchObject({ state: "waiting", orderKey: "*" });
		expect(first).not.toHaveProperty("blockedBy");
		expect([second?.blockedBy, third?.blockedBy]).toEqual([first?.id, first?.id]);
		await clock.advance(1_000);
		await failed.next();
		await clock.advance(1_000);
		await bridge.idle();
		expect(numbersOf(receiver)).toEqual([1, 1, 1, 2, 3]);
		expect((await list()).every((each) => each.blockedBy === undefined)).toBe(true);
	});

	test("goes on behind a delivery that is dead, and behind a restart", async () => {
		const clock = fakeClock();
		const options = { retry: { delaysMs: [1_000], jitter: 0 }, breaker: false } as const;
		const decide = ({ message }: { readonly message: { readonly data: unknown } }) =>
			(message.data as { number: number }).number === 1 ? 500 : 204;
		const first = await setupBridge({ clock, decide, options });
		await first.endpoint({ order: "endpoint" });
		for (let number = 1; number <= 3; number++) first.bus.emit("order.paid", { number });
		await first.failed.next();
		await first.bridge.stop();
		const second = connectBridge(first.receiver, first.store, clock, options);
		await clock.advance(1_000);
		await second.dead.next();
		await second.bridge.idle();
		expect(numbersOf(first.receiver)).toEqual([1, 1, 2, 3]);
	});

	test("holds through a pause of the breaker", async () => {
		const statuses = [500, 204, 204, 204];
		const { bus, bridge, clock, receiver, endpoint, failed } = await setupBridge({
			...{ decide: () => statuses.shift(), options: { retry, breaker: { failures: 1 } } },
		});
		await endpoint({ order: "endpoint" });
		for (let number = 1; number <= 3; number++) bus.emit("order.paid", { number });
		await failed.next();
		await clock.advance(29_999);
		expect(numbersOf(receiver)).toEqual([1]);
		await clock.advance(1);
		await bridge.idle();
		expect(numbersOf(receiver)).toEqual([1, 1, 2, 3]);
	});
});

describe("order: key", () => {
	test("holds for events of one key, and those of others and of none pass by", async () => {
		let isFailing = true;
		const { bus, bridge, clock, receiver, endpoint, failed, delivered } = await setupBridge({
			decide: ({ message }) => ((message.data as { key: string }).key === "a" && isFailing ? 500 : 204),
			options: { retry, breaker: false },
		});
		await endpoint({ order: "key" });
		const emit = (number: number, key?: string) =>
			bus.emit("order.paid", { number, key }, key === undefined ? {} : { key });
		emit(1, "a");
		await failed.next();
		for (const [number, key] of [
			[2, "a"],
			[3, "b"],
			[4, undefined],
			[5, "b"],
		] as const)
			emit(number, key);
		await delivered.take(3);
		const waiting = (await bridge.deliveries.list({ state: "pending" })).items;
		expect(waiting).toMatchObject([{ orderKey: "key:a", blockedBy: expect.stringMatching(/^dlv_/) }]);
		isFailing = false;
		await clock.advance(1_000);
		await bridge.idle();
		expect(numbersOf(receiver).filter((number) => number < 3)).toEqual([1, 1, 2]);
		expect(numbersOf(receiver).filter((number) => number === 3 || number === 5)).toEqual([3, 5]);
	});
});

describe("of events in a row", () => {
	test("holds from the first, though the endpoints have not been looked at for a while", async () => {
		const { bus, bridge, clock, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		await endpoint({ order: "key", concurrency: 10 });
		await clock.advance(10_000);
		const numbers = Array.from({ length: 40 }, (_, number) => number);
		for (const number of numbers) {
			bus.emit("order.paid", { number }, { key: "a" });
			// Some while the first are on their way into the store, some while they are routed.
			if (number % 2 === 1) await nextTurn();
		}
		await bridge.idle();
		expect(numbersOf(receiver)).toEqual(numbers);
	});

	test("is settled as they are stored, by a process that does not send too", async () => {
		const sender = await setupBridge({ decide: () => 204 });
		const web = connectBridge(sender.receiver, sender.store, fakeClock(), { deliver: false });
		const ordered = await sender.endpoint({ order: "key" }, "/ordered");
		await sender.endpoint({}, "/other");
		const queries: Promise<unknown>[] = [];
		const stop = sender.store.onWake(() => {
			// Before anybody could route them.
			if (queries.length === 0) queries.push(sender.bridge.deliveries.list());
		});
		const emissions = [1, 2, 3, 4].map((number) => web.bus.emit("order.paid", { number }, { key: "a" }));
		await emissions[3]?.stored;
		stop();
		expect(await queries[0]).toMatchObject({
			items: [4, 3, 2, 1].map(() => ({ endpointId: ordered.id, orderKey: "key:a" })),
		});
		await sender.bridge.idle();
		expect(numbersOf(sender.receiver, "/ordered")).toEqual([1, 2, 3, 4]);
		expect(numbersOf(sender.receiver, "/other").toSorted()).toEqual([1, 2, 3, 4]);
	});
});

describe("where", () => {
	test("chooses by content, counts at once when it is changed, and not for what was routed before", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		const { id } = await endpoint({ where: { "data.number": { gte: 10 } } });
		const emit = async (...numbers: number[]) => {
			for (const number of numbers) bus.emit("order.paid", { number });
			await bridge.idle();
		};
		await emit(9, 10, 11);
		await bridge.endpoints.update(id, { where: { "data.number": { lt: 10 } } });
		await emit(8, 12);
		await bridge.endpoints.update(id, { where: null });
		await emit(13);
		expect(numbersOf(receiver)).toEqual([10, 11, 8, 13]);
	});

	test("may ask for the tenant, which metadata tells", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		for (const tenant of ["a", "b"])
			await endpoint({ tenant, where: { "metadata.tenant": tenant } }, `/${tenant}`);
		bus.emit("order.paid", { number: 1 }, { metadata: { tenant: "a" } });
		bus.emit("order.paid", { number: 2 }, { metadata: { tenant: "b" } });
		bus.emit("order.paid", { number: 3 });
		await bridge.idle();
		expect([numbersOf(receiver, "/a"), numbersOf(receiver, "/b")]).toEqual([[1], [2]]);
	});
});

describe("an update of limits", () => {
	test("counts at once: concurrency", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge();
		const { id } = await endpoint({ concurrency: 1 });
		for (let number = 1; number <= 12; number++) bus.emit("order.paid", { number });
		const [one] = await receiver.webhooks.take(1);
		await bridge.endpoints.update(id, { concurrency: 5 });
		const more = await receiver.webhooks.take(4);
		expect(receiver.open).toBe(5);
		await bridge.endpoints.update(id, { concurrency: 1 });
		for (const webhook of [one, ...more]) webhook?.answer(204);
		for (let number = 6; number <= 12; number++) {
			const webhook = await receiver.webhooks.next();
			expect(receiver.open).toBe(1);
			webhook.answer(204);
		}
		await bridge.idle();
		expect(receiver.maxOpen).toBe(5);
	});

	test("counts at once: rate limit", async () => {
		const { bus, bridge, clock, receiver, endpoint, delivered } = await setupBridge({ decide: () => 204 });
		const { id } = await endpoint({ rateLimit: { count: 1, perMs: 3_600_000 } });
		for (let number = 1; number <= 3; number++) bus.emit("order.paid", { number });
		await delivered.next();
		await clock.advance(60_000);
		expect(receiver.webhooks.items).toHaveLength(1);
		await bridge.endpoints.update(id, { rateLimit: null });
		bus.emit("order.paid", { number: 4 });
		await delivered.next();
		await clock.advance(3_600_000);
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(4);
	});
});

describe("many endpoints that hang", () => {
	test("delay no other, though they hold more requests than the bridge makes at once", async () => {
		const { bus, clock, receiver, endpoint, delivered } = await setupBridge({
			decide: ({ path }) => (path === "/good" ? 204 : undefined),
			options: { concurrency: 4, timeoutMs: 60_000 },
		});
		for (let count = 0; count < 20; count++)
			await endpoint({ events: ["order.bad"], concurrency: 2 }, "/bad");
		await endpoint({ events: ["order.good"] }, "/good");
		for (let number = 0; number < 3; number++) bus.emit("order.bad", { number });
		await receiver.webhooks.take(4);
		for (let open = 8; open <= 40; open += 4) {
			await clock.advance(1_000);
			await receiver.webhooks.take(4);
		}
		await clock.advance(1_000);
		expect(receiver.open).toBe(40);
		for (let number = 0; number < 50; number++) bus.emit("order.good", { number });
		await delivered.take(50);
		expect(receiver.open).toBe(40);
	});
});
