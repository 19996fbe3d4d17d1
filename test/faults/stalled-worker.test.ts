import { describe, expect, test } from "vitest";
import { startReceiver } from "../support/http-receiver.ts";
import type { WorkerInput } from "./programs/worker.ts";
import { type Line, type Program, prepareProgram } from "./support/program.ts";
import { seededRandom } from "./support/random.ts";
import { nodeSqlite, postgres } from "./support/stores.ts";

const rounds = 3;
const launcher = await prepareProgram("worker");

const finished = { code: 0, signal: null };

function linesOf({ lines }: Program, word: string): readonly Line[] {
	return lines.filter(([first]) => first === word);
}

describe.each([postgres, nodeSqlite])("$name", (kind) => {
	test.runIf(kind.isThere)(
		"a worker that is stopped past its lease settles nothing, and each of its claims runs once more at most",
		async () => {
			const random = seededRandom();
			const counts = { events: 0, lost: 0, again: 0 };
			for (let round = 0; round < rounds; round++) {
				const store = await kind.open();
				const concurrency = 1 + random.below(6);
				// More than it can claim.
				const events = 3 * concurrency + random.below(20);
				// The receiver too holds what it gets before the worker is stopped.
				let isHolding = true;
				const receiver = await startReceiver(() => (isHolding ? undefined : 200));
				const start = (holds: boolean): Program =>
					launcher.start(
						{
							...{ place: store.place, leaseMs: 700, concurrency, workMs: 1, holds },
							port: receiver.port,
						} satisfies WorkerInput,
						{ node: kind.node },
					);
				const stalled = start(true);
				await stalled.said("started");
				stalled.tell(`emit 0 ${events}`);
				await stalled.saidTimes("ran", concurrency);
				for (let sent = 0; sent < concurrency; sent++) await receiver.webhooks.next();
				// Of webhooks it has as many at hand as it sends.
				await stalled.saidTimes("claimed", 3 * concurrency);
				await stalled.saidTimes("stored", events);
				// Not PostgreSQL, but SQLite cares in what it is stopped.
				if (kind === postgres) stalled.signal("SIGSTOP");
				else stalled.tell("stop");
				isHolding = false;

				// Whose leases have ended, another one does all of it.
				const other = start(false);
				other.tell("drain");
				expect(await other.ended).toEqual(finished);
				expect(linesOf(other, "settled")).toHaveLength(2 * events);

				stalled.signal("SIGCONT");
				stalled.tell("let-go");
				for (const { answer } of receiver.webhooks.items.slice(0, concurrency)) answer(200);
				stalled.tell("drain");
				expect(await stalled.ended).toEqual(finished);
				expect(linesOf(stalled, "settled"), "settled by who had lost it").toEqual([]);
				const lost = linesOf(stalled, "lost");
				const claimed = linesOf(stalled, "claimed");
				expect(lost).toHaveLength(claimed.length);
				const runs = [...linesOf(stalled, "ran"), ...linesOf(other, "ran")].length;
				const again = runs + receiver.webhooks.items.length - 2 * events;
				expect(again).toBeLessThanOrEqual(lost.length + linesOf(other, "lost").length);
				// One run for each claim, which has a token of its own.
				const tokens = [...claimed, ...linesOf(other, "claimed")].map(([, token]) => token);
				expect(new Set(tokens).size).toBe(tokens.length);
				expect(runs + receiver.webhooks.items.length).toBeLessThanOrEqual(tokens.length);
				counts.events += events;
				counts.lost += lost.length;
				counts.again += again;
				expect(await store.countStates()).toEqual({ delivered: 2 * events });
				await store.checkIntegrity();
			}
			console.log(
				`${kind.name}: ${rounds} stalled workers with ${counts.lost} claims of ${2 * counts.events} deliveries: 0 settled by them, ${counts.lost} lost, ${counts.again} run again, seed ${random.seed}`,
			);
		},
		60_000,
	);

	test.runIf(kind.isThere)(
		"a worker that was stopped past its lease settles nothing of what another one is running",
		async () => {
			const { place, countStates } = await kind.open();
			// Each that was claimed runs alone for a while, since its worker may have died of it.
			const concurrency = 2;
			const events = 6;
			const start = (input: Partial<WorkerInput>): Program =>
				launcher.start({ place, workMs: 1, holds: true, ...input }, { node: kind.node });
			const stalled = start({ leaseMs: 700, concurrency });
			await stalled.said("started");
			stalled.tell(`emit 0 ${events}`);
			await stalled.saidTimes("ran", concurrency);
			await stalled.saidTimes("stored", events);
			if (kind === postgres) stalled.signal("SIGSTOP");
			else stalled.tell("stop");
			// It takes them all, and keeps them however slow it is.
			const patient = place.driver === "postgres" ? place : { ...place, leaderLeaseMs: 60_000 };
			const other = start({ place: patient, leaseMs: 60_000, concurrency: events });
			await other.saidTimes("ran", events);
			stalled.signal("SIGCONT");
			stalled.tell("let-go");
			await stalled.saidTimes("lost", concurrency);
			expect(linesOf(other, "settled")).toEqual([]);
			for (const worker of [other, stalled]) {
				worker.tell("let-go");
				worker.tell("drain");
			}
			for (const { ended } of [other, stalled]) expect(await ended).toEqual(finished);
			expect(linesOf(stalled, "settled")).toEqual([]);
			expect(linesOf(stalled, "ran")).toHaveLength(concurrency);
			expect(linesOf(other, "settled")).toHaveLength(events);
			expect(linesOf(other, "ran")).toHaveLength(events);
			expect(await countStates()).toEqual({ delivered: events });
		},
		60_000,
	);
});
