import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const folder = join(tmpdir(), "callhook-node24");
const file = join(folder, "node_modules", "node", "bin", "node");

export interface FoundNode {
	readonly node: string | undefined;
	/** What it is, or why there is none. */
	readonly text: string;
}

/**
 * A Node that has node:sqlite: this one, or Node 24 from the npm package `node`, installed into a folder of its own and
 * kept there. CALLHOOK_REQUIRE_NODE24=1 forbids that there is none.
 */
export async function findNodeWithSqlite(): Promise<FoundNode> {
	if (process.getBuiltinModule("node:sqlite") !== undefined) {
		return { node: process.execPath, text: `Node ${process.version}` };
	}
	try {
		const version = await readVersion().catch(async () => {
			// Two files may do it at once: npm replaces what is there by what is the same.
			await run("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, "node@24"], {
				timeout: 120_000,
			});
			return readVersion();
		});
		return { node: file, text: `Node ${version}` };
	} catch (error) {
		if (process.env.CALLHOOK_REQUIRE_NODE24 === "1") throw error;
		return { node: undefined, text: "skipped: npm could not install Node 24" };
	}
}

async function readVersion(): Promise<string> {
	const { stdout } = await run(file, ["--version"]);
	return stdout.trim();
}
