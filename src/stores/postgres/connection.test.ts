import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { claim, requestsFor } from "../../../test/support/claim-requests.ts";
import { dropSchema, findServer, freshSchema, serverPool } from "../../../test/support/postgres.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import { rejectionOf } from "../../../test/support/thrown.ts";
import { isCallhookError } from "../../errors.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { type PostgresPool, postgresStore } from "./index.ts";

const hasServer = (await findServer()) !== undefined;
const toA = { group: "g", target: "a" };

function unavailable(reason: string): object {
	return { code: "ERR_CALLHOOK_STORE_UNAVAILABLE", details: { reason } };
}

describe("postgresStore() without a server", () => {
	test("a call says that it cannot be reached, and no password", async () => {
		const pool = serverPool({ host: "127.0.0.1", port: 1, password: "s3cret" });
		const store = postgresStore({ pool });
		const error = await rejectionOf(store.stats());
		expect(error).toMatchObject(unavailable("unreachable"));
		expect(JSON.stringify([error.message, error.details])).not.toContain("s3cret");
		await store.close();
		await pool.end();
	});

	test("a transaction that lost a conflict is tried again a few times", async () => {
		let failures = 3;
		const pool: PostgresPool = {
			async query(text) {
				if (/pg_class|isolation/u.test(text)) return { rows: [{ found: "x", level: "read committed" }] };
				if (/version/u.test(text)) return { rows: [{ version: 1 }] };
				if (failures-- > 0) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
				return { rows: [] };
			},
			connect: () => undefined,
		};
		const store = postgresStore({ pool });
		expect(await store.stats()).toEqual({ targets: [] });
		failures = 100;
		expect(await rejectionOf(store.stats())).toMatchObject(unavailable("busy"));
		expect(failures).toBe(95);
		await store.close();
	});
});

