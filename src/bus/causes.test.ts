import { spawnSync } from "node:child_process";
import { describe, expect, test, vi } from "vitest";
import { fakeClock } from "../testing/index.ts";
import type { BusOptions } from "./bus-options.ts";
import { createBus } from "./create-bus.ts";

type Events = { cause: number; effect: string; last: string; batch: number };

function setup(options: Pick<BusOptions, "trackCauses"> = {}) {
	const clock = fakeClock();
	const onError = vi.fn();
	const bus = createBus<Events>({ ...options, clock, onError });
	/** What each effect says of its cause. */
	const seen: Record<string, string | undefined> = {};
	bus.on("effect", (data, { causationId }) => {
		seen[data] = causationId;
	});
	return { bus, clock, onError, seen };
}

/** Some awaits of several kinds, and a timer. */
async function goFar(): Promise<void> {
	await Promise.resolve();
	await new Promise((resolve) => setImmediate(resolve));
	await new Promise((resolve) => setTimeout(resolve, 0));
}

describe("causationId - an event that is emitted", () => {
	test("by nobody in particular has no cause", async () => {
		const { bus, clock, seen } = setup();
		bus.handle("cause", () => undefined);
		bus.emit("effect", "before");
		bus.emit("cause", 1);
		bus.emit("effect", "between");
		await clock.advance(0);
		bus.emit("effect", "after");
		expect(seen).toEqual({ before: undefined, between: undefined, after: undefined });
	});

	test("in the synchronous part of a callback is caused by its event, and not what comes behind", () => {
		const { bus, onError } = setup();
		const causes: (string | undefined)[] = [];
		const note = (): void => void causes.push(bus.emit("effect", "").event.causationId);
		bus.on("cause", () => {
			note();
			throw new Error("callback");
		});
		bus.on("cause", async () => note());
		bus.emit("cause", 1, { id: "first" });
		note();
		bus.emit("cause", 2, { id: "second" });
		expect(causes).toEqual(["first", "first", undefined, "second", "second"]);
		expect(onError).toHaveBeenCalledTimes(2);
	});

	test("in a callback of a callback is caused by the inner one, then by the outer one again", () => {
		const { bus } = setup();
		const causes: (string | undefined)[] = [];
		bus.on("effect", () => void causes.push(bus.emit("last", "inner").event.causationId));
		bus.on("cause", () => {
			bus.emit("effect", "", { id: "inner" });
			causes.push(bus.emit("last", "outer").event.causationId);
		});
		bus.emit("cause", 1, { id: "outer" });
		expect(causes).toEqual(["inner", "outer"]);
	});

	test("behind an await in a callback has no cause", async () => {
		const { bus, seen } = setup();
		bus.on("cause", async () => {
			await Promise.resolve();
			bus.emit("effect", "behind");
		});
		await bus.emit("cause", 1).settled;
		expect(seen).toEqual({ behind: undefined });
	});

	test.each([
		["unlimited", {}],
		["limited", { concurrency: 1 }],
		["keyed", { key: () => "k" }],
	])("anywhere in an %s handler is caused by its event, in timers it started too", async (_name, options) => {
		const { bus, seen } = setup();
		const timers: Promise<void>[] = [];
		bus.handle(
			"cause",
			async (data) => {
				bus.emit("effect", `${data} sync`);
				timers.push(goFar().then(() => void bus.emit("effect", `${data} not awaited`)));
				await goFar();
				bus.emit("effect", `${data} after awaits`);
			},
			options,
		);
		bus.emit("cause", 1, { id: "first" });
		bus.emit("cause", 2, { id: "second" });
		await bus.idle();
		await Promise.all(timers);
		expect(seen).toEqual({
			...{ "1 sync": "first", "1 after awaits": "first", "1 not awaited": "first" },
			...{ "2 sync": "second", "2 after awaits": "second", "2 not awaited": "second" },
		});
	});

	test("in each of several handlers of an event, and in a retry", async () => {
		const { bus, clock, seen } = setup();
		bus.handle(
			"cause",
			async (_data, { attempt }) => {
				await Promise.resolve();
				bus.emit("effect", `attempt ${attempt}`);
				if (attempt === 1) throw new Error("again");
			},
			{ retry: { minDelayMs: 1_000, jitter: false } },
		);
		bus.handle("cause", async () => {
			await Promise.resolve();
			bus.emit("effect", "other handler");
		});
		bus.emit("cause", 1, { id: "first" });
		await clock.advance(10_000);
		expect(seen).toEqual({ "attempt 1": "first", "attempt 2": "first", "other handler": "first" });
	});

	test("in a chain of handlers is caused by the one before it", async () => {
		const { bus, clock } = setup();
		const chain: [string, string | undefined][] = [];
		bus.handle("cause", async (left, { event }) => {
			chain.push([event.id, event.causationId]);
			await Promise.resolve();
			if (left > 0) bus.emit("cause", left - 1, { id: `e${left - 1}` });
		});
		bus.emit("cause", 3, { id: "e3" });
		await clock.advance(0);
		expect(chain).toEqual([
			["e3", undefined],
			["e2", "e3"],
			["e1", "e2"],
			["e0", "e1"],
		]);
	});

	test("by a handler of batches has no cause, whoever emitted the batch", async () => {
		const { bus, clock, seen } = setup();
		bus.handle(
			"batch",
			async () => {
				bus.emit("effect", "sync");
				await goFar();
				bus.emit("effect", "async");
			},
			{ batch: { size: 2 } },
		);
		bus.handle("cause", () => {
			bus.emit("batch", 1);
			bus.emit("batch", 2);
		});
		const drained = bus.emit("cause", 1).settled;
		await clock.advance(0);
		await drained;
		await bus.idle();
		expect(seen).toEqual({ sync: undefined, async: undefined });
	});
});

