import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import { createDeferred } from "../internal/deferred.ts";
import { fakeClock } from "../testing/index.ts";
import { createAgentPool, type TlsMaterial } from "./agent-pool.ts";

function openPool() {
	const clock = fakeClock();
	const log: string[] = [];
	const closed = createDeferred<void>();
	const pool = createAgentPool(clock, (tls) => {
		const name = tls?.ca ?? "plain";
		log.push(`open ${name}`);
		return {
			close() {
				log.push(`close ${name}`);
				return closed.promise;
			},
			async destroy() {
				log.push(`destroy ${name}`);
			},
		} as unknown as Dispatcher;
	});
	return { clock, log, pool, closed };
}

describe("createAgentPool()", () => {
	test("has one agent for each material, whoever holds it", () => {
		const { pool, log } = openPool();
		const plain = pool.get();
		const first = pool.get({ ca: "a" });
		expect(pool.get()).toBe(plain);
		expect(pool.get({ ca: "a", cert: undefined })).toBe(first);
		expect(pool.get({ ca: "a", cert: "b" })).not.toBe(first);
		expect(pool.get({ ca: "a", key: "b" })).not.toBe(pool.get({ ca: "a", cert: "b" }));
		expect(log).toEqual(["open plain", "open a", "open a", "open a"]);
	});

	test("opens another after five minutes, and closes the old one, also one that nobody uses", async () => {
		const { pool, log, clock } = openPool();
		const plain = pool.get();
		pool.get({ ca: "a" });
		await clock.advance(299_999);
		expect(pool.get()).toBe(plain);
		await clock.advance(1);
		expect(pool.get()).not.toBe(plain);
		expect(log).toEqual(["open plain", "open a", "close plain", "open plain", "close a"]);
	});

	test("has at most 256, and closes the one that was not used for longest", () => {
		const { pool, log } = openPool();
		const materials: TlsMaterial[] = Array.from({ length: 256 }, (_, index) => ({ ca: String(index) }));
		for (const tls of materials) pool.get(tls);
		pool.get(materials[0]);
		pool.get();
		expect(log.slice(256)).toEqual(["open plain", "close 1"]);
		for (const tls of materials.slice(2)) pool.get(tls);
		expect(log).toHaveLength(258);
	});

	test("destroys all when it closes, those that only end what they have too, and opens none after", async () => {
		const { pool, log, clock } = openPool();
		pool.get({ ca: "a" });
		await clock.advance(300_000);
		pool.get({ ca: "b" });
		log.splice(0);
		await pool.close();
		expect(log.sort()).toEqual(["destroy a", "destroy b"]);
		pool.get({ ca: "b" });
		expect(log.slice(2)).toEqual(["open b", "destroy b"]);
	});

	test("forgets those that have closed", async () => {
		const { pool, log, clock, closed } = openPool();
		pool.get({ ca: "a" });
		await clock.advance(300_000);
		pool.get({ ca: "b" });
		closed.resolve();
		await closed.promise;
		await Promise.resolve();
		await pool.close();
		expect(log).toEqual(["open a", "open b", "close a", "destroy b"]);
	});
});