describe.runIf(hasServer)("postgresStore() and its server", () => {
	const admin = serverPool({ max: 2 });
	let schema = "";
	beforeEach(() => {
		schema = freshSchema();
	});
	afterEach(() => dropSchema(admin, schema));
	afterAll(() => admin.end());

	/** Ends every connection of a pool that calls itself like the schema, as an administrator would. */
	async function terminate(): Promise<number> {
		const { rowCount } = await admin.query(
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
			[schema],
		);
		return rowCount ?? 0;
	}

	/** Tries until the server answers; any other failure is the test's. */
	async function insist<Result>(call: () => Promise<Result>): Promise<Result> {
		for (;;) {
			try {
				return await call();
			} catch (error) {
				if (!isCallhookError(error, "ERR_CALLHOOK_STORE_UNAVAILABLE")) throw error;
				expect(error.details.reason).toBe("unreachable");
			}
		}
	}

	test("every connection ended again and again in the middle of work: what was acknowledged is delivered", async () => {
		const pool = serverPool({ application_name: schema, max: 8 });
		const store = postgresStore({ pool, schema });
		await store.stats();
		const stop = store.onWake(() => undefined);
		const delivered = new Map<string, number>();
		const acknowledged: string[] = [];
		let appenders = 4;
		let terminated = 0;
		let onProgress = (): void => undefined;

		async function append(from: number): Promise<void> {
			for (let index = from; index < from + 40; index++) {
				const id = `evt_${index}`;
				await insist(() =>
					store.append([eventFor(id, { ...toA, orderKey: index % 2 === 0 ? `k${from}` : undefined })]),
				);
				acknowledged.push(id);
				onProgress();
			}
			appenders--;
			onProgress();
		}
		async function deliver(): Promise<void> {
			while (appenders > 0 || delivered.size < acknowledged.length) {
				// A claim whose answer was lost comes again when its lease ends.
				const claims = await insist(() => claim(store, { limit: 5, leaseMs: 200 }));
				const settlements = claims.map(({ token }) => ({ token, to: { state: "delivered" as const } }));
				await insist(() => store.settle(settlements));
				for (const { event } of claims) delivered.set(event.id, (delivered.get(event.id) ?? 0) + 1);
			}
		}
		async function kill(): Promise<void> {
			while (appenders > 0) {
				const before = acknowledged.length;
				terminated += await terminate();
				// Paced by the work: faster, a slow machine would get none done.
				if (acknowledged.length > before || appenders === 0) continue;
				await new Promise<void>((resolve) => {
					onProgress = resolve;
				});
			}
		}
		await Promise.all([append(0), append(100), append(200), append(300), deliver(), deliver(), kill()]);
		expect(terminated).toBeGreaterThan(0);
		expect([...delivered.keys()].sort()).toEqual(acknowledged.sort());
		stop();
		await store.close();
		expect([pool.waitingCount, pool.totalCount - pool.idleCount]).toEqual([0, 0]);
		await pool.end();
	}, 60_000);

	test("a connection that breaks while it is idle does not end the process", async () => {
		const pool = serverPool({ application_name: schema, max: 2 });
		const store = postgresStore({ pool, schema });
		await store.stats();
		const isBroken = new Promise((resolve) => pool.once("remove", resolve));
		expect(await terminate()).toBe(1);
		await isBroken;
		expect(await store.stats()).toEqual({ targets: [] });
		await store.close();
		expect(pool.listenerCount("error")).toBe(0);
		await pool.end();
	});

	async function withPool(
		settings: Parameters<typeof serverPool>[0],
		run: (store: OutboxStore) => Promise<void>,
	): Promise<void> {
		const pool = serverPool(settings);
		const store = postgresStore({ pool, schema });
		try {
			await run(store);
		} finally {
			await store.close();
			await pool.end();
		}
	}

	test("a server that may only be read says so", async () => {
		await withPool({}, async (store) => void (await store.stats()));
		await withPool({ options: "-c default_transaction_read_only=on" }, async (store) => {
			expect(await rejectionOf(store.append([eventFor("evt_1", toA)]))).toMatchObject(
				unavailable("read-only"),
			);
			expect(await store.stats()).toEqual({ targets: [] });
		});
	});

	test("a server without a free connection is busy", async () => {
		await admin.query(`CREATE ROLE "${schema}" LOGIN CONNECTION LIMIT 0`);
		try {
			await withPool({ user: schema }, async (store) => {
				expect(await rejectionOf(store.stats())).toMatchObject(unavailable("busy"));
			});
		} finally {
			await admin.query(`DROP ROLE "${schema}"`);
		}
	});

	test("a pool of one is enough for everything", async () => {
		await withPool({ max: 1 }, async (store) => {
			const stop = store.onWake(() => undefined);
			const events = Array.from({ length: 20 }, (_, index) =>
				eventFor(`evt_${index}`, { ...toA, orderKey: "k" }),
			);
			await Promise.all(events.map((each) => store.append([each])));
			for (let left = events.length; left > 0; left--) {
				const [{ token } = { token: "" }] = await claim(store);
				expect(await store.settle([{ token, to: { state: "delivered" } }])).toEqual(["ok"]);
			}
			expect(await store.nextDueInMs(requestsFor())).toBeUndefined();
			stop();
		});
	});

	test("works where the transactions of the application are serializable by default", async () => {
		await withPool({ options: "-c default_transaction_isolation=serializable" }, async (store) => {
			const keyed = { ...toA, orderKey: "k" };
			const events = Array.from({ length: 30 }, (_, index) => eventFor(`evt_${index}`, keyed));
			let left = events.length;
			const work = async () => {
				while (left > 0) {
					for (const { token } of await claim(store)) {
						if ((await store.settle([{ token, to: { state: "delivered" } }]))[0] === "ok") left--;
					}
				}
			};
			await Promise.all([...events.map((each) => store.append([each])), work(), work()]);
			expect(await store.nextDueInMs(requestsFor())).toBeUndefined();
		});
	});

	test("text that PostgreSQL cannot hold costs no other event of the batch", async () => {
		await withPool({}, async (store) => {
			const odd = eventFor("evt_1", { ...toA, orderKey: "a\0b" });
			const event = { ...odd.event, subject: "\ud800", dataJson: '"\\u0000\\ud800"' };
			expect(await store.append([{ ...odd, event }, eventFor("evt_2", toA)])).toEqual(["stored", "stored"]);
			const claims = await claim(store);
			expect(claims.map(({ event: { id } }) => id).sort()).toEqual(["evt_1", "evt_2"]);
			const [found] = claims.filter(({ event: { id } }) => id === "evt_1");
			expect(found?.event).toMatchObject({ subject: "\ufffd", dataJson: '"\\u0000\\ud800"' });
		});
	});

	test("two schemas of one database know nothing of each other", async () => {
		await withPool({}, async (store) => {
			const pool = serverPool({ max: 2 });
			const otherSchema = freshSchema();
			const other = postgresStore({ pool, schema: otherSchema });
			await store.append([eventFor("evt_1", toA)]);
			expect(await other.append([eventFor("evt_1", toA)])).toEqual(["stored"]);
			expect(await claim(store)).toHaveLength(1);
			expect(await claim(other)).toHaveLength(1);
			await other.close();
			await dropSchema(pool, otherSchema);
			await pool.end();
		});
	});
});
