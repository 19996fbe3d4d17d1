// Errors that throw when they are printed, and promises that throw when they are awaited.
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createBus } from "./index.ts";

const throwing = (): never => {
	throw new Error("hostile getter");
};
const unprintable: [what: string, error: unknown][] = [
	[
		"a name that is a symbol",
		Object.assign(new Error("hostile"), { name: Symbol("name"), stack: undefined }),
	],
	...(["stack", "name", "message"] as const).map((field): [string, unknown] => [
		`a getter of ${field} that throws`,
		Object.defineProperty(new Error("hostile"), field, { get: throwing }),
	]),
	["a getter of its tag that throws", Object.defineProperty({}, Symbol.toStringTag, { get: throwing })],
	["an inspection of its own that throws", { [inspect.custom]: throwing }],
];

/** As `console.error` does, but without the noise. */
function printed() {
	const lines: string[] = [];
	vi.spyOn(console, "error").mockImplementation((...parts) => {
		lines.push(parts.map((part) => (typeof part === "string" ? part : inspect(part))).join(" "));
	});
	return lines;
}

afterEach(() => {
	vi.restoreAllMocks();
});

describe.each(unprintable)("an error with %s, and no onError", (_what, error) => {
	test("from a callback hurts neither the emit nor the others, and something is printed", async () => {
		const lines = printed();
		const bus = createBus<{ job: number; other: number }>();
		bus.on("job", () => {
			throw error;
		});
		const later = vi.fn((_data: number) => undefined);
		bus.on("job", later);
		const { settled } = bus.emit("job", 1);
		expect(later).toHaveBeenCalledTimes(1);
		expect((await settled).failed).toHaveLength(1);
		expect(lines).toHaveLength(1);
		expect(bus.emit("other", 1).event.causationId, "nothing is left on the stack").toBeUndefined();
	});

	test("from a handler settles the emission", async () => {
		const lines = printed();
		const bus = createBus<{ job: number }>();
		bus.handle("job", () => Promise.reject(error));
		expect((await bus.emit("job", 1).settled).failed).toHaveLength(1);
		expect(lines).toHaveLength(1);
	});

	test.each([
		[
			"throws",
			() => {
				throw error;
			},
		],
		["rejects with", () => Promise.reject(error)],
	])("that onError %s is printed, too", async (_how, onError) => {
		const lines = printed();
		const bus = createBus<{ job: number }>({ onError });
		bus.on("job", throwing);
		expect((await bus.emit("job", 1).settled).failed).toHaveLength(1);
		expect(lines).toEqual([expect.stringContaining("onError failed")]);
	});
});

describe.each([
	...unprintable,
	["no prototype", Object.create(null)],
	["a message that is an object", Object.assign(new Error("hostile"), { message: { code: 1 } })],
	["a message that is a symbol", Object.assign(new Error("hostile"), { message: Symbol("message") })],
	["no message at all", Object.assign(new Error("hostile"), { message: undefined })],
	["a name that is an object", Object.assign(new Error("hostile"), { name: { code: 1 } })],
] as [what: string, error: unknown][])("an error with %s, from a durable handler", (_what, error) => {
	test("is one of its attempts like any other, and the last makes a dead letter", async () => {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		const errors: unknown[] = [];
		const bus = createBus<{ job: number }>({ clock, store, onError: (...given) => errors.push(...given) });
		const handler = () => Promise.reject(error);
		const retry = { attempts: 2, minDelayMs: 10, jitter: false };
		bus.handle("job", handler, { name: "h", durable: true, retry });
		bus.emit("job", 1);
		await clock.advance(10);
		const { items } = await store.query({}, {});
		expect(items).toMatchObject([
			{ state: "dead", attempts: [{ outcome: "failed" }, { outcome: "failed" }] },
		]);
		for (const { error: text, errorCode } of items[0]?.attempts ?? []) {
			expect(text).toBeTypeOf("string");
			expect(["string", "undefined"]).toContain(typeof errorCode);
		}
		expect(errors[0], "who is told gets the error itself").toBe(error);
		expect(errors[1]).toMatchObject({ source: "handler", name: "h" });
		expect(errors).toHaveLength(2);
	});
});

/** Promises and thenables that fool whoever looks at them twice. */
const thenables: [what: string, make: () => PromiseLike<unknown>][] = [
	[
		"a `then` that throws when it is asked for again",
		() => {
			let reads = 0;
			// biome-ignore lint/suspicious/noThenProperty: it is about promises
			return Object.defineProperty({}, "then", {
				get: () => (reads++ === 0 ? () => undefined : throwing()),
			}) as PromiseLike<unknown>;
		},
	],
	[
		"a constructor that throws",
		() => Object.defineProperty(Promise.resolve(), "constructor", { get: throwing }),
	],
	[
		"a `then` of its own that throws when it is asked for again",
		() => {
			let reads = 0;
			// biome-ignore lint/suspicious/noThenProperty: it is about promises
			return Object.defineProperty(Promise.reject(new Error("rejected")), "then", {
				get: () => (reads++ === 0 ? () => undefined : throwing()),
			});
		},
	],
];

describe.each(thenables)("a promise with %s", (_what, make) => {
	test("from a callback fails it", async () => {
		const bus = createBus<{ job: number }>({ onError: () => undefined });
		bus.on("job", make);
		expect((await bus.emit("job", 1).settled).failed).toHaveLength(1);
		expect(bus.stats().open).toBe(0);
	});

	test.each([undefined, 1])(
		"from a handler fails the attempt and frees its slot (concurrency %s)",
		async (concurrency) => {
			const bus = createBus<{ job: number }>({ onError: () => undefined });
			let runs = 0;
			const handler = (): PromiseLike<unknown> => {
				runs++;
				return make();
			};
			bus.handle("job", handler, { concurrency });
			const reports = [1, 2].map((data) => bus.emit("job", data).settled);
			for (const { failed } of await Promise.all(reports)) expect(failed).toHaveLength(1);
			expect(runs).toBe(2);
		},
	);
});
