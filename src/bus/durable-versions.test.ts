import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { flush, openDurableBus, rowsOf } from "../../test/support/durable-bus.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { HandlerContext } from "./attempt.ts";

type Handler = (data: never, context: HandlerContext) => unknown;

const anything = z.any();

/** A store with the events that versions of an application emit one after the other; each is closed behind. */
function openStore() {
	const clock = fakeClock();
	const store = memoryStore({ clock });
	const open = (definition: object) => {
		const events = defineEvents({ job: definition as { schema: typeof anything } });
		return openDurableBus<{ job: unknown }>({ clock, store, events });
	};
	return {
		...{ clock, store, open },
		/** Only stores it: its handler is paused. */
		async emit(definition: object, data: unknown, id: string, time?: string): Promise<void> {
			const { bus } = open(definition);
			bus.handle("job", () => undefined, { name: "h", durable: true }).pause();
			await bus.emit("job", data, { id, ...(time && { time }) }).stored;
			await bus.close();
		},
		/** Runs what there is, with a later version. */
		async run(definition: object, handler: Handler) {
			const { bus, errors } = open(definition);
			const retry = { attempts: 2, minDelayMs: 10, jitter: false };
			bus.handle("job", handler as never, { name: "h", durable: true, retry });
			await flush(clock);
			await clock.advance(10);
			await bus.close();
			return { rows: await rowsOf(store), errors };
		},
	};
}

const first = { schema: z.object({ name: z.string() }) };
const second = {
	schema: z.object({ first: z.string(), last: z.string() }),
	version: 2,
	upcast: {
		1: ({ name }: { name: string }) => ({ first: name.split(" ")[0], last: name.split(" ")[1] }),
	},
};
const third = {
	schema: z.object({ people: z.array(second.schema) }),
	version: 3,
	upcast: { ...second.upcast, 2: (person: unknown) => ({ people: [person] }) },
};

describe("durable handler - data of an older version", () => {
	test("is brought up to date step by step, that of each version from where it is", async () => {
		const { emit, run, store } = openStore();
		await emit(first, { name: "Ada Lovelace" }, "e1");
		await emit(second, { first: "Alan", last: "Turing" }, "e2");
		await emit(third, { people: [] }, "e3");
		const handler = vi.fn((_data: unknown, { event }: HandlerContext) => event.data);
		const { rows, errors } = await run(third, handler);
		expect(errors).toEqual([]);
		expect(rows).toEqual(["e1", "e2", "e3"].map((id) => `${id} handler:h delivered`));
		const people = [
			{ people: [{ first: "Ada", last: "Lovelace" }] },
			{ people: [{ first: "Alan", last: "Turing" }] },
			{ people: [] },
		];
		expect(handler.mock.calls.map(([data]) => data)).toEqual(people);
		expect(handler.mock.results.map(({ value }) => value)).toEqual(people);
		const versions = (await store.getEvents(["e1", "e2", "e3"])).map(({ version }) => version);
		expect(versions.sort()).toEqual([2, 3, undefined]);
	});

	test("is what the schema makes of it: dates are dates again", async () => {
		const { emit, run } = openStore();
		const schema = z.object({ at: z.coerce.date() });
		await emit({ schema }, { at: "2026-05-01" }, "e1");
		const handler = vi.fn();
		await run({ schema }, handler);
		expect(handler.mock.calls[0]?.[0]).toEqual({ at: new Date("2026-05-01") });
	});
});

