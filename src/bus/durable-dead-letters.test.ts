import { describe, expect, test, vi } from "vitest";
import { openDurableBus } from "../../test/support/durable-bus.ts";
import { openFolder } from "../../test/support/sqlite.ts";
import { fakeGroup } from "../../test/support/target-group.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { sqliteStore } from "../stores/sqlite/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { BusOptions } from "./bus-options.ts";
import type { DeadLetter, DeadLetterFilter } from "./dead-letter.ts";
import { PermanentError } from "./permanent-error.ts";

const startMs = Date.UTC(2026, 0);
const at = (ms: number): string => new Date(startMs + ms).toISOString();

/**
 * A bus whose handlers `memory`, `a` and `b` give all events up as long as they are broken: the first keeps its letters
 * in memory, the others in the store.
 */
function setup(options: Partial<BusOptions> = {}) {
	const bench = openDurableBus(options as never);
	const { bus, clock, store } = bench;
	const state = { isBroken: true };
	const runs: string[] = [];
	const handle = (name: string, handleOptions: object): void => {
		const handler = (data: number): void => {
			if (state.isBroken) throw new PermanentError(`no ${data}`);
			runs.push(`${name} ${data}`);
		};
		bus.handle("**", handler, { name, ...handleOptions });
	};
	handle("memory", {});
	handle("a", { durable: true });
	handle("b", { durable: true });
	const webhooks = fakeGroup(clock, () => "dead", { name: "webhooks" });
	bus.outbox!.register({ ...webhooks, accepts: ["**"] });
	return {
		...{ ...bench, state, runs },
		/** Emits them, one each second; they are dead letters then. */
		async emit(count: number, type: "job" | "other" = "job", from = 1): Promise<void> {
			for (let data = from; data < from + count; data++) {
				bus.emit(type, data, { id: `e${data}` });
				await bench.flush();
				await clock.advance(1_000);
			}
		},
		async list(filter?: DeadLetterFilter): Promise<string[]> {
			return (await bus.deadLetters.list({ limit: 1_000, ...filter })).items.map(name);
		},
		async countRows(group: string): Promise<number> {
			return (await store.query({ group }, { limit: 1_000 })).items.length;
		},
	};
}

/** A store that forgets none of a large number. */
function openLargeStore() {
	const clock = fakeClock();
	return { clock, store: memoryStore({ clock, maxFinished: 10_000 }) };
}

function name({ handler, event }: DeadLetter): string {
	return `${handler} ${String(event.data)}`;
}

