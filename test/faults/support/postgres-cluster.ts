import { execFile, execFileSync } from "node:child_process";
import { appendFileSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { PoolConfig } from "pg";
import { onTestFinished } from "vitest";

/** A server of its own, which a test may stop. */
export interface PostgresCluster {
	readonly server: PoolConfig;
	start(): Promise<void>;
	/** At once, as in a crash: nobody is told, and the next start recovers. */
	stop(): Promise<void>;
	restart(): Promise<void>;
}

// Debian keeps them out of the way of those who only need a client.
const debian = "/usr/lib/postgresql";

/** The folder with the programs of a server, of the newest there is. */
function findPrograms(): string | undefined {
	const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
	const folders = [
		...versions.map((version) => join(debian, version, "bin")),
		...(process.env.PATH ?? "").split(delimiter),
	];
	return folders.find((folder) => ["initdb", "pg_ctl"].every((name) => existsSync(join(folder, name))));
}

/** Why there can be no server; `undefined` where there can. CALLHOOK_REQUIRE_POSTGRES=1 forbids that there is none. */
export function clusterMissing(): string | undefined {
	if (findPrograms() !== undefined) return undefined;
	const reason = `neither ${debian} nor PATH has initdb and pg_ctl`;
	if (process.env.CALLHOOK_REQUIRE_POSTGRES === "1") throw new Error(`PostgreSQL is required, but ${reason}`);
	return `skipped: ${reason}`;
}

/** Makes a server and starts it; it goes with the test. */
export async function startCluster(): Promise<PostgresCluster> {
	const programs = findPrograms() as string;
	const folder = mkdtempSync(join(tmpdir(), "callhook-postgres-"));
	const data = join(folder, "data");
	// A server refuses to run as root.
	const user = process.getuid?.() === 0 ? { uid: idOf("-u"), gid: idOf("-g") } : {};
	if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);

	async function run(program: "initdb" | "pg_ctl", ...args: readonly string[]): Promise<void> {
		await promisify(execFile)(join(programs, program), ["-D", data, ...args], { ...user, cwd: folder });
	}
	const control = (...args: readonly string[]): Promise<void> =>
		run("pg_ctl", "-w", "-t", "60", "-l", join(folder, "log"), ...args);

	await run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync");
	const port = await freePort();
	const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: folder };
	const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
	appendFileSync(join(data, "postgresql.conf"), lines.join(""));
	onTestFinished(async () => {
		await control("stop", "-m", "immediate").catch(() => undefined);
		rmSync(folder, { recursive: true });
	});
	await control("start");
	return {
		server: { host: "127.0.0.1", port, user: "postgres", password: "", database: "postgres" },
		start: () => control("start"),
		stop: () => control("stop", "-m", "immediate"),
		restart: () => control("restart", "-m", "immediate"),
	};
}

function idOf(which: "-u" | "-g"): number {
	return Number(execFileSync("id", [which, "postgres"], { encoding: "utf8" }));
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const probe = createServer()
			.once("error", reject)
			.listen(0, "127.0.0.1", () => {
				const { port } = probe.address() as { readonly port: number };
				probe.close(() => resolve(port));
			});
	});
}
