import { describe, expect, test, vi } from "vitest";
import { secret, signedRequest } from "../../test/support/signed-request.ts";
import { createBus } from "../bus/index.ts";
import { createDeferred } from "../internal/deferred.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createReceiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: {} };
const duplicate = [200, { ignored: "DUPLICATE" }];
const inProgress = [503, { error: "IN_PROGRESS" }];

function setup(options: Partial<ReceiverOptions> = {}, clock = fakeClock()) {
	const emit = vi.fn<(type: string, data: unknown, options: unknown) => unknown>();
	const store = memoryStore({ clock });
	// The signed second is in the past of this clock, by as much as is told it.
	const given = { secrets: secret, bus: { emit }, clock, dedupe: store, toleranceSeconds: 1e10, ...options };
	const receiver = createReceiver(given);
	const post = async (id = "msg_1") => {
		const response = await receiver.fetch(signedRequest(event, { id }));
		const text = await response.text();
		return text === "" ? response.status : [response.status, JSON.parse(text) as unknown];
	};
	return { clock, store, emit, post, given, receiver };
}

describe("createReceiver({ dedupe })", () => {
	test("runs a message once, and another as well", async () => {
		const { emit, post } = setup();
		expect([await post(), await post(), await post("msg_2"), await post()]).toEqual([
			204,
			duplicate,
			204,
			duplicate,
		]);
		expect(emit).toHaveBeenCalledTimes(2);
	});

	test("of two at once one runs, and the other is told to come again", async () => {
		const { emit, post, receiver } = setup();
		const running = createDeferred<void>();
		emit.mockReturnValueOnce(running.promise);
		const first = post();
		await vi.waitFor(() => expect(emit).toHaveBeenCalledOnce());
		const second = await receiver.fetch(signedRequest(event));
		expect([second.status, await second.json()]).toEqual(inProgress);
		expect(second.headers.get("retry-after")).toBe("5");
		running.resolve();
		expect([await first, await post()]).toEqual([204, duplicate]);
		expect(emit).toHaveBeenCalledOnce();
	});

	test("one that failed runs again", async () => {
		const { emit, post } = setup();
		const failure = new Error("db down");
		emit.mockRejectedValueOnce(failure);
		await expect(post()).rejects.toBe(failure);
		expect([await post(), await post()]).toEqual([204, duplicate]);
	});

	test("one that was refused is not remembered: it comes again once it can be taken", async () => {
		const bus = createBus();
		const { post } = setup({ bus });
		await bus.close();
		expect([await post(), await post()]).toEqual([
			[503, { error: "ERR_CALLHOOK_CLOSED" }],
			[503, { error: "ERR_CALLHOOK_CLOSED" }],
		]);
	});

	test("a process that died in the middle holds it for a minute at most", async () => {
		const { clock, emit, post, store } = setup();
		await store.receipts.claim("standard:msg_1", 60_000);
		expect(await post()).toEqual(inProgress);
		await clock.advance(60_000);
		expect(await post()).toBe(204);
		expect(emit).toHaveBeenCalledOnce();
	});

	test("one that takes longer than a lease keeps it", async () => {
		const { clock, emit, post } = setup();
		const running = createDeferred<void>();
		emit.mockReturnValueOnce(running.promise);
		const first = post();
		await vi.waitFor(() => expect(emit).toHaveBeenCalledOnce());
		await clock.advance(300_000);
		expect(await post()).toEqual(inProgress);
		running.resolve();
		expect([await first, await post(), clock.timers]).toEqual([204, duplicate, 0]);
	});

	test("forgets after dedupeForMs, and prunes as messages come", async () => {
		const { clock, emit, post, store } = setup({ dedupeForMs: 120_000 });
		const prune = vi.spyOn(store.receipts, "prune");
		await post();
		await clock.advance(119_999);
		expect(await post()).toEqual(duplicate);
		await clock.advance(1);
		expect(await post()).toBe(204);
		expect(emit).toHaveBeenCalledTimes(2);
		await clock.advance(60_000);
		await post("msg_2");
		expect(prune).toHaveBeenCalledWith(100);
	});

	test("receivers of two senders do not take each other's ids", async () => {
		const { given, post } = setup();
		const other = createReceiver({ ...given, name: "other" });
		expect([await post(), (await other.fetch(signedRequest(event))).status]).toEqual([204, 204]);
	});

	test.each([
		["dedupe", { dedupe: {} }],
		["dedupeForMs", { dedupeForMs: 0 }],
		["name", { name: "a b" }],
	])("refuses an option %s that cannot work", (option, options) => {
		expect(() => setup(options as Partial<ReceiverOptions>)).toThrow(
			expect.objectContaining({ details: expect.objectContaining({ option }) }),
		);
	});
});

