// Makes a store with events in its file and in its log, and dies; or opens damaged copies of it and says what it finds.
import { readFileSync, writeFileSync } from "node:fs";
import { isCallhookError } from "../../../src/errors.ts";
import { systemClock } from "../../../src/internal/clock.ts";
import type { Claim, NewEvent, OutboxStore, StoredEvent } from "../../../src/outbox/ports.ts";
import { sqliteStore } from "../../../src/stores/sqlite/index.ts";
import { die, input, listen, say } from "./link.ts";

export interface DamagedInput {
	readonly driver: "libsql" | "node:sqlite";
	/** The store to make. */
	readonly path?: string;
	/** The events that are in it; a file of JSON. */
	readonly list: string;
}

/** What reading a damaged copy came to, the worst first. */
export type Finding =
	/** An event was given out that is not what was stored. */
	| "different"
	/** An event was given out as it was stored, but to a target that is not its own. */
	| "misrouted"
	/** An error of another kind than a CallhookError. */
	| "untyped"
	| "typed"
	/** All that was given out was as it was stored; some of it was missing or was given out again. */
	| "incomplete"
	| "same";

const { driver, path, list } = input<DamagedInput>();
const groups = ["handler:a", "handler:b"];
const eventCount = 240;
const leaseMs = 60_000;

function makeEvents(): NewEvent[] {
	return Array.from({ length: eventCount }, (_, n) => ({
		event: {
			id: `evt_${String(n).padStart(8, "0")}`,
			type: "order.paid",
			time: new Date(1_700_000_000_000 + n).toISOString(),
			source: "/shop",
			dataJson: JSON.stringify({ n, text: `${n} `.repeat(n % 97) }),
			metadataJson: JSON.stringify({ tenant: `t${n % 5}` }),
			version: n % 3 === 0 ? 2 : undefined,
			key: n % 2 === 0 ? `k${n % 7}` : undefined,
			subject: `orders/${n}`,
		},
		deliveries: groups.map((group) => ({
			...{ group, target: group, orderKey: n % 2 === 0 ? `k${n % 7}` : undefined },
		})),
	}));
}

async function claimSome(store: OutboxStore, limit: number): Promise<readonly Claim[]> {
	const request = { limit, limitPerTarget: limit, capacity: new Map<string, number>() };
	return store.claim(new Map(groups.map((group) => [group, request])), leaseMs);
}

async function finishSome(store: OutboxStore, claims: readonly Claim[]): Promise<void> {
	const attempt = {
		number: 1,
		startedAt: "2026-01-02T03:04:05.678Z",
		durationMs: 1,
		outcome: "delivered",
	} as const;
	await store.settle(claims.map(({ token }) => ({ token, to: { state: "delivered" }, attempt })));
}

/** The store as it is when its process dies in the middle of its work. */
async function make(file: string): Promise<never> {
	const events = makeEvents();
	writeFileSync(list, JSON.stringify(events));
	const first = sqliteStore({ path: file, driver });
	for (let from = 0; from < eventCount / 2; from += 20) await first.append(events.slice(from, from + 20));
	await finishSome(first, await claimSome(first, 15));
	// Puts everything into the file.
	await first.close();
	const second = sqliteStore({ path: file, driver });
	for (let from = eventCount / 2; from < eventCount; from += 20) {
		await second.append(events.slice(from, from + 20));
		await finishSome(second, await claimSome(second, 5));
	}
	await claimSome(second, 5);
	die();
}

interface Found {
	readonly finding: Finding;
	readonly detail: string;
}

function fieldsOf(event: StoredEvent): string {
	return JSON.stringify(
		Object.entries(event)
			.filter(([, value]) => value !== undefined)
			.sort(),
	);
}

/** The leases of who died have ended. */
const later = { ...systemClock, now: () => Date.now() + 86_400_000 };

/** Gives out everything there is, as a relay would. */
async function read(file: string, known: ReadonlyMap<string, string>): Promise<Found> {
	const given: string[] = [];
	let damaged = 0;
	let store: OutboxStore | undefined;
	try {
		store = sqliteStore({ path: file, driver, clock: later, busyTimeoutMs: 0, durability: "process" });
		for (let round = 0; round < 200; round++) {
			const claims = await claimSome(store, 50);
			for (const { event, group, target, damage } of claims) {
				if (damage !== undefined) {
					damaged++;
					continue;
				}
				if (known.get(event.id) !== fieldsOf(event)) return { finding: "different", detail: fieldsOf(event) };
				if (!groups.includes(target) || group !== target) return { finding: "misrouted", detail: target };
				given.push(`${event.id} ${target}`);
			}
			if (claims.length === 0) break;
			await finishSome(store, claims);
		}
		await store.stats();
		const { items } = await store.query({}, { limit: 1_000 });
		await store.getEvents(items.map(({ eventId }) => eventId));
	} catch (error) {
		if (isCallhookError(error)) return { finding: "typed", detail: error.code };
		return { finding: "untyped", detail: `${(error as { code?: string }).code ?? ""} ${String(error)}` };
	} finally {
		await store?.close().catch(() => undefined);
	}
	if (damaged > 0) return { finding: "typed", detail: "claim.damage" };
	whole ??= new Set(given);
	const missing = [...whole].filter((each) => !given.includes(each)).length;
	const again = given.length - (whole.size - missing);
	if (missing + again === 0) return { finding: "same", detail: String(given.length) };
	return { finding: "incomplete", detail: `${missing > 0 ? "missing" : ""}${again > 0 ? "again" : ""}` };
}

/** What the first store gives out, which is not damaged. */
let whole: ReadonlySet<string> | undefined;
let reading = Promise.resolve();
listen((file) => {
	const known = new Map(
		(JSON.parse(readFileSync(list, "utf8")) as NewEvent[]).map(({ event }) => [event.id, fieldsOf(event)]),
	);
	reading = reading.then(async () => {
		say("reading", file);
		const { finding, detail } = await read(file, known);
		say("read", file, finding, detail);
	});
});
if (path !== undefined) await make(path);
