import { describe, expect, test } from "vitest";
import type { PoisonInput } from "./programs/poison.ts";
import { type Line, prepareProgram } from "./support/program.ts";
import { type StoreKind, storeKinds } from "./support/stores.ts";

const launcher = await prepareProgram("poison");
const attempts = 3;
const others = 40;
const concurrency = 4;

interface Outcome {
	readonly deaths: number;
	/** The attempts of the event that kills. */
	readonly poisoned: readonly unknown[];
	/** Which of the others ran. */
	readonly worked: number;
	/** Why events are dead letters. */
	readonly dead: readonly unknown[];
	readonly states: Readonly<Record<string, number>>;
}

/** Starts programs until one lives to see the end. */
async function runUntilDrained(kind: StoreKind): Promise<Outcome> {
	const store = await kind.open();
	const lines: Line[] = [];
	let deaths = 0;
	for (;;) {
		const input: PoisonInput = { place: store.place, emits: deaths === 0, others, attempts, concurrency };
		const program = launcher.start(input, { node: kind.node, onLine: (line) => lines.push(line) });
		const { signal } = await program.ended;
		if (signal === null) break;
		expect(++deaths).toBeLessThanOrEqual(attempts);
	}
	expect(lines.at(-1)).toEqual(["drained"]);
	const valuesOf = (wanted: string, index: number) =>
		lines.filter(([word]) => word === wanted).map((line) => line[index]);
	return {
		deaths,
		poisoned: valuesOf("poisoned", 2),
		worked: new Set(valuesOf("worked", 1)).size,
		dead: valuesOf("dead", 1),
		states: await store.countStates(),
	};
}

describe.each(storeKinds)("$name", (kind) => {
	test.runIf(kind.isThere)(
		"an event that kills its process each time becomes a dead letter, and no other event does",
		async () => {
			const { deaths, poisoned, worked, dead, states } = await runUntilDrained(kind);
			expect(deaths).toBe(attempts);
			expect(poisoned).toEqual([1, 2, 3]);
			// Whatever ran beside it runs alone first, so that it does not run out of attempts with it.
			expect(dead).toEqual(["ERR_CALLHOOK_CRASHED"]);
			expect(worked).toBe(others);
			expect(states).toEqual({ delivered: others, dead: 1 });
		},
	);
});
