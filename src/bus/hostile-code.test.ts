// What the user's own code may do in the middle of an emit, and what must hold all the same.
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { codeOf, optionOf } from "../../test/support/thrown.ts";
import { defineEvents, type Schema } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createWebhookBridge } from "../webhook/index.ts";
import { createBus } from "./index.ts";

function schemaThat(validate: (value: unknown) => unknown): Schema<number, number> {
	return { "~standard": { version: 1, validate: validate as never } };
}

describe("emit() - user code that closes the bus", () => {
	test.each(["schema", "key"] as const)(
		"the %s of the catalog: nothing runs and nothing is stored",
		async (where) => {
			const close = (): void => void bus.close();
			const store = memoryStore();
			const bus = createBus({
				store,
				events: defineEvents({
					a: {
						schema: schemaThat((value) => {
							if (where === "schema") close();
							return { value };
						}),
						key: () => {
							if (where === "key") close();
							return "k";
						},
					},
				}),
			});
			createWebhookBridge(bus, { forward: ["a"] });
			const callback = vi.fn();
			bus.on("a", callback);
			expect(codeOf(() => bus.emit("a", 1))).toBe("ERR_CALLHOOK_CLOSED");
			expect(callback).not.toHaveBeenCalled();
			expect((await store.query({}, {})).items).toEqual([]);
		},
	);

	test("the key function of a handler: the handler does not start", async () => {
		const onError = vi.fn();
		const bus = createBus<{ a: number }>({ onError });
		const handler = vi.fn();
		bus.handle("a", handler, {
			key: () => {
				void bus.close();
				return "k";
			},
		});
		const { failed } = await bus.emit("a", 1).settled;
		expect(handler).not.toHaveBeenCalled();
		expect(
			failed.map(({ error }) =>
				codeOf(() => {
					throw error;
				}),
			),
		).toEqual(["ERR_CALLHOOK_STOPPED"]);
	});
});

describe("emit() - objects that change afterwards", () => {
	test("the time and the metadata of an event are those of the emit", async () => {
		const bus = createBus<{ a: number }>();
		const time = new Date(0);
		const metadata = { n: 1 };
		const { event } = bus.emit("a", 1, { time, metadata });
		time.setTime(Number.NaN);
		metadata.n = 2;
		expect(event.time).toBe("1970-01-01T00:00:00.000Z");
		expect(event.metadata).toEqual({ n: 1 });
		expect(() => Object.assign(event.metadata, { n: 3 })).toThrow();
	});

	test.each(["1", "26-01-01", 8.64e15, new Date(Number.NaN), "2026-01-01T00:00:00", "2026-02-30T00:00:00Z"])(
		"%s is no time in RFC 3339",
		(time) => {
			for (const option of ["time", "at"]) {
				expect(optionOf(() => createBus().emit("a", 1, { [option]: time }))).toBe(option);
			}
		},
	);

	test("options that are inherited count like others", () => {
		const bus = createBus<{ a: number }>();
		const options = Object.create({ key: "k", metadata: { tenant: "t" }, subject: "s", id: "a_1" });
		expect(bus.emit("a", 1, options).event).toMatchObject({
			...{ key: "k", metadata: { tenant: "t" }, subject: "s", id: "a_1" },
		});
	});
});

describe("emit() - a schema that breaks its own rules", () => {
	test.each([
		["undefined", undefined],
		["null", null],
		["issues that are no list", { issues: "x" }],
		["null as issues", { issues: null }],
		["null as an issue", { issues: [null] }],
		["a path that is no list", { issues: [{ message: "no", path: 7 }] }],
		["a path segment that cannot be read", { issues: [{ message: "no", path: [Object.create(null)] }] }],
		["a message that cannot be read", { issues: [{ message: Object.create(null) }] }],
	])("answering %s is invalid data", (_, answer) => {
		const bus = createBus({ events: defineEvents({ a: schemaThat(() => answer) }) });
		expect(codeOf(() => bus.emit("a", 1))).toBe("ERR_CALLHOOK_INVALID_DATA");
	});

	test("throwing is invalid data, with what it threw as the cause", () => {
		const cause = new Error("no");
		const schema = schemaThat(() => {
			throw cause;
		});
		const bus = createBus({ events: defineEvents({ a: schema, b: z.number() }) });
		expect(() => bus.emit("a", 1)).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_DATA", cause }),
		);
	});
});

describe("close() - while a drain waits for a target", () => {
	test("aborts it, and the drain ends too", async () => {
		const clock = fakeClock();
		const bus = createBus<{ a: number }>({ store: memoryStore({ clock }), clock });
		let end: (() => void) | undefined;
		bus.outbox?.register({
			...{ name: "slow", accepts: ["a"], concurrency: 1, concurrencyOf: () => 1 },
			run: () =>
				new Promise((resolve) => {
					end = () => resolve({ to: { state: "waiting", retryInMs: 0 } });
				}),
			abort: () => end?.(),
		});
		bus.emit("a", 1);
		await clock.advance(0);
		const drained = bus.drain();
		await clock.advance(0);
		const closed = bus.close();
		await clock.advance(0);
		await closed;
		expect((await drained).deliveries).toBe(1);
		expect(clock.timers).toBe(0);
	});
});

test("bridge.idle() - rejects once the store is closed, and the store is not asked again", async () => {
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const onError = vi.fn();
	const bus = createBus<{ a: number }>({ store, clock, onError });
	const bridge = createWebhookBridge(bus, { forward: ["a"] });
	await clock.advance(0);
	await store.close();
	await expect(bridge.idle()).rejects.toMatchObject({ code: "ERR_CALLHOOK_CLOSED" });
	// Housekeeping of the outbox goes on as long as it has a target.
	expect(clock.timers).toBe(1);
	await bridge.stop();
	expect(clock.timers).toBe(0);
});
