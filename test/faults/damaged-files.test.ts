import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { DamagedInput, Finding } from "./programs/damaged.ts";
import { type Program, prepareProgram } from "./support/program.ts";
import { type Random, seededRandom } from "./support/random.ts";
import { LibsqlDatabase, nodeSqlite, type StoreKind, sqliteKinds } from "./support/stores.ts";

const launcher = await prepareProgram("damaged");
const copies = 200;

/** Cuts a file off, or changes some of its bytes; returns what was done. */
function damage(file: string, random: Random): string {
	const bytes = readFileSync(file);
	if (random.below(4) === 0) {
		const length = random.below(bytes.length);
		truncateSync(file, length);
		return `cut off at ${length} of ${bytes.length}`;
	}
	const count = 1 + random.below(4);
	const places = Array.from({ length: count }, () => random.below(bytes.length));
	for (const place of places) bytes[place] = (bytes[place] as number) ^ (1 + random.below(255));
	writeFileSync(file, bytes);
	return `bytes changed at ${places.join(", ")}`;
}

/** A store whose process died, to be copied, damaged and read. */
interface Victim {
	/** A fresh copy of its file and its log, or of a file into which the log was written. */
	copy(hasLog?: boolean): string;
	/** What a program finds in a copy, or that it died of it. */
	read(file: string): Promise<readonly [finding: Finding | "killed", detail: string]>;
}

async function makeVictim(kind: StoreKind): Promise<Victim> {
	const folder = mkdtempSync(join(tmpdir(), "callhook-damaged-"));
	onTestFinished(() => rmSync(folder, { recursive: true }));
	const original = join(folder, "original.db");
	const input: DamagedInput = {
		driver: kind === nodeSqlite ? "node:sqlite" : "libsql",
		list: join(folder, "events.json"),
	};
	const start = (more: Partial<DamagedInput>): Program =>
		launcher.start({ ...input, ...more }, { node: kind.node });
	expect((await start({ path: original }).ended).signal).toBe("SIGKILL");
	let copied = 0;
	function copy(hasLog = true): string {
		const file = join(folder, `copy-${copied++}.db`);
		if (hasLog) for (const suffix of ["", "-wal"]) copyFileSync(original + suffix, file + suffix);
		else copyFileSync(merged, file);
		return file;
	}
	const merged = copy();
	const database = new LibsqlDatabase(merged);
	database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
	database.close();
	let reader: Program;
	async function startReader(): Promise<void> {
		reader = start({});
		const file = copy();
		reader.tell(file);
		// What it finds in the first one, which is whole, is what it compares the others with.
		const [, , finding, detail] = await reader.said("read", file);
		expect(finding).toBe("same");
		expect(Number(detail)).toBeGreaterThan(300);
	}
	await startReader();
	return {
		copy,
		async read(file) {
			reader.tell(file);
			try {
				const [, , finding, detail] = await reader.said("read", file);
				return [finding as Finding, String(detail)];
			} catch {
				const { code, signal } = await reader.ended;
				await startReader();
				return ["killed", `${code ?? signal}`];
			} finally {
				for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
			}
		},
	};
}

describe.each(sqliteKinds)("$name", (kind) => {
	test.runIf(kind.isThere)(
		`of ${copies} damaged files none gives out anything else than what was stored`,
		async () => {
			const random = seededRandom();
			const { copy, read } = await makeVictim(kind);
			const counts: Record<string, number> = {};
			for (let index = 0; index < copies; index++) {
				const name = (["database", "log", "database without log"] as const)[random.below(3)] as string;
				const file = copy(name !== "database without log");
				const done = damage(name === "log" ? `${file}-wal` : file, random);
				const [finding, detail] = await read(file);
				expect(["same", "incomplete", "typed"], `${name} ${done}: ${detail}`).toContain(finding);
				const count = `${name}: ${finding}${finding === "same" ? "" : ` ${detail}`}`;
				counts[count] = (counts[count] ?? 0) + 1;
			}
			console.log(`${kind.name}, seed ${random.seed}: ${JSON.stringify(counts, undefined, "\t")}`);
		},
		// It starts a process anew for each that dies of its file.
		180_000,
	);

	/** What comes of damage that SQLite itself does not see. */
	async function readAfter(sql: string): Promise<readonly [finding: string, detail: string]> {
		const { copy, read } = await makeVictim(kind);
		const file = copy();
		const database = new LibsqlDatabase(file);
		database.exec("PRAGMA foreign_keys = OFF");
		database.exec(sql);
		database.close();
		return read(file);
	}

	test.runIf(kind.isThere)("an event that was changed is not delivered", async () => {
		const found = await readAfter(
			`UPDATE callhook_event SET data = replace(data, '"n":200,', '"n":201,') WHERE id = 'evt_00000200'`,
		);
		expect(found).toEqual(["typed", "claim.damage"]);
	});

	test.runIf(kind.isThere)("a delivery without its event stops no other", async () => {
		const found = await readAfter("DELETE FROM callhook_event WHERE id = 'evt_00000200'");
		expect(found).toEqual(["typed", "claim.damage"]);
	});

	test.runIf(kind.isThere)("text that is none is not delivered", async () => {
		const found = await readAfter(
			"UPDATE callhook_event SET data = CAST(x'7b22c3227d' AS TEXT) WHERE id = 'evt_00000200'",
		);
		expect(found).toEqual(["typed", "claim.damage"]);
	});
});
