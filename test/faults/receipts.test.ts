import { setTimeout as pause } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import type { ReceiptPoint, ReceiptsInput } from "./programs/receipts.ts";
import { rounds, roundsTimeoutMs } from "./support/crash-rounds.ts";
import { type Line, prepareProgram } from "./support/program.ts";
import { type Random, seededRandom } from "./support/random.ts";
import { storeKinds } from "./support/stores.ts";

const launcher = await prepareProgram("receipts");
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const body = JSON.stringify({ type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: {} });
const points: readonly ReceiptPoint[] = ["claimed", "ran", "confirmed"];

/** One attempt: the answer, or `undefined` where the process died instead. */
async function attempt(port: number, id: string): Promise<string | undefined> {
	const now = new Date();
	const headers = {
		"content-type": "application/json",
		"webhook-id": id,
		"webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
		"webhook-signature": new Webhook(secret).sign(id, now, body),
	};
	try {
		const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", headers, body });
		return `${response.status} ${await response.text()}`;
	} catch {
		return undefined;
	}
}

/** Sends a message until it is answered with success, as a sender does, or the process is dead. */
async function deliver(port: number, id: string): Promise<string | undefined> {
	for (;;) {
		const answer = await attempt(port, id);
		// Held by the one that died: its lease ends.
		if (answer !== '503 {"error":"IN_PROGRESS"}') return answer;
		await pause(20);
	}
}

const duplicate = '200 {"ignored":"DUPLICATE"}';

function nextDeath(random: Random): ReceiptsInput["death"] {
	// One in four is killed from outside, at any moment.
	const at = points[random.below(4)];
	return at && { at, message: random.below(3) };
}

describe.each(storeKinds)("$name", (kind) => {
	test.runIf(kind.isThere)(
		"a message whose receiver was killed runs when it comes again; one that was confirmed never does",
		async () => {
			const random = seededRandom();
			const { place, checkIntegrity } = await kind.open();
			const runs = new Map<string, number>();
			const confirmed = new Set<string>();
			const faults: string[] = [];
			function onLine([word, value]: Line): void {
				const key = String(value);
				if (word === "ran" && confirmed.has(key)) faults.push(`${key} ran after it was confirmed`);
				if (word === "ran") runs.set(key, (runs.get(key) ?? 0) + 1);
				if (word === "confirmed" && confirmed.has(key)) faults.push(`${key} was confirmed twice`);
				if (word === "confirmed") confirmed.add(key);
			}
			const acknowledged = new Set<string>();
			let pending: string[] = [];
			let repeats = 0;

			for (let round = 0; round < rounds; round++) {
				const death = nextDeath(random);
				const program = launcher.start({ place, secret, death } satisfies ReceiptsInput, {
					node: kind.node,
					onLine,
				});
				const port = Number((await program.said("listening"))[1]);
				const sent = [...pending, ...[0, 1, 2, 3].map((index) => `msg_${round}_${index}`)];
				const killer = death === undefined && pause(random.next() * 60).then(() => program.signal("SIGKILL"));
				const answers = await Promise.all(sent.map((id) => deliver(port, id)));
				pending = sent.filter((_, index) => answers[index] === undefined);
				for (const [index, id] of sent.entries()) {
					if (answers[index] === undefined) continue;
					expect(["204 ", duplicate]).toContain(answers[index]);
					if (answers[index] === duplicate) repeats++;
					acknowledged.add(id);
				}
				await killer;
				program.signal("SIGKILL");
				expect(await program.ended).toEqual({ code: null, signal: "SIGKILL" });
			}

			const last = launcher.start({ place, secret, death: undefined } satisfies ReceiptsInput, {
				node: kind.node,
				onLine,
			});
			const port = Number((await last.said("listening"))[1]);
			const all = [...acknowledged, ...pending];
			for (const id of all) {
				// More than once only where a lease ended before its handler did, as it may on a busy machine.
				while ((await deliver(port, id)) !== duplicate) expect(runs.get(`standard:${id}`)).toBeGreaterThan(0);
			}
			const before = new Map(runs);
			expect(await Promise.all(all.map((id) => attempt(port, id)))).toEqual(all.map(() => duplicate));
			last.signal("SIGKILL");
			await last.ended;
			expect(runs, "a confirmed message ran again").toEqual(before);
			expect(
				all.filter((id) => !runs.has(`standard:${id}`)),
				"acknowledged, but never run",
			).toEqual([]);
			expect(faults).toEqual([]);
			await checkIntegrity();
			const twice = [...runs.values()].filter((count) => count > 1).length;
			expect(all).toHaveLength(4 * rounds);
			console.info(
				`${kind.name}: ${rounds} kills, ${all.length} messages, ${twice} ran again after a kill, ${repeats} were confirmed unanswered, seed ${random.seed}`,
			);
		},
		roundsTimeoutMs,
	);
});
