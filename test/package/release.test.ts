// `npm run release` in a repository of its own, with the scripts of package.json.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const { preversion, release } = packageJson.scripts;
// Nothing of what git and this machine's user have agreed on.
const git = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@example.com" };
const env = { ...process.env, ...git, GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@example.com" };

describe("npm run release", { timeout: 60_000 }, () => {
	let folder: string;

	function run(command: string, ...args: readonly string[]): { status: number | null; text: string } {
		const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, env, encoding: "utf8" });
		return { status, text: stdout + stderr };
	}
	const releaseAs = (...version: readonly string[]) => run("npm", "run", "release", "--", ...version);

	function commitChangelog(text: string): void {
		writeFileSync(
			join(folder, "CHANGELOG.md"),
			`# Changelog\n\n${text}\n## [0.1.0] - 2026-11-01\n\n- The first.\n`,
		);
		run("git", "add", "--all");
		expect(run("git", "commit", "--message", "Changelog").status).toBe(0);
	}
	const state = () => ({
		version: (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version,
		tags: run("git", "tag").text.trim(),
		isClean: run("git", "status", "--porcelain").text === "",
		subject: run("git", "log", "-1", "--format=%s").text.trim(),
	});

	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), "callhook-release-"));
		onTestFinished(() => rmSync(folder, { recursive: true }));
		cpSync(".ci/check-changelog.mjs", join(folder, ".ci/check-changelog.mjs"));
		const manifest = { name: "shop", version: "0.1.0", scripts: { preversion, release } };
		writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
		run("git", "init", "--quiet");
	});

	test.each([
		["has no section", 'has no section "## [0.2.0]', ""],
		["has no date", "gives no date", "## [0.2.0] - unreleased\n\n- News.\n"],
		["says nothing", "says nothing", "## [0.2.0] - 2026-11-02\n\n### Added\n"],
	])("refuses a version of which the changelog %s, and changes nothing", (_, reason, changelog) => {
		commitChangelog(changelog);
		const { status, text } = releaseAs("minor");
		expect(status, text).not.toBe(0);
		expect(text).toContain(reason);
		expect(state()).toEqual({ version: "0.1.0", tags: "", isClean: true, subject: "Changelog" });
	});

	test("changes the version, commits and tags it", () => {
		commitChangelog("## [0.2.0] - 2026-11-02\n\n### Added\n\n- News.\n");
		const { status, text } = releaseAs("minor");
		expect(status, text).toBe(0);
		expect(state()).toEqual({ version: "0.2.0", tags: "v0.2.0", isClean: true, subject: "Release 0.2.0" });
	});

	test("tags the first version, which package.json has already", () => {
		commitChangelog("");
		const { status, text } = releaseAs("0.1.0", "--allow-same-version");
		expect(status, text).toBe(0);
		expect(state()).toMatchObject({ version: "0.1.0", tags: "v0.1.0", isClean: true });
	});
});
