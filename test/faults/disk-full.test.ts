import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Bus, createBus } from "../../src/bus/index.ts";
import { createDeferred } from "../../src/internal/deferred.ts";
import type { OutboxOptions } from "../../src/outbox/index.ts";
import { type SqliteDriver, sqliteStore } from "../../src/stores/sqlite/index.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { drivers } from "../support/sqlite.ts";
import { thrownBy } from "../support/thrown.ts";
import { watch } from "../support/watch.ts";
import { noteCalls } from "./support/note-calls.ts";
import { mountSmallDisk, type SmallDisk, smallDiskMissing } from "./support/small-disk.ts";

const missing = smallDiskMissing();
const kibibyte = "x".repeat(1_024);

interface Setup {
	readonly disk: SmallDisk;
	readonly clock: FakeClock;
	readonly bus: Bus;
	/** What the outbox asked of the store, since it was last emptied. */
	readonly calls: string[];
	/** The numbers of the events, as consumers got them. */
	readonly calledBack: number[];
	readonly handled: number[];
	readonly delivered: number[];
	/** Events that the durable handler holds until they are let go. */
	readonly held: Map<number, () => void>;
	/** Emits the next event. */
	emit(): { readonly n: number; readonly stored: Promise<void> };
	/** Moves the clock until a promise has settled. */
	until<Value>(promise: Promise<Value>): Promise<Value>;
}

function setup(driver: SqliteDriver, outbox: OutboxOptions, toHold: readonly number[] = []): Setup {
	const disk = mountSmallDisk();
	const clock = fakeClock();
	const store = sqliteStore({ path: join(disk.folder, "outbox.db"), driver, clock });
	const calls: string[] = [];
	const bus = createBus({ store: noteCalls(store, calls), outbox, clock, onError: () => undefined });
	const [calledBack, handled, delivered]: number[][] = [[], [], []] as const;
	const held = new Map<number, () => void>();
	const holding = new Set(toHold);
	bus.on("work", (data) => calledBack.push((data as { n: number }).n));
	bus.handle("work", (data) => void handled.push((data as { n: number }).n), { name: "in memory" });
	bus.handle(
		"work",
		async (data) => {
			const { n } = data as { readonly n: number };
			delivered.push(n);
			if (!holding.delete(n)) return;
			const done = createDeferred<void>();
			held.set(n, done.resolve);
			await done.promise;
		},
		{ name: "on disk", durable: true },
	);
	async function until<Value>(promise: Promise<Value>): Promise<Value> {
		const watched = watch(promise);
		while (!watched.isOver) await clock.advance(1_000);
		return promise;
	}
	onTestFinished(async () => {
		await until(bus.close());
		await store.close();
	});
	let next = 0;
	return {
		...{ disk, clock, bus, calls, calledBack, handled, delivered, held, until },
		emit() {
			const n = next++;
			return { n, stored: bus.emit("work", { n, text: kibibyte.repeat(8) }).stored };
		},
	};
}

