// Appends events with a SQLite store and counts its commits; what is synced meanwhile, strace tells.
import type { NewEvent } from "../../../src/outbox/ports.ts";
import { type SqliteDatabase, sqliteStore } from "../../../src/stores/sqlite/index.ts";
import { input, listen, say } from "./link.ts";
import { databaseClass } from "./open-database.ts";

export interface SyncsInput {
	readonly path: string;
	readonly driver: "libsql" | "node:sqlite";
	/** How many events it appends, each when the one before is stored. */
	readonly oneByOne: number;
	/** How many it then appends at once. */
	readonly inFlight: number;
}

const { path, driver, oneByOne, inFlight } = input<SyncsInput>();
let commits = 0;

const { prototype }: { readonly prototype: SqliteDatabase } = databaseClass(driver);
const { exec } = prototype;
prototype.exec = function (sql) {
	if (sql === "COMMIT") commits++;
	return exec.call(this, sql);
};

function numbered(n: number): NewEvent {
	const event = {
		...{ id: `evt_${n}`, type: "numbered", time: "2026-01-01T00:00:00.000Z", source: "test" },
		...{ dataJson: `{"n":${n}}`, metadataJson: "{}" },
	};
	return { event, deliveries: [{ group: "handlers", target: "log" }] };
}

listen();
const store = sqliteStore({ path, driver });
let next = 0;
async function append(): Promise<void> {
	const n = next++;
	await store.append([numbered(n)]);
	say("stored", n);
}

commits = 0;
say("one by one");
while (next < oneByOne) await append();
say("in flight", commits);
commits = 0;
await Promise.all(Array.from({ length: inFlight }, append));
say("done", commits);
process.exit();