describe("deadLetters.list() - of durable handlers", () => {
	test("shows the event, the failures with their times, and when it was given up", async () => {
		const { bus, clock, flush } = openDurableBus();
		bus.handle(
			"job",
			(_data, { attempt }) => {
				throw Object.assign(new TypeError(`no ${attempt}`), attempt === 2 && { code: "E_NO" });
			},
			{ name: "h", durable: true, retry: { attempts: 3, minDelayMs: 100, jitter: false } },
		);
		const { event } = bus.emit("job", 7, { id: "e1", key: "k", metadata: { by: "me" } });
		await clock.advance(10_000);
		await flush();
		const { items, cursor } = await bus.deadLetters.list();
		expect(cursor).toBeUndefined();
		expect(items).toHaveLength(1);
		const [letter] = items;
		expect(letter).toMatchObject({
			...{ id: expect.any(String), handler: "h", attempts: 3, deadAt: at(300) },
			event: { id: "e1", type: "job", data: 7, key: "k", metadata: { by: "me" }, time: event.time },
		});
		const failures = letter!.failures.map(({ at: failedAt, error }) => {
			const { message, code, stack } = error as Error & { code?: string };
			return [failedAt, error instanceof Error, message, code, stack];
		});
		expect(failures).toEqual([
			[at(0), true, "no 1", "TypeError", undefined],
			[at(100), true, "no 2", "E_NO", undefined],
			[at(300), true, "no 3", "TypeError", undefined],
		]);
	});

	test("shows the last 20 failures", async () => {
		const { bus, clock, flush } = openDurableBus();
		const failing = (_data: number, { attempt }: { attempt: number }): never => {
			throw new Error(`no ${attempt}`);
		};
		bus.handle("job", failing, {
			name: "h",
			durable: true,
			retry: { attempts: 30, minDelayMs: 0, factor: 1 },
		});
		bus.emit("job", 1);
		for (let round = 0; round < 10; round++) {
			await clock.advance(1_000);
			await flush();
		}
		const [letter] = (await bus.deadLetters.list()).items;
		expect(letter?.attempts).toBe(30);
		expect(letter?.failures.map(({ error }) => (error as Error).message)).toEqual(
			Array.from({ length: 20 }, (_, index) => `no ${index + 11}`),
		);
	});

	test("counts an attempt that left no record, and shows no failure of it or of a success before", async () => {
		const { bus, store, clock, flush } = openDurableBus();
		const state = { isBroken: false };
		const handler = (_data: number, { attempt }: { attempt: number }): void => {
			if (state.isBroken) throw new Error(`no ${attempt}`);
		};
		const retry = { attempts: 3, minDelayMs: 100, jitter: false };
		const subscription = bus.handle("job", handler, { name: "h", durable: true, retry });
		bus.emit("job", 1);
		for (const isBroken of [false, true]) {
			await flush();
			state.isBroken = isBroken;
			expect(await store.replay({ state: "delivered" })).toBe(1);
		}
		await flush();
		subscription.pause();
		await clock.advance(100);
		// A process that dies.
		const request = { limit: 1, limitPerTarget: 1, capacity: new Map() };
		expect(await store.claim(new Map([["handler:h", request]]), 1_000)).toHaveLength(1);
		await clock.advance(1_000);
		subscription.resume();
		await flush();
		const [letter] = (await bus.deadLetters.list()).items;
		expect(letter?.attempts).toBe(3);
		expect(letter?.failures.map(({ error }) => (error as Error).message)).toEqual(["no 1", "no 3"]);
	});

	test("comes behind those in memory, newest first, and never shows webhooks", async () => {
		const { emit, list, countRows } = setup();
		await emit(2);
		expect(await list()).toEqual(["memory 2", "memory 1", "b 2", "a 2", "b 1", "a 1"]);
		expect(await countRows("webhooks")).toBe(2);
	});

	test("shows nothing that waits, runs or was done", async () => {
		const { bus, state, emit, list, flush } = setup();
		state.isBroken = false;
		await emit(1);
		bus.handle("job", () => Promise.reject(new Error("later")), { name: "retrying", durable: true });
		bus.handle("job", () => new Promise(() => {}), { name: "running", durable: true });
		bus.emit("job", 2);
		await flush();
		expect(await list()).toEqual([]);
	});

	test.each([1, 2, 3, 4, 5, 8, 12, 13])("in pages of %i shows each letter once", async (limit) => {
		const { bus, emit, list } = setup();
		await emit(4);
		const all = await list();
		expect(all).toHaveLength(12);
		const seen: string[] = [];
		let cursor: string | undefined;
		let pages = 0;
		do {
			const page = await bus.deadLetters.list({ limit, cursor });
			expect(page.items.length).toBeLessThanOrEqual(limit);
			if (page.cursor !== undefined) expect(page.items).toHaveLength(limit);
			seen.push(...page.items.map(name));
			cursor = page.cursor;
			pages++;
		} while (cursor !== undefined && pages < 20);
		expect(seen).toEqual(all);
	});

	test("leaves out what the store forgets while it is read", async () => {
		const { store, emit, list } = setup({ deadLetterLimit: 0 });
		await emit(2);
		const { getEvents } = store;
		vi.spyOn(store, "getEvents").mockImplementationOnce(async (ids) => (await getEvents(ids)).slice(1));
		expect(await list({ handler: "a" })).toHaveLength(1);
		expect(await list({ handler: "a" })).toHaveLength(2);
	});

	test("has 50 on a page by default", async () => {
		const { bus, emit } = setup();
		await emit(20);
		const first = await bus.deadLetters.list();
		expect(first.items).toHaveLength(50);
		expect((await bus.deadLetters.list({ cursor: first.cursor })).items).toHaveLength(10);
	});

	test.each<[string, DeadLetterFilter, string[]]>([
		["handler", { handler: "a" }, ["a 4", "a 3", "a 2", "a 1"]],
		["handler in memory", { handler: "memory", type: "other" }, ["memory 4", "memory 3"]],
		["a handler that is none", { handler: "webhooks" }, []],
		["type", { type: "other", handler: "b" }, ["b 4", "b 3"]],
		["since", { since: at(2_000), handler: "a" }, ["a 4", "a 3"]],
		["until", { until: new Date(startMs + 2_000), handler: "a" }, ["a 2", "a 1"]],
		["where", { where: ({ event, handler }) => event.data === 3 && handler !== "b" }, ["memory 3", "a 3"]],
		[
			"all of them",
			{ since: at(1_000), until: at(3_000), type: "job", where: (letter) => letter.handler === "b" },
			["b 2"],
		],
		["ids of none", { ids: [] }, []],
	])("takes %s", async (_what, filter, expected) => {
		const { emit, list } = setup();
		await emit(2);
		await emit(2, "other", 3);
		expect(await list(filter)).toEqual(expected);
	});

	test.each(["memory", "sqlite"])("takes ids of both kinds (%s)", async (kind) => {
		const clock = fakeClock();
		const { path, dispose } = await openFolder();
		const store = kind === "memory" ? memoryStore({ clock }) : sqliteStore({ path, driver: "libsql", clock });
		const { bus, emit, list } = setup({ clock, store });
		await emit(2);
		const { items } = await bus.deadLetters.list();
		const ids = items.filter(({ event }) => event.data === 1).map(({ id }) => id);
		expect(new Set(items.map(({ id }) => id)).size).toBe(6);
		expect(await list({ ids })).toEqual(["memory 1", "b 1", "a 1"]);
		expect(await list({ ids: ids.slice(1) })).toEqual(["b 1", "a 1"]);
		expect(await bus.deadLetters.replay({ ids: ids.slice(0, 2) })).toBe(2);
		await bus.close();
		expect(await bus.deadLetters.discard({ ids: ids.slice(2) })).toBe(1);
		await store.close();
		await dispose();
	});

	test("fills its pages with what `where` picks, however few they are", async () => {
		const { bus, emit } = setup();
		await emit(9);
		const where = ({ event }: DeadLetter): boolean => Number(event.data) % 4 === 1;
		const filter = { where, handler: "a", limit: 2 };
		const first = await bus.deadLetters.list(filter);
		expect(first.items.map(name)).toEqual(["a 9", "a 5"]);
		const second = await bus.deadLetters.list({ ...filter, cursor: first.cursor });
		expect(second.items.map(name)).toEqual(["a 1"]);
		expect(second.cursor).toBeUndefined();
	});

	test.each<[string, object]>([
		["limit", { limit: 0 }],
		["cursor", { cursor: 7 }],
		["ids", { ids: "e1" }],
		["handler", { handler: 7 }],
		["type", { type: 7 }],
		["since", { since: "yesterday" }],
		["until", { until: "tomorrow" }],
		["where", { where: "yes" }],
		["list.state", { state: "dead" }],
	])("refuses a bad %s", async (option, filter) => {
		const { bus } = setup();
		expect(optionOf(await rejectionOf(bus.deadLetters.list(filter)))).toBe(option);
	});
});

