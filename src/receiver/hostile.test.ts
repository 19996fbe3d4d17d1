import { describe, expect, onTestFinished, test, vi } from "vitest";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { createBus } from "../bus/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { createReceiver } from "./receiver.ts";

const time = "2021-02-25T15:02:10Z";
const head = `{"type":"order.paid","timestamp":"${time}","data":`;
const nested = (depth: number) => `${head}${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
const batchType = "application/cloudevents-batch+json";
const one = { specversion: "1.0", type: "order.paid", source: "/shop" };

function setup() {
	const emit = vi.fn();
	return { emit, receiver: createReceiver({ secrets: secret, bus: { emit }, clock: standingClock }) };
}

describe("receiver.fetch() - genuine, and hostile all the same", () => {
	test.each([500, 501, 5_000, 500_000])(
		"JSON %i deep is taken or refused, and is never our fault",
		async (depth) => {
			const bus = createBus({ store: memoryStore() });
			onTestFinished(() => bus.close());
			bus.handle("order.paid", () => undefined, { name: "log", durable: true });
			const receiver = createReceiver({ secrets: secret, bus, clock: standingClock });
			const { status } = await receiver.fetch(signedRequest(nested(depth)));
			expect(status).toBe(depth > 500 ? 400 : 202);
		},
	);

	test("a `__proto__` is a member like any other: nothing is inherited from it", async () => {
		const { emit, receiver } = setup();
		const genuine = `${head}{"__proto__":{"isAdmin":true}},"__proto__":{"type":"a"}}`;
		expect((await receiver.fetch(signedRequest(genuine))).status).toBe(204);
		const [type, data] = emit.mock.lastCall as [string, { readonly isAdmin?: unknown }, object];
		expect([type, data.isAdmin, Object.keys(Object.prototype)]).toEqual(["order.paid", undefined, []]);
		const inherited = `{"__proto__":${head}1}}`;
		expect((await receiver.fetch(signedRequest(inherited))).status).toBe(400);
		expect(emit).toHaveBeenCalledTimes(1);
	});

	test("a verification in front of a batch does not swallow the others", async () => {
		const { emit, receiver } = setup();
		const asked = { ...one, id: "1", type: "webhook.verification", data: { challenge: "c" } };
		const request = signedRequest([asked, { ...one, id: "2" }], { headers: { "content-type": batchType } });
		expect((await receiver.fetch(request)).status).toBe(204);
		expect(emit.mock.calls.map(([type]) => type as string)).toEqual(["webhook.verification", "order.paid"]);
	});

	test("a time that its offset carries out of the years that can be written is refused", async () => {
		const bus = createBus();
		onTestFinished(() => bus.close());
		const receiver = createReceiver({ secrets: secret, bus, clock: standingClock });
		const genuine = { type: "order.paid", timestamp: "9999-12-31T23:59:59-00:01", data: 1 };
		expect((await receiver.fetch(signedRequest(genuine))).status).toBe(400);
	});

	test("a long list of nothing is refused before any of it is looked at", async () => {
		const { emit, receiver } = setup();
		const body = `[${"{},".repeat(300_000)}{}]`;
		const request = signedRequest(body, { headers: { "content-type": batchType } });
		expect((await receiver.fetch(request)).status).toBe(400);
		expect(emit).not.toHaveBeenCalled();
	});

	test("a batch of slow events has one time limit, and goes on where it stopped when it comes again", async () => {
		let nowMs = standingClock.now();
		const clock = { ...standingClock, now: () => nowMs };
		const bus = createBus({ clock });
		onTestFinished(() => bus.close());
		const ran: unknown[] = [];
		bus.on("order.paid", (data) => {
			ran.push(data);
			nowMs += 6_000;
		});
		const parts = { secrets: secret, bus, clock, mode: "inline", inlineTimeoutMs: 10_000 } as const;
		const receiver = createReceiver({ ...parts, dedupe: memoryStore({ clock }) });
		const events = ["a", "b", "c", "d"].map((id) => ({ ...one, id, data: id }));
		const send = async () => {
			const request = signedRequest(events, { headers: { "content-type": batchType } });
			const response = await receiver.fetch(request);
			return [response.status, await response.text()];
		};
		expect(await send()).toEqual([503, '{"error":"STILL_RUNNING"}']);
		expect(ran).toEqual(["a", "b"]);
		expect(await send()).toEqual([204, ""]);
		expect(ran).toEqual(["a", "b", "c", "d"]);
	});

	test("the last event of a batch that begins in time gets no time of its own", async () => {
		let nowMs = standingClock.now();
		const timers: number[] = [];
		const clock = {
			...standingClock,
			now: () => nowMs,
			setTimeout: (run: () => void, ms: number) => {
				timers.push(ms);
				return standingClock.setTimeout(run, ms);
			},
		};
		const bus = createBus({ clock: { ...standingClock, now: () => nowMs } });
		onTestFinished(() => bus.close());
		bus.on("order.paid", () => {
			nowMs += 6_000;
		});
		const receiver = createReceiver({
			...{ secrets: secret, bus, clock, mode: "inline", inlineTimeoutMs: 10_000, readTimeoutMs: 7_777 },
		});
		const events = ["a", "b"].map((id) => ({ ...one, id }));
		const request = signedRequest(events, { headers: { "content-type": batchType } });
		expect((await receiver.fetch(request)).status).toBe(204);
		expect(timers.filter((ms) => ms !== 7_777)).toEqual([4_000, 0]);
	});

	test("an event that is twice in one batch runs once, and the one behind it runs", async () => {
		const emit = vi.fn();
		const dedupe = memoryStore();
		const receiver = createReceiver({ secrets: secret, bus: { emit }, clock: standingClock, dedupe });
		const events = ["a", "a", "b"].map((id) => ({ ...one, id, data: id }));
		const request = signedRequest(events, { headers: { "content-type": batchType } });
		expect((await receiver.fetch(request)).status).toBe(204);
		expect(emit.mock.calls.map(([, data]) => data as string)).toEqual(["a", "b"]);
	});
});