describe.runIf(missing === undefined).each(drivers)(
	`%s on a disk of 4 MB${missing ? `, ${missing}` : ""}`,
	(driver) => {
		test("what does not fit is rejected, what was stored is delivered, and it goes on when there is room", async () => {
			const { disk, clock, bus, calls, calledBack, handled, delivered, held, emit, until } = setup(
				driver,
				{},
				[3, 7],
			);
			const acknowledged: number[] = [];
			for (let index = 0; index < 10; index++) {
				const { n, stored } = emit();
				await stored;
				acknowledged.push(n);
			}
			while (delivered.length < 10) await clock.advance(10);
			disk.fill();
			// The log of SQLite may have some room left.
			const rejected: number[] = [];
			while (rejected.length < 5) {
				const { n, stored } = emit();
				const error: unknown = await stored.catch((reason: unknown) => reason);
				if (error === undefined) acknowledged.push(n);
				else {
					expect(error).toMatchObject({
						code: "ERR_CALLHOOK_STORE_UNAVAILABLE",
						details: { reason: "full" },
					});
					rejected.push(n);
				}
			}
			// What was delivered meanwhile cannot be written down.
			for (const letGo of held.values()) letGo();
			await clock.advance(1_000);
			calls.length = 0;
			await clock.advance(10_000);
			console.log(
				`${driver}: ${calls.length} calls of the store in 10 s with a full disk: ${calls.join(" ")}`,
			);
			expect(calls.length).toBeLessThan(60);
			const all = [...acknowledged, ...rejected].sort((a, b) => a - b);
			expect(calledBack).toEqual(all);
			expect(handled).toEqual(all);

			disk.free();
			const later = emit();
			await until(later.stored);
			await until(bus.idle());
			const stats = await bus.outbox?.store.stats();
			expect(stats?.targets.map(({ states }) => states)).toEqual([
				{ pending: 0, in_flight: 0, waiting: 0, delivered: acknowledged.length + 1, dead: 0, cancelled: 0 },
			]);
			// Each once: nothing was sent again because its end could not be written for a while.
			expect(delivered.toSorted((a, b) => a - b)).toEqual([...acknowledged, later.n].sort((a, b) => a - b));
		});

		test("with whenUnavailable: wait an event waits for room", async () => {
			const { disk, clock, bus, calls, calledBack, delivered, emit, until } = setup(driver, {
				whenUnavailable: "wait",
			});
			await emit().stored;
			disk.fill();
			const waiting: { readonly n: number; readonly isOver: boolean; readonly promise: Promise<void> }[] = [];
			while (waiting.filter(({ isOver }) => !isOver).length < 5) {
				const { n, stored } = emit();
				const watched = watch(stored);
				await clock.advance(10);
				waiting.push({
					n,
					promise: stored,
					get isOver() {
						return watched.isOver;
					},
				});
			}
			calls.length = 0;
			await clock.advance(10_000);
			console.log(`${driver}: ${calls.length} calls of the store in 10 s of waiting: ${calls.join(" ")}`);
			expect(calls.length).toBeLessThan(60);
			expect(waiting.filter(({ isOver }) => !isOver)).toHaveLength(5);
			expect(calledBack).toHaveLength(waiting.length + 1);

			disk.free();
			await until(Promise.all(waiting.map(({ promise }) => promise)));
			await until(bus.idle());
			expect(delivered.toSorted((a, b) => a - b)).toEqual([0, ...waiting.map(({ n }) => n)]);
		});

		test("an event that is larger than the cache of SQLite is rejected with the reason too", async () => {
			const { disk, bus } = setup(driver, {});
			disk.fill();
			// More than 2 MB are written before the commit.
			const { stored } = bus.emit("work", { n: 0, text: kibibyte.repeat(3_000) });
			const others = [1, 2].map((n) => bus.emit("work", { n, text: kibibyte }).stored);
			for (const promise of [stored, ...others]) {
				await expect(promise).rejects.toMatchObject({
					code: "ERR_CALLHOOK_STORE_UNAVAILABLE",
					details: { reason: "full" },
				});
			}
			disk.free();
		});

		test("a store that cannot be opened says why", () => {
			const disk = mountSmallDisk();
			disk.fill();
			const error = thrownBy(() => sqliteStore({ path: join(disk.folder, "outbox.db"), driver }));
			expect(error.code).toBe("ERR_CALLHOOK_STORE_UNAVAILABLE");
			expect(error.details).toEqual({ reason: "full" });
		});

		async function openAgain(): Promise<void> {
			const disk = mountSmallDisk();
			const open = () => sqliteStore({ path: join(disk.folder, "outbox.db"), driver });
			disk.fill();
			thrownBy(open);
			disk.free();
			await open().close();
		}

		async function closeOnFullDisk(): Promise<void> {
			const disk = mountSmallDisk();
			const store = sqliteStore({ path: join(disk.folder, "outbox.db"), driver });
			disk.fill();
			await store.close();
		}

		test("a store can be closed on a full disk", closeOnFullDisk);

		// A bug, for as long as this is expected to fail: the connection that failed to open keeps its lock until it is
		// collected.
		test.runIf(driver !== "libsql")("a store that could not be opened can be when there is room", openAgain);
		test
			.runIf(driver === "libsql")
			.fails("a store that could not be opened can be when there is room", openAgain);
	},
);
