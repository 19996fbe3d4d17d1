import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { claim, requestsFor } from "../../../test/support/claim-requests.ts";
import { dropSchema, findServer, freshSchema, serverPool } from "../../../test/support/postgres.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import type { Claim, OutboxStore } from "../../outbox/ports.ts";
import { postgresStore } from "./index.ts";

const hasServer = (await findServer()) !== undefined;

describe.runIf(hasServer)("order keys of postgresStore(), several processes at once", () => {
	// What is looked for is not on the disk, and without waiting for that there is more to see.
	const settings = { options: "-c synchronous_commit=off" };
	const pools = [serverPool(settings), serverPool(settings)] as const;
	let schema = "";
	let stores: OutboxStore[] = [];
	beforeEach(() => {
		schema = freshSchema();
		stores = pools.map((pool) => postgresStore({ pool, schema }));
	});
	afterEach(async () => {
		await Promise.all(stores.map((store) => store.close()));
		await dropSchema(pools[0], schema);
	});
	afterAll(() => Promise.all(pools.map((pool) => pool.end())));

	/** What holds of every lane whenever nothing is under way: one open, and the others behind it. */
	async function expectSoundLanes(): Promise<void> {
		const { rows } = await pools[0].query(
			`SELECT grp, target, lane, count(*) FILTER (WHERE stage IN (1, 2)) AS open,
				count(*) FILTER (WHERE stage = 3) AS blocked FROM "${schema}".delivery WHERE lane IS NOT NULL GROUP BY 1, 2, 3
			HAVING count(*) FILTER (WHERE stage IN (1, 2)) > 1
				OR (count(*) FILTER (WHERE stage = 3) > 0 AND count(*) FILTER (WHERE stage IN (1, 2)) = 0)`,
		);
		expect(rows).toEqual([]);
	}

	/**
	 * Appends on both stores, each key by one appender so that its order is known, while workers on both claim and settle.
	 */
	async function run(
		{ keys, perKey, workers }: { keys: number; perKey: number; workers: number },
		meddle: (store: OutboxStore, round: number) => Promise<unknown> = async () => undefined,
	): Promise<Map<string, number[]>> {
		const total = keys * perKey;
		const delivered = new Map<string, number[]>();
		const inFlight = new Set<string>();
		let ended = 0;

		async function appendAll(key: number): Promise<void> {
			for (let number = 0; number < perKey; number++) {
				const delivery = { group: "g", target: `t${key % 2}`, orderKey: `k${key}` };
				await stores[number % 2]!.append([eventFor(`k${key}:${number}`, delivery)]);
			}
		}

		async function deliver(
			store: OutboxStore,
			{ token, event }: Claim,
			state: "delivered" | "waiting",
		): Promise<void> {
			const [key = "", number] = event.id.split(":");
			expect(inFlight.has(key), `two of ${key} at once`).toBe(false);
			inFlight.add(key);
			await new Promise((resolve) => setImmediate(resolve));
			inFlight.delete(key);
			const to = state === "waiting" ? ({ state, retryInMs: 0 } as const) : { state };
			// Noted before it is settled: the answers of two connections may come in either order.
			if (state === "delivered") delivered.set(key, [...(delivered.get(key) ?? []), Number(number)]);
			expect(await store.settle([{ token, to }])).toEqual(["ok"]);
			if (state === "delivered") ended++;
		}

		async function work(store: OutboxStore, worker: number): Promise<void> {
			for (let round = 0; ended < total; round++) {
				const claims = await claim(store, { limit: 4 });
				await Promise.all(
					claims.map((each, index) =>
						deliver(store, each, (round + index + worker) % 7 === 0 ? "waiting" : "delivered"),
					),
				);
				await meddle(store, round);
			}
		}

		await Promise.all([
			...Array.from({ length: keys }, (_, key) => appendAll(key)),
			...Array.from({ length: workers }, (_, worker) => work(stores[worker % 2]!, worker)),
		]);
		await expectSoundLanes();
		for (const store of stores) expect(await store.nextDueInMs(requestsFor())).toBeUndefined();
		return delivered;
	}

	test("nothing is stuck, none of a key overtakes another, and no two are in flight", async () => {
		const delivered = await run({ keys: 6, perKey: 50, workers: 6 });
		const inOrder = Array.from({ length: 50 }, (_, number) => number);
		expect([...delivered.values()]).toEqual(Array.from({ length: 6 }, () => inOrder));
	});

	test("a single key, appended while it is settled: the race that would leave it stuck", async () => {
		const delivered = await run({ keys: 1, perKey: 300, workers: 4 });
		expect(delivered.get("k0")).toEqual(Array.from({ length: 300 }, (_, number) => number));
	});

	test("more keys than locks are taken for", async () => {
		const ids = Array.from({ length: 600 }, (_, index) => index);
		const events = ids.map((index) =>
			eventFor(`e${index}`, { group: "g", target: "a", orderKey: `k${index % 200}` }),
		);
		await Promise.all([stores[0]!.append(events.slice(0, 300)), stores[1]!.append(events.slice(300))]);
		const seen: string[] = [];
		while (seen.length < 600) {
			const batches = await Promise.all(stores.map((store) => claim(store, { limit: 150 })));
			await Promise.all(
				batches.map((claims, index) =>
					stores[index]!.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" as const } }))),
				),
			);
			seen.push(...batches.flat().map(({ event }) => event.id));
		}
		expect(new Set(seen).size).toBe(600);
		await expectSoundLanes();
	});

	test("holds while deliveries are cancelled and replayed", async () => {
		const events = Array.from({ length: 120 }, (_, index) =>
			eventFor(`e${index}`, { group: "g", target: "a", orderKey: `k${index % 3}` }),
		);
		for (const event of events) await stores[0]!.append([event]);
		const ids = (from: number) => events.slice(from, from + 10).map(({ event }) => event.id);
		const inFlight = new Map<string, string>();
		let left = 200;
		const work = async (store: OutboxStore) => {
			for (; left > 0; left--) {
				for (const { token, deliveryId, event } of await claim(store, { limit: 2 })) {
					const key = String(Number(event.id.slice(1)) % 3);
					const other = inFlight.get(key);
					inFlight.set(key, token);
					await new Promise((resolve) => setImmediate(resolve));
					if (inFlight.get(key) === token) inFlight.delete(key);
					const [result] = await store.settle([{ token, to: { state: "delivered" } }]);
					// Cancelling one in flight lets the next go: it is lost then.
					if (other !== undefined && result === "ok") {
						const { items } = await store.query({ ids: [deliveryId] }, {});
						expect(items).toHaveLength(1);
					}
				}
			}
		};
		const meddle = async (store: OutboxStore) => {
			for (let round = 0; round < 12; round++) {
				for (const eventId of ids(round * 10)) await store.cancel({ eventId });
				await store.replay({ state: "cancelled" });
			}
		};
		await Promise.all([work(stores[0]!), work(stores[1]!), meddle(stores[0]!), meddle(stores[1]!)]);
		await expectSoundLanes();
		for (let claims = await claim(stores[0]!); claims.length > 0; claims = await claim(stores[0]!)) {
			await stores[0]!.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" as const } })));
		}
		expect(await stores[0]!.nextDueInMs(requestsFor())).toBeUndefined();
		const { targets } = await stores[0]!.stats();
		expect(targets[0]?.states).toMatchObject({ delivered: 120, pending: 0, waiting: 0, in_flight: 0 });
	});
});
