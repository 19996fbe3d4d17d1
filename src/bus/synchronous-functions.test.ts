// Functions that must answer at once, and answer with a promise: for a yes none of them may be taken.
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { isCallhookError } from "../errors.ts";
import { defineEvents } from "../event/index.ts";
import { createBus } from "./create-bus.ts";

const late = new Error("late");
const rejects = (): never => Promise.reject(late) as never;
const resolves = (): never => Promise.resolve(true) as never;
const unhandled = vi.fn();

beforeEach(() => {
	unhandled.mockClear();
	process.on("unhandledRejection", unhandled);
});

afterEach(async () => {
	await new Promise((resolve) => setTimeout(resolve, 2));
	process.off("unhandledRejection", unhandled);
	expect(unhandled).not.toHaveBeenCalled();
});

function setup() {
	const onError = vi.fn<(error: unknown) => void>();
	const bus = createBus<{ job: number }>({ onError });
	const options = (): unknown[] =>
		onError.mock.calls.map(([error]) => isCallhookError(error) && optionOf(error));
	return { bus, onError, options };
}

describe.each([
	["rejects", rejects],
	["resolves with true", resolves],
])("a promise that %s is refused from", (_what, answer) => {
	test("`where` of waitFor()", async () => {
		const { bus } = setup();
		const waiting = rejectionOf(bus.waitFor("job", { where: answer }));
		bus.emit("job", 1);
		expect(optionOf(await waiting)).toBe("where");
	});

	test("`where` of dead letters", async () => {
		const { bus } = setup();
		bus.handle("job", () => {
			throw late;
		});
		await bus.emit("job", 1).settled;
		for (const method of ["list", "replay", "discard"] as const) {
			expect(optionOf(await rejectionOf(bus.deadLetters[method]({ where: answer })))).toBe("where");
		}
	});

	test("`retry.when`: the event is given up", async () => {
		const { bus, options } = setup();
		const handler = vi.fn(() => {
			throw late;
		});
		bus.handle("job", handler, { retry: { when: answer } });
		expect((await bus.emit("job", 1).settled).failed).toMatchObject([{ error: late, attempts: 1 }]);
		expect(options()).toEqual(["retry.when", false]);
	});

	test("`key` of a handler: the event fails", async () => {
		const { bus, options } = setup();
		const handler = vi.fn();
		bus.handle("job", handler, { key: answer });
		expect((await bus.emit("job", 1).settled).failed).toHaveLength(1);
		expect(handler).not.toHaveBeenCalled();
		expect(options()).toEqual(["key"]);
	});

	test("`key` of the catalog: emit throws", () => {
		const bus = createBus({ events: defineEvents({ job: { schema: z.number(), key: answer } }) });
		expect(optionOf(() => bus.emit("job", 1))).toBe('events["job"].key');
	});

	test("`data` of a pipe: nothing is emitted", () => {
		const { bus, options } = setup();
		const callback = vi.fn();
		bus.on("job", callback);
		const source = new EventEmitter();
		bus.pipeFrom(source, { name: { type: "job", data: answer } });
		source.emit("name", 1);
		expect(callback).not.toHaveBeenCalled();
		expect(options()).toEqual(['map["name"].data']);
	});
});

test("what `logger.warn` rejects with goes to onError", async () => {
	const onError = vi.fn<(error: unknown) => void>();
	const bus = createBus<{ job: number }>({ onError, maxListeners: 1, logger: { warn: rejects } });
	for (let count = 0; count < 2; count++) bus.on("job", () => undefined);
	await vi.waitUntil(() => onError.mock.calls.length > 0);
	expect(onError.mock.calls[0]?.[0]).toBe(late);
});
