import { describe, expect, test, vi } from "vitest";
import type { OutboxStore } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "./fake-clock.ts";
import { storeContract } from "./store-contract.ts";

/** The names of the cases that a memory store fails after it was broken. */
async function failuresOf(breakStore: (store: OutboxStore) => Partial<OutboxStore>): Promise<string[]> {
	const cases = storeContract(async () => {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		return { store: { ...store, ...breakStore({ ...store }) }, advance: clock.advance };
	});
	const results = await Promise.allSettled(cases.map(({ run }) => run()));
	return cases.filter((_, index) => results[index]?.status === "rejected").map(({ name }) => name);
}

describe("storeContract()", () => {
	test("passes a store that works, and gives each case a name of its own", async () => {
		expect(await failuresOf(() => ({}))).toEqual([]);
		const names = storeContract(() => Promise.reject(new Error("not to be opened"))).map(({ name }) => name);
		expect(new Set(names).size).toBe(names.length);
	});

	test.each<[string, RegExp, (store: OutboxStore) => Partial<OutboxStore>]>([
		[
			"forgets what it was given",
			/^append\(\) - answers for each event/u,
			() => ({ append: async (events) => events.map(() => "stored") }),
		],
		[
			"claims beyond the limit",
			/at most `limit`$/u,
			({ claim }) => ({ claim: (request) => claim({ ...request, limit: 100 }) }),
		],
		[
			"settles with any token",
			/^lease - an old token is lost/u,
			({ settle }) => ({ settle: async (all) => (await settle(all)).map(() => "ok") }),
		],
		[
			"lets leases run on",
			/^lease - when it ends/u,
			({ claim }) => ({ claim: (request) => claim({ ...request, leaseMs: request.leaseMs * 100 }) }),
		],
		["replays nothing", /^replay\(\) - makes final deliveries pending/u, () => ({ replay: async () => 0 })],
		["never wakes", /^onWake\(\) - calls when/u, () => ({ onWake: () => () => undefined })],
		["stays open", /^close\(\) - from then on/u, () => ({ close: async () => undefined })],
	])("finds out a store that %s", async (_, name, breakStore) => {
		expect(await failuresOf(breakStore)).toContainEqual(expect.stringMatching(name));
	});

	test("a failed case says what should have been", async () => {
		const [first] = storeContract(async () => ({
			store: { ...memoryStore(), claim: async () => [] },
			advance: async () => undefined,
		}));
		await expect(first?.run()).rejects.toThrow("exactly one delivery should have been claimable");
	});

	test("closes the store and disposes of the rest, also where a case fails", async () => {
		const store = memoryStore();
		const close = vi.spyOn(store, "close");
		const dispose = vi.fn(async () => undefined);
		vi.spyOn(store, "append").mockRejectedValue(new Error("disk full"));
		const [first] = storeContract(async () => ({ store, advance: async () => undefined, dispose }));
		await expect(first?.run()).rejects.toThrow("disk full");
		expect(close).toHaveBeenCalledOnce();
		expect(dispose).toHaveBeenCalledOnce();
		expect(close.mock.invocationCallOrder[0]).toBeLessThan(dispose.mock.invocationCallOrder[0] as number);
	});
});