describe("createReceiver({ mode })", () => {
	test("store: 202 once the store of the bus has it, before handlers end, and 503 where it cannot", async () => {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const bus = createBus({ clock, store, onError: () => undefined });
		const ran = vi.fn();
		bus.handle("order.paid", ran, { name: "book", durable: true });
		const { post } = setup({ bus, dedupe: undefined }, clock);
		expect(await post()).toBe(202);
		expect((await store.query({}, {})).items.map(({ eventId }) => eventId)).toEqual(["msg_1"]);
		expect(ran).not.toHaveBeenCalled();
		await clock.advance(0);
		expect(ran).toHaveBeenCalledOnce();
		await store.close();
		expect(await post("msg_2")).toEqual([503, { error: "ERR_CALLHOOK_CLOSED" }]);
		await bus.close();
	});

	test("inline: 204 behind the handlers, 500 where one failed, which then runs again", async () => {
		const clock = fakeClock();
		const bus = createBus({ clock, onError: () => undefined });
		const handler = vi.fn().mockRejectedValueOnce(new Error("private"));
		bus.handle("order.paid", handler);
		const { post } = setup({ bus, mode: "inline" }, clock);
		expect([await post(), await post(), await post()]).toEqual([
			[500, { error: "ERR_CALLHOOK_EMISSION_FAILED" }],
			204,
			duplicate,
		]);
		expect(handler).toHaveBeenCalledTimes(2);
	});

	test("inline: 503 when the time is up, while the handler goes on and its end counts", async () => {
		const clock = fakeClock();
		const bus = createBus({ clock });
		const [started, running] = [createDeferred<void>(), createDeferred<void>()];
		bus.handle("order.paid", () => {
			started.resolve();
			return running.promise;
		});
		const { post } = setup({ bus, mode: "inline", inlineTimeoutMs: 1_000 }, clock);
		const answer = post();
		// Verifying takes its own time, whatever the clock says: the limit begins behind it.
		await started.promise;
		await clock.advance(0);
		await clock.advance(1_000);
		expect(await answer).toEqual([503, { error: "STILL_RUNNING" }]);
		expect(await post()).toEqual(inProgress);
		running.resolve();
		await clock.advance(0);
		expect(await post()).toEqual(duplicate);
	});

	test.each([true, false])(
		"inline: 503 when the time is up and the store hangs; its end counts: %s",
		async (endsWell) => {
			const clock = fakeClock();
			const outbox = memoryStore({ clock });
			const [started, writing] = [createDeferred<void>(), createDeferred<void>()];
			const append: typeof outbox.append = async (...given) => {
				started.resolve();
				await writing.promise;
				return outbox.append(...given);
			};
			const bus = createBus({ clock, onError: () => undefined, store: { ...outbox, append } });
			bus.handle("order.paid", () => undefined, { name: "pack", durable: true });
			const { post } = setup({ bus, mode: "inline", inlineTimeoutMs: 1_000 }, clock);
			const answer = post();
			await started.promise;
			await clock.advance(1_000);
			expect(await answer).toEqual([503, { error: "STILL_RUNNING" }]);
			const failure = new Error("disk full");
			if (endsWell) writing.resolve();
			else writing.reject(failure);
			await clock.advance(0);
			if (endsWell) expect(await post()).toEqual(duplicate);
			else await expect(post()).rejects.toBe(failure);
			await bus.close();
		},
	);
});
