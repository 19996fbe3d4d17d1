import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import type { BridgeOptions } from "./index.ts";

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** A bridge of which nothing is said but that its delays are not random. */
async function setup(answer: { status: number }, options: Partial<BridgeOptions> = {}) {
	const given = { retry: { jitter: 0 }, ...options };
	const bridge = await setupBridge({ decide: () => answer.status, options: given });
	const startMs = bridge.clock.now();
	const { webhooks } = bridge.receiver;
	/** The next request comes at this time, and not a millisecond before. */
	async function expectNext(atMs: number): Promise<void> {
		const { clock } = bridge;
		const before = webhooks.items.length;
		await clock.advance(startMs + atMs - 1 - clock.now());
		expect(webhooks.items).toHaveLength(before);
		await clock.advance(1);
		await webhooks.next();
		expect(webhooks.items).toHaveLength(before + 1);
	}
	return { ...bridge, startMs, expectNext };
}

describe("the default schedule", () => {
	const attemptsAtMs = [
		...[0, 5 * secondMs, 5 * minuteMs, 30 * minuteMs, 2 * hourMs, 5 * hourMs, 10 * hourMs, 10 * hourMs],
	].map((_, index, delays) => delays.slice(0, index + 1).reduce((sum, delayMs) => sum + delayMs, 0));

	test("makes eight attempts, each at its time and under one id, until the delivery is dead", async () => {
		const { bus, bridge, receiver, endpoint, failed, dead, startMs, expectNext } = await setup({
			status: 500,
		});
		await endpoint();
		const { event } = bus.emit("order.paid", {});
		await receiver.webhooks.next();
		await failed.next();
		const get = async () => (await bridge.deliveries.list()).items[0];
		for (const atMs of attemptsAtMs.slice(1)) {
			const next = new Date(startMs + atMs).toISOString();
			expect(await get()).toMatchObject({ state: "waiting", nextAttemptAt: next });
			await expectNext(atMs);
			await failed.next();
		}
		await dead.next();
		const delivery = await get();
		expect(delivery).toMatchObject({
			state: "dead",
			endedAt: new Date(startMs + 27 * hourMs + 35 * minuteMs + 5 * secondMs).toISOString(),
		});
		expect(delivery).not.toHaveProperty("nextAttemptAt");
		expect(
			delivery?.attempts.map(({ number, startedAt }) => [number, Date.parse(startedAt) - startMs]),
		).toEqual(attemptsAtMs.map((atMs, index) => [index + 1, atMs]));
		expect(receiver.webhooks.items.map(({ id }) => id)).toEqual(attemptsAtMs.map(() => event.id));
	});
});

describe("the default breaker", () => {
	test("pauses behind five failures, each time twice as long up to ten minutes, and ends with a success", async () => {
		const answer = { status: 500 };
		const { bus, bridge, clock, receiver, endpoint, failed, expectNext } = await setup(answer);
		const signals: string[] = [];
		bus.observe("endpoint:paused", ({ forMs }) => void signals.push(`paused ${forMs / secondMs}s`));
		bus.observe("endpoint:resumed", () => void signals.push("resumed"));
		await endpoint({ concurrency: 1, retry: { delaysMs: [], jitter: 0 } });
		for (let number = 0; number < 15; number++) bus.emit("order.paid", { number });
		await receiver.webhooks.take(5);
		await failed.take(5);
		for (const atS of [30, 90, 210, 450, 930, 1_530, 2_130]) {
			await expectNext(atS * secondMs);
			await failed.next();
		}
		answer.status = 204;
		await clock.advance(600 * secondMs - 1);
		expect(receiver.webhooks.items).toHaveLength(12);
		await clock.advance(1);
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(15);
		expect(signals).toEqual([
			...["paused 30s", "paused 60s", "paused 120s", "paused 240s", "paused 480s"],
			...["paused 600s", "paused 600s", "paused 600s", "resumed"],
		]);
	});
});

describe("by default an endpoint", () => {
	/** An attempt that fails, at a time; what is told then. */
	const attempts = [
		[0, []],
		[2.5 * dayMs - 1, []],
		[2.5 * dayMs, ["failing"]],
		[4.5 * dayMs - 1, []],
		[4.5 * dayMs, ["failing"]],
		[5 * dayMs - 1, []],
		[5 * dayMs, ["disabled failing"]],
		[5 * dayMs + 1, []],
	] as const;

	test("is disabled after five days without a success, with a warning at half and at nine tenths of them", async () => {
		const { bus, bridge, clock, receiver, endpoint, failed, startMs } = await setup(
			{ status: 500 },
			{ breaker: false },
		);
		const told: string[] = [];
		const disabledAt = new Date(startMs + 5 * dayMs).toISOString();
		bus.observe("endpoint:failing", (info) => {
			expect(info).toMatchObject({ failingSince: new Date(startMs).toISOString(), disabledAt });
			told.push("failing");
		});
		bus.observe("endpoint:disabled", ({ reason }) => void told.push(`disabled ${reason}`));
		const { id } = await endpoint({ retry: { delaysMs: [], jitter: 0 } });
		for (const [atMs, news] of attempts) {
			await clock.advance(startMs + atMs - clock.now());
			const isDisabled = atMs > 5 * dayMs;
			bus.emit("order.paid", {});
			if (!isDisabled) await failed.next();
			await bridge.idle();
			expect(told.splice(0), `behind ${atMs} ms`).toEqual(news);
		}
		expect(receiver.webhooks.items).toHaveLength(attempts.length - 1);
		expect(await bridge.endpoints.get(id)).toMatchObject({
			...{ state: "disabled", disabledReason: "failing", disabledAt },
		});
	});

	test("that is disabled by a failure cancels the delivery that failed too", async () => {
		const retry = { delaysMs: [2 * dayMs, 2 * dayMs, dayMs, 10 * hourMs], jitter: 0 };
		const setting = await setup({ status: 500 }, { retry });
		const { bus, bridge, receiver, endpoint, failed, expectNext } = setting;
		const disabled = new Promise((resolve) => bus.observe("endpoint:disabled", resolve));
		const told: string[] = [];
		bus.observe(
			"attempt:failed",
			({ attempt, retryInMs }) => void told.push(`${attempt.number} ${retryInMs}`),
		);
		bus.observe("delivery:cancelled", () => void told.push("cancelled"));
		await endpoint();
		bus.emit("order.paid", {});
		await receiver.webhooks.next();
		await failed.next();
		for (const days of [2, 4]) {
			await expectNext(days * dayMs);
			await failed.next();
		}
		await expectNext(5 * dayMs);
		await disabled;
		await bridge.idle();
		const [first, second, third] = retry.delaysMs;
		expect(told).toEqual([`1 ${first}`, `2 ${second}`, `3 ${third}`, "4 undefined", "cancelled"]);
		expect((await bridge.deliveries.list()).items).toMatchObject([
			{ state: "cancelled", attempts: [{ number: 1 }, { number: 2 }, { number: 3 }, { number: 4 }] },
		]);
	});
});
