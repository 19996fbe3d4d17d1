// That a commit survives the loss of power, no test can show here; that it asks the disk to keep it, strace can.
import { readFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { openFolder } from "../support/sqlite.ts";
import type { SyncsInput } from "./programs/syncs.ts";
import { prepareProgram } from "./support/program.ts";
import { nodeSqlite, sqliteKinds } from "./support/stores.ts";
import { readTrace, straceMissing, straceTo } from "./support/strace.ts";

const missing = straceMissing();
const oneByOne = 200;
const inFlight = 1_000;
const launcher = await prepareProgram("syncs");

/** What happened between two words of the program. */
interface Phase {
	/** The syncs of the log in front of each acknowledgement, since the one before. */
	readonly syncsBefore: readonly number[];
	/** Syncs of the log in all. */
	readonly syncs: number;
	/** Syncs of the database itself, by checkpoints. */
	readonly checkpoints: number;
}

async function trace(input: Omit<SyncsInput, "path">, node: string | undefined) {
	const { path, dispose } = await openFolder();
	onTestFinished(dispose);
	const file = `${path}.trace`;
	const program = launcher.start({ ...input, path } satisfies SyncsInput, { node, under: straceTo(file) });
	const [, alone] = await program.said("in flight");
	const [, together] = await program.said("done");
	expect((await program.ended).code).toBe(0);
	const all = readTrace(await readFile(file, "utf8"));
	const find = (word: string): number =>
		all.findIndex((each) => "said" in each && each.said.startsWith(`["${word}"`));
	const phase = (from: string, until: string): Phase => {
		const syncsBefore: number[] = [];
		let [syncs, checkpoints, fresh] = [0, 0, 0];
		for (const each of all.slice(find(from) + 1, find(until))) {
			if ("said" in each) {
				syncsBefore.push(fresh);
				fresh = 0;
			} else if (each.synced.endsWith("-wal")) {
				syncs++;
				fresh++;
			} else if (each.synced === path) checkpoints++;
		}
		return { syncsBefore, syncs, checkpoints };
	};
	return {
		alone: { ...phase("one by one", "in flight"), commits: alone as number },
		together: { ...phase("in flight", "done"), commits: together as number },
	};
}

// A checkpoint syncs the log before it copies it, and the commit behind it the new head of the log.
const syncsOfCheckpoint = 2;

for (const kind of sqliteKinds) {
	const driver = kind === nodeSqlite ? "node:sqlite" : "libsql";
	test.runIf(missing === undefined && kind.isThere)(
		`${kind.name}${missing ? `, ${missing}` : ""}: each commit is synced before it is acknowledged, and many appends are one commit`,
		async () => {
			const { alone, together } = await trace({ driver, oneByOne, inFlight }, kind.node);
			console.log(
				`${kind.name}: ${oneByOne} appends one by one: ${alone.commits} commits, ${alone.syncs} syncs of the log, ${alone.checkpoints} checkpoints; ` +
					`${inFlight} at once: ${together.commits} commits, ${together.syncs} syncs, ${together.checkpoints} checkpoints`,
			);
			expect(alone.commits).toBe(oneByOne);
			expect(alone.syncsBefore).toHaveLength(oneByOne);
			expect(Math.min(...alone.syncsBefore), "syncs in front of each acknowledgement").toBeGreaterThanOrEqual(
				1,
			);
			expect(together.commits).toBeLessThan(inFlight / 10);
			expect(together.syncsBefore).toHaveLength(inFlight);
			expect(together.syncsBefore[0], "syncs in front of the first acknowledgement").toBeGreaterThanOrEqual(
				1,
			);
			for (const { commits, syncs, checkpoints } of [alone, together]) {
				expect(syncs).toBeGreaterThanOrEqual(commits);
				expect(syncs).toBeLessThanOrEqual(commits + syncsOfCheckpoint * checkpoints);
			}
		},
	);
}