describe("durable handler - data that cannot be read", () => {
	const name = "Ada Lovelace";
	test.each<[string, object, string]>([
		["lacks an upcast", { ...third, upcast: { 2: third.upcast[2] } }, "there is no upcast from version 1"],
		[
			"its schema refuses",
			{ schema: z.object({ name: z.number() }) },
			"name: Invalid input: expected number, received string",
		],
		[
			"its upcast makes invalid",
			{ ...second, upcast: { 1: () => ({}) } },
			"first: Invalid input: expected string, received undefined; last: Invalid input: expected string, received undefined",
		],
	])(
		"that %s fails its attempts, becomes a dead letter, and stays as it was",
		async (_what, definition, reason) => {
			const { emit, run, store } = openStore();
			await emit(first, { name }, "e1");
			const handler = vi.fn();
			const { rows, errors } = await run(definition, handler);
			expect(handler).not.toHaveBeenCalled();
			expect(rows).toEqual(["e1 handler:h dead"]);
			const message = `Invalid data for "job": ${reason}`;
			expect(errors).toEqual([`handler h: ${message}`]);
			const failure = { outcome: "failed", errorCode: "ERR_CALLHOOK_INVALID_DATA", error: message };
			const [row] = (await store.query({}, {})).items;
			expect(row?.attempts).toMatchObject([
				{ ...failure, number: 1 },
				{ ...failure, number: 2 },
			]);
			const [event] = await store.getEvents(["e1"]);
			expect([event?.dataJson, event?.version]).toEqual([JSON.stringify({ name }), undefined]);
			await store.replay({ state: "dead" });
			expect(await run(second, handler)).toEqual({ rows: ["e1 handler:h delivered"], errors: [] });
			expect(handler.mock.calls[0]?.[0]).toEqual({ first: "Ada", last: "Lovelace" });
		},
	);

	test("that is of a newer version is left to the newer application", async () => {
		const { clock, emit, run } = openStore();
		await emit(third, { people: [] }, "e1");
		const handler = vi.fn();
		expect(await run(second, handler)).toEqual({ rows: ["e1 handler:h pending"], errors: [] });
		await clock.advance(30_000);
		expect((await run(third, handler)).rows).toEqual(["e1 handler:h delivered"]);
		expect(handler.mock.calls).toEqual([[{ people: [] }, expect.anything()]]);
	});

	test("that is of a newer version fails after an hour, and not for good: the newer application can read it", async () => {
		const { clock, emit, run, store } = openStore();
		await emit(third, { people: [] }, "e1");
		await clock.advance(3_600_000);
		const handler = vi.fn();
		const { errors } = await run(second, handler);
		const reason = "it has version 3, and this application knows 2";
		expect(errors).toEqual([`handler h: Invalid data for "job": ${reason}`]);
		expect(handler).not.toHaveBeenCalled();
		await store.replay({ state: "dead" });
		expect((await run(third, handler)).rows).toEqual(["e1 handler:h delivered"]);
		expect(handler.mock.calls[0]?.[0]).toEqual({ people: [] });
	});

	test("that is of a newer version and dated far ahead is not left for ever", async () => {
		const { clock, emit, run } = openStore();
		await emit(third, { people: [] }, "e1", new Date(clock.now() + 7_200_000).toISOString());
		expect((await run(second, vi.fn())).errors).toHaveLength(1);
	});

	test("that was emitted without data comes without", async () => {
		const { emit, run } = openStore();
		const definition = { schema: z.undefined() };
		await emit(definition, undefined, "e1");
		const handler = vi.fn();
		expect(await run(definition, handler)).toEqual({ rows: ["e1 handler:h delivered"], errors: [] });
		expect(handler.mock.calls[0]?.[0]).toBeUndefined();
	});

	test("that an upcast throws at fails with its error", async () => {
		const { emit, run } = openStore();
		await emit(first, { name }, "e1");
		const upcast = {
			1: () => {
				throw new Error("no upcast today");
			},
		};
		const handler = vi.fn();
		const { rows, errors } = await run({ ...second, upcast }, handler);
		expect(rows).toEqual(["e1 handler:h dead"]);
		expect(errors).toEqual(["handler h: no upcast today"]);
		expect(handler).not.toHaveBeenCalled();
	});

	test("that is of no type of the catalog any more comes as it is, to who takes every type", async () => {
		const { clock, store } = openStore();
		const before = openDurableBus<{ gone: number }>({ clock, store });
		before.bus.handle("**", () => undefined, { name: "h", durable: true }).pause();
		await before.bus.emit("gone", 7, { id: "e1" }).stored;
		await before.bus.close();
		const after = openDurableBus({ clock, store, events: defineEvents({ job: anything }) });
		const handler = vi.fn();
		after.bus.handle("**", handler, { name: "h", durable: true });
		await flush(clock);
		expect(handler.mock.calls[0]?.[0]).toBe(7);
	});
});
