import { getEventListeners } from "node:events";
import { expect, test, vi } from "vitest";
import { onAbort } from "./on-abort.ts";

test("onAbort() - calls each function once when the signal fires, and those taken back not at all", () => {
	const controller = new AbortController();
	const [first, second, takenBack] = [vi.fn(), vi.fn(), vi.fn()];
	onAbort(controller.signal, first);
	onAbort(controller.signal, second);
	onAbort(controller.signal, takenBack)();
	controller.abort();
	expect([first, second, takenBack].map((each) => each.mock.calls.length)).toEqual([1, 1, 0]);
});

test("onAbort() - a signal has one listener for any number of functions, and none when all are taken back", () => {
	const { signal } = new AbortController();
	const ends = Array.from({ length: 50 }, () => onAbort(signal, () => undefined));
	expect(getEventListeners(signal, "abort")).toHaveLength(1);
	for (const end of ends) end();
	expect(getEventListeners(signal, "abort")).toHaveLength(0);
	onAbort(signal, () => undefined);
	expect(getEventListeners(signal, "abort")).toHaveLength(1);
});
