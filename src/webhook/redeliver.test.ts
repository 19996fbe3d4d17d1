import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import type { RedeliverPick } from "./index.ts";

const since = "2026-01-01T00:00:00.000Z";

/** A bridge whose receiver answers what `answer` says at the moment, with no retries. */
async function setup() {
	const answer = { status: 500 };
	const bridge = await setupBridge({
		decide: () => answer.status,
		options: { retry: { delaysMs: [], jitter: 0 }, breaker: false, forward: ["order.*"] },
	});
	const states = async (endpointId?: string) =>
		(await bridge.bridge.deliveries.list({ endpointId })).items.map(({ state }) => state).reverse();
	return { ...bridge, answer, states, deliveries: bridge.bridge.deliveries };
}

describe("deliveries.redeliver()", () => {
	test("makes one again: under the same id, with a new count of attempts behind the old ones", async () => {
		const { bus, bridge, receiver, endpoint, answer, deliveries } = await setup();
		await endpoint();
		const { event } = bus.emit("order.paid", {});
		await bridge.idle();
		const [{ id } = { id: "" }] = (await deliveries.list()).items;
		expect(await deliveries.redeliver(id, { dryRun: true })).toEqual({ count: 1 });
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(1);
		answer.status = 204;
		expect(await deliveries.redeliver(id)).toEqual({ count: 1 });
		await bridge.idle();
		expect(await deliveries.get(id)).toMatchObject({
			state: "delivered",
			attempts: [
				{ number: 1, status: 500 },
				{ number: 1, status: 204 },
			],
		});
		expect(receiver.webhooks.items.map((webhook) => webhook.id)).toEqual([event.id, event.id]);
		// Also what was delivered already.
		expect(await deliveries.redeliver(id)).toEqual({ count: 1 });
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(3);
	});

	test("makes one at once that waits, and leaves one alone that is under way or unknown", async () => {
		const { bus, bridge, receiver, endpoint, failed } = await setupBridge();
		await endpoint();
		bus.emit("order.paid", {});
		(await receiver.webhooks.next()).answer(500);
		await failed.next();
		const [{ id } = { id: "" }] = (await bridge.deliveries.list()).items;
		expect(await bridge.deliveries.redeliver(id)).toEqual({ count: 1 });
		const again = await receiver.webhooks.next();
		expect(await bridge.deliveries.redeliver(id)).toEqual({ count: 0 });
		again.answer(204);
		await bridge.idle();
		expect(await bridge.deliveries.redeliver("dlv_none")).toEqual({ count: 0 });
		expect(receiver.webhooks.items).toHaveLength(2);
	});

	test("makes all dead ones of an endpoint again since a time, and counts them first when asked", async () => {
		const { bus, bridge, clock, endpoint, answer, deliveries, states } = await setup();
		const one = await endpoint();
		const two = await endpoint();
		for (let hour = 0; hour < 3; hour++) {
			bus.emit("order.paid", { hour });
			await bridge.idle();
			await clock.advance(3_600_000);
		}
		const pick: RedeliverPick = { endpointId: one.id, since: "2026-01-01T01:00:00Z" };
		expect(await deliveries.redeliver(pick, { dryRun: true })).toEqual({ count: 2 });
		answer.status = 204;
		expect(await deliveries.redeliver(pick)).toEqual({ count: 2 });
		await bridge.idle();
		expect(await states(one.id)).toEqual(["dead", "delivered", "delivered"]);
		expect(await states(two.id)).toEqual(["dead", "dead", "dead"]);
	});

	test("over all endpoints passes over those that are disabled or gone, whose history stays", async () => {
		const { bus, bridge, endpoint, answer, deliveries, states } = await setup();
		const [good, disabled, gone] = [await endpoint(), await endpoint(), await endpoint()];
		bus.emit("order.paid", {});
		await bridge.idle();
		await bridge.endpoints.disable(disabled.id);
		await bridge.endpoints.delete(gone.id);
		answer.status = 204;
		expect(await deliveries.redeliver({}, { dryRun: true })).toEqual({ count: 1 });
		expect(await deliveries.redeliver({})).toEqual({ count: 1 });
		await bridge.idle();
		for (const [id, state] of [
			[good.id, "delivered"],
			[disabled.id, "dead"],
			[gone.id, "dead"],
		] as const)
			expect(await states(id)).toEqual([state]);
	});

	test("refuses an endpoint that is disabled or that there is not", async () => {
		const { bridge, endpoint, deliveries } = await setup();
		const { id } = await endpoint();
		await bridge.endpoints.disable(id);
		expect(optionOf(await rejectionOf(deliveries.redeliver({ endpointId: id })))).toBe("endpointId");
		const missing = { endpointId: "ep_none", missing: true, since };
		expect((await rejectionOf(deliveries.redeliver(missing))).code).toBe("ERR_CALLHOOK_UNKNOWN_ENDPOINT");
	});

	test("refuses what makes no sense", async () => {
		const { endpoint, deliveries } = await setup();
		const { id: endpointId } = await endpoint();
		const wrong: [object | undefined, string][] = [
			[{ state: "waiting" }, "state"],
			[{ missing: true, since }, "endpointId"],
			[{ missing: true, endpointId }, "since"],
			[{ missing: "yes", endpointId }, "missing"],
			[{ since: "yesterday" }, "since"],
			[{ id: "dlv_1" }, "redeliver.id"],
			[undefined, "redeliver"],
		];
		for (const [pick, option] of wrong)
			expect(optionOf(await rejectionOf(deliveries.redeliver(pick as RedeliverPick)))).toBe(option);
		expect(optionOf(await rejectionOf(deliveries.cancel(undefined as unknown as string)))).toBe("cancel");
		expect(optionOf(await rejectionOf(deliveries.get({} as string)))).toBe("id");
		const options = { dryrun: true } as { dryRun?: boolean };
		expect(optionOf(await rejectionOf(deliveries.redeliver({}, options)))).toBe("redeliver.dryrun");
	});

	test("gives a new endpoint what it missed: what it asks for and forward lets out, once", async () => {
		const { bus, bridge, receiver, endpoint, answer, deliveries } = await setup();
		answer.status = 204;
		// Somebody keeps the events.
		await endpoint();
		for (const [type, total] of [
			["order.paid", 5],
			["order.paid", 50],
			["order.sent", 50],
		] as const)
			bus.emit(type, { total });
		bus.emit("user.created", {});
		await bridge.idle();
		const late = await endpoint(
			{ events: ["order.paid", "user.*"], where: { "data.total": { gte: 10 } } },
			"/late",
		);
		const pick = { endpointId: late.id, missing: true, since };
		expect(await deliveries.redeliver(pick, { dryRun: true })).toEqual({ count: 1 });
		expect(await deliveries.redeliver({ ...pick, eventId: "evt_other" })).toEqual({ count: 0 });
		expect(await deliveries.redeliver({ ...pick, type: "user.created" })).toEqual({ count: 0 });
		expect(await deliveries.redeliver(pick)).toEqual({ count: 1 });
		await bridge.idle();
		expect(await deliveries.redeliver(pick)).toEqual({ count: 0 });
		const got = receiver.webhooks.items.filter(({ path }) => path === "/late");
		expect(got.map(({ message }) => message.data)).toEqual([{ total: 50 }]);
	});
});

