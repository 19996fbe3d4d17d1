import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import type { CrashRoundsInput } from "../programs/crash-rounds.ts";
import type { Launcher, Line } from "./program.ts";
import type { Random } from "./random.ts";
import type { StoreKind } from "./stores.ts";

/** 30 in each run of the tests; `npm run test:faults` does 1,000. */
export const rounds = Number(process.env.CALLHOOK_FAULT_ROUNDS ?? 30);
// A round is done in half a second; a busy machine may take ten times that.
export const roundsTimeoutMs = 60_000 + rounds * 5_000;

const concurrency = 4;
// What runs, and as much at hand.
const inFlightLimit = 2 * concurrency;

/** What came of the rounds, for people. */
export interface CrashRoundsResult {
	readonly kills: number;
	readonly emitted: number;
	readonly acknowledged: number;
	readonly duplicates: number;
}

/** Where the events arrive: what a consumer got, by number, each time. */
export type Deliveries = Map<number, string[]>;

export function noteDelivery(deliveries: Deliveries, n: number, eventId: string): void {
	const known = deliveries.get(n);
	if (known === undefined) deliveries.set(n, [eventId]);
	else known.push(eventId);
}

/** What rounds with webhooks need. */
export interface WebhookRounds {
	readonly port?: number;
	/** Asked in some rounds before a program starts: resolves when it is in the middle of an attempt. */
	midAttempt?(): Promise<unknown>;
}

/** Kills a program that emits and delivers again and again, then lets it drain and compares what all sides saw. */
export async function runCrashRounds(
	kind: StoreKind,
	launcher: Launcher,
	random: Random,
	deliveries: Deliveries,
	{ port, midAttempt }: WebhookRounds = {},
): Promise<CrashRoundsResult> {
	const { place, countStates, checkIntegrity } = await kind.open();
	const emitted = new Set<number>();
	const acknowledged = new Map<number, string>();
	let next = 0;

	function onLine([word, n, eventId]: Line): void {
		if (word === "emitted") emitted.add(n as number);
		if (word === "emitted") next = Math.max(next, (n as number) + 1);
		if (word === "stored") acknowledged.set(n as number, eventId as string);
		if (word === "delivered") noteDelivery(deliveries, n as number, eventId as string);
	}

	const start = (count: number) =>
		launcher.start({ place, port, from: next, count, concurrency } satisfies CrashRoundsInput, {
			node: kind.node,
			onLine,
		});

	for (let round = 0; round < rounds; round++) {
		const attempt = round % 4 === 0 ? midAttempt?.() : undefined;
		const program = start(300);
		if (attempt !== undefined) {
			await attempt;
		} else {
			// Some die while they open the store, most in the middle of their work.
			await program.said(random.below(4) === 0 ? "started" : "emitted");
			await pause(random.next() * 300);
		}
		program.signal("SIGKILL");
		expect(await program.ended).toEqual({ code: null, signal: "SIGKILL" });
	}
	const last = start(0);
	await last.said("drained");
	expect((await last.ended).code).toBe(0);

	const lost = [...acknowledged].filter(([n, eventId]) => !deliveries.get(n)?.includes(eventId));
	expect(lost, "acknowledged, but never delivered").toEqual([]);
	const phantoms = [...deliveries.keys()].filter((n) => !emitted.has(n));
	expect(phantoms, "delivered, but never emitted").toEqual([]);
	const renamed = [...deliveries.values()].filter((eventIds) => new Set(eventIds).size > 1);
	expect(renamed, "delivered again under another id").toEqual([]);
	const duplicates = [...deliveries.values()].reduce((sum, { length }) => sum + length - 1, 0);
	expect(duplicates).toBeLessThanOrEqual(inFlightLimit * rounds);
	expect(await countStates()).toEqual({ delivered: deliveries.size });
	await checkIntegrity();
	return { kills: rounds, emitted: emitted.size, acknowledged: acknowledged.size, duplicates };
}

export function describeRounds(name: string, { kills, ...counts }: CrashRoundsResult, seed: number): string {
	const { emitted, acknowledged, duplicates } = counts;
	return `${name}: ${kills} kills, ${emitted} events emitted, ${acknowledged} acknowledged, 0 lost, ${duplicates} duplicates (at most ${inFlightLimit} a kill), seed ${seed}`;
}
