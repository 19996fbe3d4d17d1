import { expect, test } from "vitest";
import { sqliteStore } from "../../src/stores/sqlite/index.ts";
import type { WorkerInput } from "./programs/worker.ts";
import { type Deliveries, noteDelivery } from "./support/crash-rounds.ts";
import { type Program, prepareProgram } from "./support/program.ts";
import { seededRandom } from "./support/random.ts";
import { LibsqlDatabase, nodeSqlite } from "./support/stores.ts";

const kills = 6;
const concurrency = 4;
// What runs, and as much at hand.
const inFlightLimit = 2 * concurrency;
const leaderLeaseMs = 400;
// Appended and not delivered yet: those that append wait for the one that delivers.
const mostUndelivered = 100;

const launcher = await prepareProgram("worker");

/** What happened to the table of deliveries and to the leader, in the order of the transactions. */
interface LogRow {
	readonly what: "claimed" | "ended" | "led";
	readonly token: string;
	/** Who leads, from here on where the leader changes. */
	readonly owner: string;
	/** Who led before, and until when he might. */
	readonly before: string;
	readonly until: number;
	readonly at: number;
}

const now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/** Lets the file itself write down who claims what: only it knows the order. */
async function openLog(path: string): Promise<() => LogRow[]> {
	await sqliteStore({ path, driver: "libsql" }).close();
	const database = new LibsqlDatabase(path);
	database.exec(`
		CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT, token TEXT, owner TEXT, before TEXT, until INTEGER, at INTEGER);
		CREATE TRIGGER log_claimed AFTER UPDATE ON callhook_delivery WHEN new.claims > old.claims BEGIN
			INSERT INTO log (what, token, owner, at)
			SELECT 'claimed', new.seq || '.' || new.claims, owner, ${now} FROM callhook_leader;
		END;
		CREATE TRIGGER log_ended AFTER UPDATE ON callhook_delivery
		WHEN old.state = 'in_flight' AND new.state <> 'in_flight' BEGIN
			INSERT INTO log (what, token, at) VALUES ('ended', old.seq || '.' || old.claims, ${now});
		END;
		CREATE TRIGGER log_led AFTER UPDATE ON callhook_leader WHEN new.owner <> old.owner BEGIN
			INSERT INTO log (what, owner, before, until, at) VALUES ('led', new.owner, old.owner, old.until, ${now});
		END`);
	database.close();
	return () => {
		const reader = new LibsqlDatabase(path);
		const rows = reader.prepare("SELECT * FROM log ORDER BY id").all() as LogRow[];
		reader.close();
		return rows;
	};
}

/** Goes through the log; returns who led, in order. `claimants`: which process said that it has a token. */
function checkLog(log: readonly LogRow[], claimants: ReadonlyMap<string, number>): string[] {
	const leaders: string[] = [];
	const processes = new Map<string, number>();
	const open = new Map<string, string>();
	for (const { what, token, owner, before, until, at } of log) {
		if (what === "ended") open.delete(token);
		// To give up one's own lead is always allowed.
		if (what === "led" && before !== "" && owner !== "") {
			expect(at, "taken over from a leader whose lease had not ended").toBeGreaterThanOrEqual(until);
		}
		if (what === "led" && owner !== "" && leaders.at(-1) !== owner) leaders.push(owner);
		if (what !== "claimed") continue;
		expect(owner, "claimed without a leader").not.toBe("");
		open.set(token, owner);
		expect([...new Set(open.values())], "two deliver at once").toEqual([owner]);
		// Who was killed may not have come to say it.
		const claimant = claimants.get(token);
		if (claimant === undefined) continue;
		if (!processes.has(owner)) processes.set(owner, claimant);
		expect(claimant, "claimed by who does not lead").toBe(processes.get(owner));
	}
	expect([...open.keys()], "claimed and never ended").toEqual([]);
	return leaders;
}