describe("deliveries.cancel()", () => {
	test("ends what is not final: one, or all that are picked; counts first when asked", async () => {
		const { bus, bridge, clock, endpoint, failed, receiver } = await setupBridge({ decide: () => 500 });
		const { id: endpointId } = await endpoint();
		for (let number = 0; number < 3; number++) bus.emit("order.paid", { number });
		await failed.take(3);
		const { deliveries } = bridge;
		const [{ id } = { id: "" }] = (await deliveries.list()).items;
		expect(await deliveries.cancel(id, { dryRun: true })).toEqual({ count: 1 });
		expect(await deliveries.cancel(id)).toEqual({ count: 1 });
		expect(await deliveries.cancel(id)).toEqual({ count: 0 });
		expect(await deliveries.cancel({ endpointId }, { dryRun: true })).toEqual({ count: 2 });
		expect(await deliveries.cancel({ endpointId, state: "waiting" })).toEqual({ count: 2 });
		await bridge.idle();
		await clock.advance(10_000);
		expect(receiver.webhooks.items).toHaveLength(3);
		expect(await deliveries.redeliver({ state: "cancelled" }, { dryRun: true })).toEqual({ count: 3 });
	});

	test("of one that is claimed and has not started sends nothing of it", async () => {
		const { bus, bridge, clock, endpoint, receiver } = await setupBridge();
		await endpoint({ concurrency: 1 });
		const numbers = [1, 2, 3];
		for (const number of numbers) bus.emit("order.paid", { number });
		const webhook = await receiver.webhooks.next();
		await clock.advance(0);
		const [third, second, first] = (await bridge.deliveries.list()).items;
		expect([first?.state, second?.state, third?.state]).toEqual(["in_flight", "in_flight", "pending"]);
		expect(await bridge.deliveries.cancel(second?.id ?? "")).toEqual({ count: 1 });
		webhook.answer(204);
		const next = await receiver.webhooks.next();
		expect(next.message.data).toEqual({ number: 3 });
		next.answer(204);
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(2);
		expect(await bridge.deliveries.get(second?.id ?? "")).toMatchObject({ state: "cancelled", attempts: [] });
	});

	test("of one under way lets the request end, and what comes of it is lost", async () => {
		const { bus, bridge, endpoint, receiver } = await setupBridge();
		await endpoint();
		const lost: string[] = [];
		bus.observe("delivery:lost", ({ deliveryId }) => void lost.push(deliveryId));
		bus.emit("order.paid", {});
		const webhook = await receiver.webhooks.next();
		const [{ id } = { id: "" }] = (await bridge.deliveries.list()).items;
		expect(await bridge.deliveries.cancel(id)).toEqual({ count: 1 });
		webhook.answer(204);
		await bridge.idle();
		expect(lost).toEqual([id]);
		expect(await bridge.deliveries.get(id)).toMatchObject({ state: "cancelled", attempts: [] });
	});
});
