import { describe, expect, test, vi } from "vitest";
import { openDurableBus } from "../../test/support/durable-bus.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { codeOf, optionOf, thrownBy } from "../../test/support/thrown.ts";
import { createBus } from "./create-bus.ts";

const handler = (): undefined => undefined;

/** What `handle` does with these options. */
function handleWith(options: unknown, bus: { handle: unknown } = openDurableBus().bus): () => unknown {
	return () => (bus.handle as (...args: unknown[]) => unknown)("job", handler, options);
}

describe("handle() - durable", () => {
	const queue = { limit: 10 };
	const batch = { size: 10 };
	test.each<[string, unknown]>([
		["durable", { name: "h", durable: "yes" }],
		["durable", { name: "h", durable: 1 }],
		["durable", { name: "h", durable: null }],
		["durable", { name: "h", formerNames: ["old"] }],
		["durable", { name: "h", durable: false, formerNames: ["old"] }],
		["formerNames", { name: "h", durable: true, formerNames: "old" }],
		["formerNames", { name: "h", durable: true, formerNames: { 0: "old" } }],
		["formerNames", { name: "h", durable: true, formerNames: null }],
		["queue", { name: "h", durable: true, queue }],
		["batch", { name: "h", durable: true, batch }],
		["queue.limit", { name: "h", durable: true, queue: { limit: 0 } }],
		["concurrency", { name: "h", durable: true, concurrency: 0 }],
		["key", { name: "h", durable: true, key: "orderId" }],
		["timeoutMs", { name: "h", durable: true, timeoutMs: 0 }],
		["rateLimit.count", { name: "h", durable: true, rateLimit: { perMs: 1 } }],
		["retry.attempts", { name: "h", durable: true, retry: { attempts: 0 } }],
		["handle.durabel", { name: "h", durabel: true }],
	])("refuses %s of %j", (option, options) => {
		const { bus } = openDurableBus();
		expect(optionOf(handleWith(options, bus))).toBe(option);
		expect(bus.stats().handlers).toEqual([]);
	});

	test.each<[string, unknown, string]>([
		["no name", { durable: true }, "name of a durable handler"],
		["an empty name", { name: "", durable: true }, "handler name"],
		[
			"a former name that is empty",
			{ name: "h", durable: true, formerNames: ["old", ""] },
			"former handler name",
		],
		["a former name that is none", { name: "h", durable: true, formerNames: [7] }, "former handler name"],
	])("refuses %s", (_what, options, what) => {
		const { bus } = openDurableBus();
		const error = thrownBy(handleWith(options, bus));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_MISSING_NAME", details: { what, where: "handle()" } });
		expect(bus.stats().handlers).toEqual([]);
	});

	test("refuses a name that is the function's only: it would change with the code", () => {
		const { bus } = openDurableBus();
		const sendReceipt = (): undefined => undefined;
		expect(codeOf(() => bus.handle("job", sendReceipt, { durable: true }))).toBe("ERR_CALLHOOK_MISSING_NAME");
		expect(bus.handle("job", sendReceipt).name).toBe("sendReceipt");
	});

	test("names what it expects instead of a queue or batches", () => {
		const { message } = thrownBy(handleWith({ name: "h", durable: true, queue }));
		expect(message).toContain("left out with durable");
	});

	test("needs a store, and says which handler does", () => {
		const bus = createBus();
		const error = thrownBy(handleWith({ name: "h", durable: true }, bus));
		expect(error).toMatchObject({
			code: "ERR_CALLHOOK_STORE_REQUIRED",
			details: { where: 'handle() of the durable handler "h"' },
		});
		expect(bus.stats().handlers).toEqual([]);
	});

	test("with false it is a handler like any other: also with a queue, batches and without a store", async () => {
		const bus = createBus<{ job: number }>();
		const run = vi.fn();
		bus.handle("job", run, { durable: false, queue, formerNames: [] });
		bus.handle("job", run, { durable: undefined, batch: { size: 1 } });
		await bus.emit("job", 1).settled;
		expect(run.mock.calls.map(([data]) => data)).toEqual([1, [1]]);
	});

	test("refuses a name that the bus has, until its handler is stopped", async () => {
		const { bus } = openDurableBus();
		const options = { name: "h", durable: true };
		const first = bus.handle("job", handler, options);
		const error = thrownBy(handleWith(options, bus));
		expect(error).toMatchObject({ code: "ERR_CALLHOOK_TARGET_EXISTS", details: { name: "handler:h" } });
		expect(bus.stats().handlers).toHaveLength(1);
		bus.handle("job", handler, { name: "h" });
		await first.stop();
		bus.handle("job", handler, options);
	});

	test("refuses former names that another handler has, now or formerly, and former ones as names", async () => {
		const { bus } = openDurableBus();
		const first = bus.handle("job", handler, { name: "h", durable: true, formerNames: ["g", "f"] });
		for (const [options, taken] of [
			[{ name: "f" }, "f"],
			[{ name: "i", formerNames: ["h"] }, "h"],
			[{ name: "i", formerNames: ["e", "g"] }, "g"],
		] as const) {
			const error = thrownBy(handleWith({ ...options, durable: true }, bus));
			expect(error).toMatchObject({
				code: "ERR_CALLHOOK_TARGET_EXISTS",
				details: { name: `handler:${taken}` },
			});
		}
		await first.stop();
		bus.handle("job", handler, { name: "f", durable: true, formerNames: ["g", "h"] });
	});

	test("takes a name that an adapter has too", () => {
		const { bus, clock } = openDurableBus();
		bus.outbox!.register({ ...fakeGroup(clock, undefined, { name: "webhooks" }), accepts: ["**"] });
		expect(handleWith({ name: "webhooks", durable: true }, bus)).not.toThrow();
	});
});