describe("deadLetters.replay() - of durable handlers", () => {
	test("runs them anew, with a new count of attempts, and none of webhooks", async () => {
		const { bus, store, state, runs, emit, list, flush, rows } = setup();
		await emit(2);
		state.isBroken = false;
		expect(await bus.deadLetters.replay()).toBe(6);
		expect(await list()).toEqual([]);
		await flush();
		expect(runs.sort()).toEqual(["a 1", "a 2", "b 1", "b 2", "memory 1", "memory 2"]);
		expect((await rows()).filter((row) => row.includes("webhooks"))).toEqual([
			"e1 webhooks dead",
			"e2 webhooks dead",
		]);
		const { items } = await store.query({ group: "handler:a" }, {});
		expect(items.map(({ attempts }) => attempts.at(-1)?.number)).toEqual([1, 1]);
	});

	test("that fail again are letters again", async () => {
		const { bus, emit, list, flush } = setup();
		await emit(1);
		expect(await bus.deadLetters.replay({ handler: "a" })).toBe(1);
		await flush();
		expect(await list()).toEqual(["memory 1", "b 1", "a 1"]);
		expect(await bus.deadLetters.replay({ handler: "a" })).toBe(1);
	});

	test.each<[string, DeadLetterFilter, string[]]>([
		["handler", { handler: "a" }, ["a 1", "a 2", "a 3"]],
		["type", { type: "other" }, ["a 3", "b 3", "memory 3"]],
		["since", { since: at(2_000) }, ["a 3", "b 3", "memory 3"]],
		["until", { until: at(1_000) }, ["a 1", "b 1", "memory 1"]],
		["where", { where: ({ handler, event }) => handler === "b" && event.data !== 2 }, ["b 1", "b 3"]],
		["ids of none", { ids: [] }, []],
	])("takes %s, and leaves the others", async (_what, filter, expected) => {
		const { bus, state, runs, emit, list, flush } = setup();
		await emit(2);
		await emit(1, "other", 3);
		state.isBroken = false;
		expect(await bus.deadLetters.replay(filter)).toBe(expected.length);
		await flush();
		expect(runs.sort()).toEqual(expected);
		expect(await list()).toHaveLength(9 - expected.length);
	});

	test("takes more than a piece of them with `where`", async () => {
		const { bus, store, state, runs, clock, list, flush } = setup({
			deadLetterLimit: 0,
			...openLargeStore(),
		});
		for (let data = 1; data <= 620; data++) bus.emit("job", data);
		await clock.advance(1_000);
		for (let round = 0; round < 20; round++) await flush();
		expect(await list({ handler: "a" })).toHaveLength(620);
		state.isBroken = false;
		const where = ({ event }: DeadLetter): boolean => event.data !== 300;
		const [query, replay] = [vi.spyOn(store, "query"), vi.spyOn(store, "replay")];
		expect(await bus.deadLetters.replay({ handler: "a", where })).toBe(619);
		expect(query.mock.calls.map(([, { limit }]) => limit)).toEqual([500, 500]);
		expect(replay.mock.calls.map(([{ ids }]) => ids?.length)).toEqual([500, 119]);
		for (let round = 0; round < 20; round++) await flush();
		expect(new Set(runs).size).toBe(619);
		expect(await list({ handler: "a" })).toEqual(["a 300"]);
	});

	test("whose handler is not registered wait for it, and are no letters meanwhile", async () => {
		const { clock, store, emit, bus } = setup();
		await emit(1);
		await bus.close();
		const next = openDurableBus({ clock, store });
		expect(await next.bus.deadLetters.replay({ handler: "a" })).toBe(1);
		await next.flush();
		expect((await next.bus.deadLetters.list({ handler: "a" })).items).toEqual([]);
		const handler = vi.fn();
		next.bus.handle("job", handler, { name: "a", durable: true });
		await next.flush();
		expect(handler).toHaveBeenCalledTimes(1);
	});

	test("rejects on a closed bus, and changes nothing; bad filters too", async () => {
		const { bus, emit, list } = setup();
		await emit(1);
		expect(optionOf(await rejectionOf(bus.deadLetters.replay({ handler: 7 as never })))).toBe("handler");
		expect(optionOf(await rejectionOf(bus.deadLetters.replay({ limit: 7 } as never)))).toBe(
			"deadLetters.limit",
		);
		await bus.close();
		const { code } = await rejectionOf(bus.deadLetters.replay());
		expect(code).toBe("ERR_CALLHOOK_CLOSED");
		expect(await list()).toHaveLength(3);
	});
});

