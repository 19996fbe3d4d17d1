// Claims of 100 deliveries, settled, with a backlog: of 1,000 endpoints, and behind a dead one that has half of it.
import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GroupRequests, NewEvent, OutboxStore } from "callhook";
import { sqliteStore } from "callhook/sqlite";
import { measure, type Subject } from "./harness.ts";

const dataJson = JSON.stringify({ orderId: "o_1", note: "x".repeat(950) });
const endpoints = 1_000;
const batch = 100;
const request = { limit: batch, limitPerTarget: 2, capacity: new Map([["dead", 0]]) };
const groups: GroupRequests = new Map([["webhooks", request]]);

function makeEvent(index: number): NewEvent {
	const target = index % 2 === 0 ? "dead" : `ep_${index % endpoints}`;
	return {
		event: {
			...{ id: `evt_${index}`, type: "order.paid", time: "2026-01-01T00:00:00.000Z", source: "/" },
			...{ dataJson, metadataJson: "{}" },
		},
		deliveries: [{ group: "webhooks", target }],
	};
}

async function fill(store: OutboxStore, backlog: number): Promise<void> {
	for (let from = 0; from < backlog; from += 500) {
		await store.append(Array.from({ length: 500 }, (_, index) => makeEvent(from + index)));
	}
}

function quantile(sorted: readonly number[], part: number): string {
	return ((sorted[Math.floor(sorted.length * part)] ?? 0) / 1e6).toFixed(2);
}

/** Tells what a ratio cannot: how long the slowest claims took, the file's size and the memory of the process. */
function describe(backlog: number, path: string, claimTimes: number[]): void {
	const sorted = claimTimes.sort((a, b) => a - b);
	const bytes = Math.round(statSync(path).size / backlog);
	const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
	console.log(
		`  ${backlog.toLocaleString("en")}: claim p50 ${quantile(sorted, 0.5)} ms, p99 ${quantile(sorted, 0.99)} ms; ${bytes} bytes a row in the file; ${memory} MiB resident`,
	);
}

function withBacklog(backlog: number): Subject {
	return {
		name: `backlog of ${backlog.toLocaleString("en")}`,
		create() {
			const path = join(mkdtempSync(join(tmpdir(), "callhook-bench-")), "outbox.db");
			const store = sqliteStore({ path, driver: "libsql" });
			const filled = fill(store, backlog);
			let next = backlog + 1;
			const nextEvent = (): NewEvent => {
				// The odd ones go to endpoints that are alive.
				const event = makeEvent(next);
				next += 2;
				return event;
			};
			return async (operations) => {
				await filled;
				const claimTimes: number[] = [];
				for (let done = 0; done < operations; done += batch) {
					// As many come as go, so that the backlog stays.
					await store.append(Array.from({ length: batch }, nextEvent));
					const startedAt = process.hrtime.bigint();
					const claims = await store.claim(groups, 60_000);
					claimTimes.push(Number(process.hrtime.bigint() - startedAt));
					if (claims.length !== batch) throw new Error(`${claims.length} were claimed`);
					await store.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" } })));
				}
				describe(backlog, path, claimTimes);
			};
		},
	};
}

await measure([
	{
		name: "append, claim and settle on SQLite, 100 at a time, for each of them",
		baseline: "backlog of 10,000",
		operations: 20_000,
		rounds: 3,
		subjects: [withBacklog(10_000), withBacklog(1_000_000)],
	},
]);
