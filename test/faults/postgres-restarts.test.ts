// A server that goes away in the middle of the work, while this process lives on.
import { setTimeout as pause } from "node:timers/promises";
import { Pool } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Bus, createBus } from "../../src/bus/index.ts";
import { isCallhookError } from "../../src/errors.ts";
import { createDeferred } from "../../src/internal/deferred.ts";
import { postgresStore } from "../../src/stores/postgres/index.ts";
import { noteCalls } from "./support/note-calls.ts";
import { clusterMissing, type PostgresCluster, startCluster } from "./support/postgres-cluster.ts";

const missing = clusterMissing();
const emitters = 8;
const concurrency = 16;
// What runs, and as much at hand.
const inFlightLimit = 2 * concurrency;
const awayMs = 3_000;
const workBetween = 200;

/** A bus on a server, under load. */
interface Load {
	readonly bus: Bus;
	/** What the outbox asked of the store. */
	readonly calls: string[];
	readonly emitted: ReadonlySet<number>;
	readonly acknowledged: ReadonlyMap<number, string>;
	readonly rejected: readonly unknown[];
	/** The ids under which each number was delivered. */
	readonly delivered: ReadonlyMap<number, readonly string[]>;
	/** Resolves once so many more events are acknowledged and so many more deliveries made. */
	progress(count: number): Promise<void>;
	/** Resolves once no more is emitted and all of it is acknowledged or rejected. */
	stop(): Promise<void>;
}

function startLoad({ server }: PostgresCluster, whenUnavailable: "reject" | "wait"): Load {
	const pool = new Pool({ ...server, max: 4, connectionTimeoutMillis: 10_000 });
	const store = postgresStore({ pool });
	const calls: string[] = [];
	const bus = createBus({
		store: noteCalls(store, calls),
		outbox: { whenUnavailable, leaseMs: 1_000 },
		onError: (error) => expect(error).toMatchObject({ code: "ERR_CALLHOOK_STORE_UNAVAILABLE" }),
	});
	const emitted = new Set<number>();
	const acknowledged = new Map<number, string>();
	const rejected: unknown[] = [];
	const delivered = new Map<number, string[]>();
	let isStopped = false;
	let look = (): void => undefined;
	bus.handle(
		"numbered",
		async (data, { event }) => {
			const { n } = data as { readonly n: number };
			await pause(n % 5);
			delivered.set(n, [...(delivered.get(n) ?? []), event.id]);
			look();
		},
		// An attempt may be counted for nothing: a claim was made, and the answer that says so was lost.
		{ name: "log", durable: true, concurrency, retry: { attempts: 10_000 } },
	);

	async function emitOn(): Promise<void> {
		while (!isStopped) {
			const n = emitted.size;
			emitted.add(n);
			const { event, stored } = bus.emit("numbered", { n });
			try {
				await stored;
				acknowledged.set(n, event.id);
				look();
			} catch (error) {
				rejected.push(error);
				// As an application would: it does not emit as fast as it is refused.
				await pause(50);
			}
			await pause(20);
		}
	}
	const ended = Promise.all(Array.from({ length: emitters }, emitOn));
	onTestFinished(async () => {
		isStopped = true;
		await bus.close();
		await ended;
		await store.close();
		await pool.end();
	});
	return {
		...{ bus, calls, emitted, acknowledged, rejected, delivered },
		async progress(count) {
			const enough = createDeferred<void>();
			const [stored, made] = [acknowledged.size + count, delivered.size + count];
			look = () => {
				if (acknowledged.size >= stored && delivered.size >= made) enough.resolve();
			};
			await enough.promise;
		},
		async stop() {
			isStopped = true;
			await ended;
		},
	};
}

describe.each(["reject", "wait"] as const)("whenUnavailable: %s", (whenUnavailable) => {
	test.runIf(missing === undefined)(
		`a PostgreSQL that is restarted under load${missing ? `, ${missing}` : ""}: nothing is lost, and the work goes on`,
		async () => {
			const cluster = await startCluster();
			const load = startLoad(cluster, whenUnavailable);
			const { bus, calls, emitted, acknowledged, rejected, delivered } = load;
			await load.progress(workBetween);
			const recoveries: number[] = [];
			for (let restart = 0; restart < 2; restart++) {
				await cluster.restart();
				const startedMs = performance.now();
				await load.progress(workBetween);
				recoveries.push(Math.round(performance.now() - startedMs));
			}
			await cluster.stop();
			const before = calls.length;
			await pause(awayMs);
			const away = calls.slice(before);
			await cluster.start();
			await load.progress(workBetween);
			await load.stop();
			await bus.idle();

			// What the application emits is its own business; the outbox itself asks once a second, or for each lease.
			const own = away.filter((name) => name !== "append" || whenUnavailable === "wait");
			expect(own.length, `calls of the store in ${awayMs} ms without one: ${own.join(" ")}`).toBeLessThan(40);
			const lost = [...acknowledged].filter(([n, id]) => !delivered.get(n)?.includes(id));
			expect(lost, "acknowledged, but never delivered").toEqual([]);
			const phantoms = [...delivered.keys()].filter((n) => !emitted.has(n));
			expect(phantoms, "delivered, but never emitted").toEqual([]);
			const renamed = [...delivered.values()].filter((ids) => new Set(ids).size > 1);
			expect(renamed, "delivered again under another id").toEqual([]);
			if (whenUnavailable === "wait") expect(rejected).toEqual([]);
			expect(rejected.filter((error) => !isCallhookError(error, "ERR_CALLHOOK_STORE_UNAVAILABLE"))).toEqual(
				[],
			);
			const stats = await bus.outbox?.store.stats();
			expect(stats?.targets.map(({ states }) => states)).toEqual([
				{ pending: 0, in_flight: 0, waiting: 0, delivered: delivered.size, dead: 0, cancelled: 0 },
			]);
			const duplicates = [...delivered.values()].reduce((sum, { length }) => sum + length - 1, 0);
			expect(duplicates).toBeLessThanOrEqual(3 * inFlightLimit);
			const unsure = [...delivered.keys()].filter((n) => !acknowledged.has(n)).length;
			console.log(
				`PostgreSQL restarted 3 times, ${whenUnavailable}: ${emitted.size} emitted, ${acknowledged.size} acknowledged, ${rejected.length} rejected (${unsure} of them stored), 0 lost, ${duplicates} duplicates, ${own.length} calls in ${awayMs} ms without a server, at work again after ${recoveries.join(" and ")} ms`,
			);
		},
		120_000,
	);
});
