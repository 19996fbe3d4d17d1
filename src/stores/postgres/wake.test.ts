import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { dropSchema, findServer, freshSchema, serverPool } from "../../../test/support/postgres.ts";
import { eventFor } from "../../../test/support/target-group.ts";
import { type PostgresPool, postgresStore } from "./index.ts";
import { createWake } from "./wake.ts";

const hasServer = (await findServer()) !== undefined;
const never = 1_000_000;
const toA = { group: "g", target: "a" };

/** The next time the listeners are called. */
function nextWake(store: { onWake(listener: () => void): () => void }): Promise<void> {
	return new Promise((resolve) => {
		const stop = store.onWake(() => {
			stop();
			resolve();
		});
	});
}

const away: PostgresPool = {
	query: () => Promise.reject(new Error("away")),
	connect: (callback) => callback(new Error("away"), undefined),
};

describe("onWake() of postgresStore() without a server", () => {
	test("calls again and again while anybody listens, and holds no timer afterwards", async () => {
		const wake = createWake({ ...away, options: { max: 1 } }, "callhook", 10);
		let calls = 0;
		const isCalled = new Promise<void>((resolve) => {
			const stop = wake.onWake(() => {
				if (++calls < 3) return;
				stop();
				stop();
				resolve();
			});
		});
		await isCalled;
		expect(calls).toBe(3);
		await wake.close();
	});

	test("a pool of one is left alone", async () => {
		const connect = vi.fn(away.connect);
		const wake = createWake({ ...away, connect, options: { max: 1 } }, "callhook", 10);
		await nextWake(wake);
		expect(connect).not.toHaveBeenCalled();
		await wake.close();
	});

	test("a server that cannot be reached is tried again, later and later", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		try {
			const connect = vi.fn(away.connect);
			const wake = createWake({ ...away, connect }, "callhook", never);
			wake.onWake(() => undefined);
			await vi.advanceTimersByTimeAsync(100_000);
			const tries = connect.mock.calls.length;
			expect(tries).toBeGreaterThan(4);
			expect(tries).toBeLessThan(60);
			await wake.close();
			await vi.advanceTimersByTimeAsync(100_000);
			expect(connect).toHaveBeenCalledTimes(tries);
			expect(vi.getTimerCount()).toBe(0);
		} finally {
			vi.useRealTimers();
		}
	});
});

describe.runIf(hasServer)("onWake() of postgresStore()", () => {
	const admin = serverPool({ max: 4 });
	let schema = "";
	beforeEach(() => {
		schema = freshSchema();
	});
	afterEach(() => dropSchema(admin, schema));
	afterAll(() => admin.end());

	test("hears at once what another process appends, replays and cancels", async () => {
		const pool = serverPool({ max: 2 });
		const listening = postgresStore({ pool, schema, pollMs: never });
		const writing = postgresStore({ pool: admin, schema, pollMs: never });
		await writing.stats();
		const stop = listening.onWake(() => undefined);
		// The first call says that it listens now.
		await nextWake(listening);
		const actions = [
			() => writing.append([eventFor("evt_1", toA)]),
			() => writing.cancel({}),
			() => writing.replay({}),
		];
		for (const action of actions) {
			const isTold = nextWake(listening);
			await action();
			await isTold;
		}
		stop();
		await listening.close();
		await writing.close();
		await pool.end();
	});

	test("listens again after its connection was ended, and says so", async () => {
		const pool = serverPool({ max: 2, application_name: schema });
		const listening = postgresStore({ pool, schema, pollMs: never });
		const stop = listening.onWake(() => undefined);
		await nextWake(listening);
		for (let times = 0; times < 2; times++) {
			const isBack = nextWake(listening);
			await admin.query(
				"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
				[schema],
			);
			await isBack;
		}
		const isTold = nextWake(listening);
		await admin.query(`NOTIFY "callhook_${schema}"`);
		await isTold;
		stop();
		await listening.close();
		await pool.end();
	});

	test("gives the connection up with its last listener, also while it connects", async () => {
		const pool = serverPool({ max: 2 });
		const store = postgresStore({ pool, schema, pollMs: never });
		const stop = store.onWake(() => undefined);
		await nextWake(store);
		expect(pool.totalCount).toBe(1);
		stop();
		await vi.waitFor(() => expect(pool.totalCount).toBe(0));
		store.onWake(() => undefined)();
		store.onWake(() => undefined);
		await store.close();
		// It would wait for ever for a connection that was not given back.
		await pool.end();
	});
});
