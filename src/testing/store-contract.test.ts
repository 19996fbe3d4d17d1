import { describe, expect, test, vi } from "vitest";
import { openSharedHarness } from "../../test/support/shared-store.ts";
import type { GroupRequests, OutboxStore } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "./fake-clock.ts";
import type { StoreHarness } from "./store-contract/harness.ts";
import { storeContract } from "./store-contract.ts";

function withLimit(groups: GroupRequests, limit: number): GroupRequests {
	return new Map([...groups].map(([name, request]) => [name, { ...request, limit }]));
}

/** The names of the cases that a memory store fails after it was broken. */
function failuresOf(breakStore: (store: OutboxStore) => Partial<OutboxStore>): Promise<string[]> {
	return failuresIn(async () => {
		const clock = fakeClock();
		const store = memoryStore({ clock });
		return { store: { ...store, ...breakStore({ ...store }) }, advance: clock.advance };
	});
}

/** The names of the cases that fail. */
async function failuresIn(open: () => Promise<StoreHarness>): Promise<string[]> {
	const cases = storeContract(open);
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
			({ claim }) => ({ claim: (groups, leaseMs) => claim(withLimit(groups, 100), leaseMs) }),
		],
		[
			"settles with any token",
			/^lease - an old token is lost/u,
			({ settle }) => ({ settle: async (all) => (await settle(all)).map(() => "ok") }),
		],
		[
			"lets leases run on",
			/^lease - when it ends/u,
			({ claim }) => ({ claim: (groups, leaseMs) => claim(groups, leaseMs * 100) }),
		],
		["replays nothing", /^replay\(\) - makes final deliveries pending/u, () => ({ replay: async () => 0 })],
		[
			"forgets events too early",
			/^getEvents\(\) - gives events with final/u,
			() => ({ getEvents: async () => [] }),
		],
		[
			"keeps no more than it is told to forget",
			/^prune\(\) - `keep` spares the newest/u,
			({ prune }) => ({ prune: (request) => prune({ ...request, keep: 0 }) }),
		],
		["never wakes", /^onWake\(\) - calls when/u, () => ({ onWake: () => () => undefined })],
		["stays open", /^close\(\) - from then on/u, () => ({ close: async () => undefined })],
	])("finds out a store that %s", async (_, name, breakStore) => {
		expect(await failuresOf(breakStore)).toContainEqual(expect.stringMatching(name));
	});

	test("finds out a store that forgets when it is opened again", async () => {
		const failures = await failuresIn(async () => {
			const harness = await openSharedHarness("full");
			return { ...harness, reopen: async () => memoryStore() };
		});
		expect(failures.length).toBeGreaterThan(5);
		expect(failures.every((name) => name.startsWith("reopening - "))).toBe(true);
	});

	test("finds out stores that share nothing, but say that they share", async () => {
		const failures = await failuresIn(async () => {
			const harness = await openSharedHarness("append");
			const { capabilities } = harness.store;
			return { ...harness, openAnother: async () => ({ ...memoryStore(), capabilities }) };
		});
		expect(failures).toHaveLength(3);
		expect(failures.every((name) => name.startsWith("sharing (append) - "))).toBe(true);
	});

	test.each(["reopen", "openAnother"] as const)(
		"closes what `%s` opened, also where a case fails",
		async (opens) => {
			const closed: number[] = [];
			let opened = 0;
			await failuresIn(async () => {
				const harness = await openSharedHarness("full");
				const openOne = async () => {
					const store = (await harness[opens]?.()) as OutboxStore;
					const index = opened++;
					const close = async () => {
						closed.push(index);
						await store.close();
					};
					return { ...store, append: () => Promise.reject(new Error("disk full")), close };
				};
				return { ...harness, [opens]: openOne };
			});
			expect(opened).toBeGreaterThan(5);
			expect(new Set(closed).size).toBe(opened);
		},
	);

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