describe("deadLetters.discard() - of durable handlers", () => {
	test("forgets them, and nothing of webhooks", async () => {
		const { bus, emit, list, rows } = setup();
		await emit(2);
		expect(await bus.deadLetters.discard()).toBe(6);
		expect(await list()).toEqual([]);
		expect(await rows()).toEqual(["e1 webhooks dead", "e2 webhooks dead"]);
		expect(await bus.deadLetters.discard()).toBe(0);
	});

	test("forgets only letters: what waits and what was done stays", async () => {
		const { bus, state, emit, flush, rows } = setup();
		state.isBroken = false;
		await emit(1);
		const failing = () => Promise.reject(new Error("later"));
		bus.handle("other", failing, { name: "retrying", durable: true });
		bus.emit("other", 2, { id: "e2" });
		await flush();
		const before = await rows();
		expect(await bus.deadLetters.discard({ handler: "a" })).toBe(0);
		expect(await bus.deadLetters.discard()).toBe(0);
		expect(await rows()).toEqual(before);
	});

	test.each<[string, DeadLetterFilter, string[]]>([
		["handler", { handler: "a" }, ["a 1", "a 2"]],
		["since", { since: at(1_000) }, ["memory 2", "b 2", "a 2"]],
		["where", { where: ({ handler }) => handler === "b" }, ["b 2", "b 1"]],
	])("takes %s, and leaves the others", async (_what, filter, expected) => {
		const { bus, emit, list } = setup();
		await emit(2);
		const all = await list();
		expect(await bus.deadLetters.discard(filter)).toBe(expected.length);
		expect(await list()).toEqual(all.filter((letter) => !expected.includes(letter)));
	});

	test("forgets more than a piece of them, and works on a closed bus", async () => {
		const { bus, store, clock, flush, list } = setup({ deadLetterLimit: 0, ...openLargeStore() });
		for (let data = 1; data <= 620; data++) bus.emit("job", data);
		await clock.advance(1_000);
		for (let round = 0; round < 20; round++) await flush();
		await bus.close();
		const prune = vi.spyOn(store, "prune");
		expect(await bus.deadLetters.discard({ handler: "a" })).toBe(620);
		expect(prune.mock.calls.map(([{ limit }]) => limit)).toEqual([500, 500]);
		expect(await list({ handler: "a" })).toEqual([]);
		expect(await bus.deadLetters.discard({ handler: "b", where: ({ event }) => event.data !== 7 })).toBe(619);
		expect(await list()).toEqual(["b 7"]);
	});
});