test.runIf(nodeSqlite.isThere)(
	`${nodeSqlite.name}: of two processes that append one delivers, and when it is killed the other one`,
	async () => {
		const random = seededRandom();
		const { place, countStates, checkIntegrity } = await nodeSqlite.open();
		if (place.driver === "postgres") throw new TypeError("not a file");
		const sharedPlace = { ...place, leaderLeaseMs };
		const readLog = await openLog(place.path);
		const acknowledged = new Map<number, string>();
		const deliveries: Deliveries = new Map();
		const claimants = new Map<string, number>();
		const alive = new Set<Program>();
		let emitted = 0;
		let lost = 0;
		let appendedBeside = 0;
		/** Who delivered last, and how much since it was its turn. */
		let leader: Program | undefined;
		let runs = 0;
		let isOver = false;
		let hear: () => void = () => undefined;

		async function until(isTrue: () => boolean): Promise<void> {
			while (!isTrue()) {
				await new Promise<void>((resolve) => {
					hear = resolve;
				});
			}
		}

		function start(): void {
			let unanswered = 0;
			/** Emits as soon as what was emitted is stored, and as long as the leader keeps up. */
			function emitMore(): void {
				if (isOver || unanswered > 0 || emitted - deliveries.size > mostUndelivered) return;
				unanswered = 1 + random.below(7);
				program.tell(`emit ${emitted} ${unanswered}`);
				emitted += unanswered;
			}
			const program = launcher.start(
				{ place: sharedPlace, leaseMs: 700, concurrency, workMs: 8 } satisfies WorkerInput,
				{
					node: nodeSqlite.node,
					onLine([word, value, eventId]) {
						if (word === "claimed") claimants.set(value as string, program.pid);
						if (word === "lost") lost++;
						if (word === "stored") {
							unanswered--;
							acknowledged.set(value as number, eventId as string);
							if (leader !== undefined && leader !== program) appendedBeside++;
						}
						if (word === "ran") {
							noteDelivery(deliveries, value as number, eventId as string);
							runs = leader === program ? runs + 1 : 1;
							leader = program;
						}
						for (const { feed } of feeds) feed();
						hear();
					},
				},
			);
			const entry = { program, feed: () => program.lines.length > 0 && emitMore() };
			feeds.add(entry);
			alive.add(program);
			void program.ended.then(() => feeds.delete(entry));
		}
		const feeds = new Set<{ readonly program: Program; feed(): void }>();

		start();
		start();
		for (let killed = 0; killed < kills; killed++) {
			const wanted = 20 + random.below(80);
			await until(() => runs >= wanted);
			const victim = leader as Program;
			victim.signal("SIGKILL");
			expect(await victim.ended).toEqual({ code: null, signal: "SIGKILL" });
			alive.delete(victim);
			start();
			await until(() => leader !== victim);
		}
		isOver = true;
		for (const program of alive) program.tell("drain");
		for (const { ended } of alive) expect(await ended).toEqual({ code: 0, signal: null });

		const missing = [...acknowledged].filter(([n, eventId]) => !deliveries.get(n)?.includes(eventId));
		expect(missing, "acknowledged, but never delivered").toEqual([]);
		const renamed = [...deliveries].filter(([, eventIds]) => new Set(eventIds).size > 1);
		expect(renamed, "delivered again under another id").toEqual([]);
		expect([...deliveries.keys()].filter((n) => n >= emitted)).toEqual([]);
		const log = readLog();
		const leaders = checkLog(log, claimants);
		expect(leaders.length).toBeGreaterThan(kills);
		expect(appendedBeside).toBeGreaterThan(0);
		const duplicates = [...deliveries.values()].reduce((sum, { length }) => sum + length - 1, 0);
		expect(duplicates).toBeLessThanOrEqual(inFlightLimit * kills + lost);
		expect(await countStates()).toEqual({ delivered: deliveries.size });
		await checkIntegrity();
		console.log(
			`${nodeSqlite.name}: ${kills} kills of the leader, ${leaders.length} leaders one after another, ${acknowledged.size} events acknowledged (${appendedBeside} by who did not deliver), 0 lost, ${duplicates} duplicates (at most ${inFlightLimit} a kill), ${lost} claims lost by the living, seed ${random.seed}`,
		);
	},
	120_000,
);