describe("the ids of a cause -", () => {
	test("correlationId comes down from the first, which has none of its own; traceparent from who was given one", () => {
		const { bus } = setup();
		const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
		const seen: unknown[] = [];
		bus.on("cause", () => void bus.emit("effect", "", { id: "second" }));
		bus.on("effect", () => void bus.emit("last", "", { id: "third" }));
		bus.on("**", (_data, { id, causationId, correlationId, traceparent: trace }) => {
			seen.push([id, causationId, correlationId, trace]);
		});
		bus.emit("cause", 1, { id: "first", traceparent });
		expect(seen.toReversed()).toEqual([
			["first", undefined, undefined, traceparent],
			["second", "first", "first", traceparent],
			["third", "second", "first", traceparent],
		]);
	});

	test("correlationId that was given comes down instead of the id", () => {
		const { bus } = setup();
		const correlationIds: (string | undefined)[] = [];
		bus.on("cause", () => void correlationIds.push(bus.emit("effect", "").event.correlationId));
		bus.emit("cause", 1, { correlationId: "order-7" });
		expect(correlationIds).toEqual(["order-7"]);
	});

	test("a made id is the one that the cause shows", () => {
		const { bus } = setup();
		const causes: (string | undefined)[] = [];
		bus.on("cause", () => void causes.push(bus.emit("effect", "").event.causationId));
		const { event } = bus.emit("cause", 1);
		expect(causes).toEqual([event.id]);
		expect(event.id).toMatch(/^evt_/);
	});

	test("give way to those that are passed, each by itself", () => {
		const { bus } = setup();
		const seen: unknown[] = [];
		const [up, own] = ["1", "2"].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);
		const given = [{ causationId: "c" }, { correlationId: "o" }, { traceparent: own }];
		bus.on("cause", () => {
			for (const options of given) {
				const { causationId, correlationId, traceparent } = bus.emit("effect", "", options).event;
				seen.push([causationId, correlationId, traceparent]);
			}
		});
		bus.emit("cause", 1, { id: "first", traceparent: up });
		expect(seen).toEqual([
			["c", "first", up],
			["first", "o", up],
			["first", "first", own],
		]);
	});

	test("stand in JSON and in what a handler gets", async () => {
		const { bus, clock } = setup();
		const handler = vi.fn();
		bus.handle("effect", (_data, { event }) => handler(JSON.parse(JSON.stringify(event))));
		bus.on("cause", () => void bus.emit("effect", ""));
		bus.emit("cause", 1, { id: "first" });
		await clock.advance(0);
		expect(handler.mock.calls[0]?.[0]).toMatchObject({ causationId: "first", correlationId: "first" });
	});
});

describe("trackCauses: false", () => {
	test("knows the cause in the synchronous part of callbacks and handlers only", async () => {
		const { bus, seen } = setup({ trackCauses: false });
		bus.on("cause", () => void bus.emit("effect", "callback"));
		bus.handle("cause", async () => {
			bus.emit("effect", "handler");
			await Promise.resolve();
			bus.emit("effect", "behind an await");
		});
		await bus.emit("cause", 1, { id: "first" }).settled;
		expect(seen).toEqual({ callback: "first", handler: "first", "behind an await": undefined });
	});
});

// Run by a process of its own, which can collect its garbage.
const chain = `
import { createBus } from ${JSON.stringify(new URL("./create-bus.ts", import.meta.url).href)};
const bus = createBus();
const held = bus.hold();
const refs = [];
let last;
function note(left, event) {
	refs.push(new WeakRef(event));
	if (left === 0) last = event;
}
if (process.argv[1] === "handlers") {
	bus.handle("chain", async (left, { event }) => {
		await null;
		note(left, event);
		if (left > 0) bus.emit("chain", left - 1);
	});
} else {
	// Held, or they would run one inside the other.
	bus.on("chain", (left, event) => {
		note(left, event);
		if (left > 0) held.emit("chain", left - 1);
	});
}
bus.emit("chain", 10_000);
while (held.size > 0) held.release();
await bus.idle();
for (let round = 0; round < 3; round++) {
	await new Promise((resolve) => setImmediate(resolve));
	globalThis.gc();
}
const alive = refs.filter((ref) => ref.deref() !== undefined).length;
console.log(JSON.stringify({ count: refs.length, alive, cause: typeof last.causationId }));
`;

test.each(["handlers", "callbacks"])(
	"a chain of 10,000 events over %s does not hold those before its last",
	(kind) => {
		const args = ["--expose-gc", "--import", "tsx", "--input-type=module", "--eval", chain, kind];
		const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 15_000 });
		expect(stderr).toBe("");
		const { count, alive, cause } = JSON.parse(stdout) as { count: number; alive: number; cause: string };
		expect({ count, cause }).toEqual({ count: 10_001, cause: "string" });
		expect(alive).toBeLessThan(100);
	},
);
