import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A disk of 4 MB. */
export interface SmallDisk {
	readonly folder: string;
	/** Takes all the room there is. */
	fill(): void;
	/** Gives that room back. */
	free(): void;
}

/** Why there can be none; `undefined` where there can. */
export function smallDiskMissing(): string | undefined {
	if (process.platform !== "linux") return "skipped: no tmpfs on this system";
	const folder = mkdtempSync(join(tmpdir(), "callhook-disk-"));
	const reason = mount(folder);
	if (reason === undefined) unmount(folder);
	else rmdirSync(folder);
	return reason;
}

/** Mounts a disk, which goes with the test. */
export function mountSmallDisk(): SmallDisk {
	const folder = mkdtempSync(join(tmpdir(), "callhook-disk-"));
	const reason = mount(folder);
	if (reason !== undefined) throw new Error(reason);
	onTestFinished(() => unmount(folder));
	const ballast = join(folder, "ballast");
	return {
		folder,
		fill() {
			const file = openSync(ballast, "a");
			for (const size of [65_536, 4_096, 1]) {
				try {
					while (writeSync(file, Buffer.alloc(size)) === size);
				} catch (error) {
					if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
				}
			}
			closeSync(file);
		},
		free: () => rmSync(ballast),
	};
}

function mount(folder: string): string | undefined {
	const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]);
	if (status === 0) return undefined;
	return `skipped: mounting a tmpfs is not permitted (${error?.message ?? String(stderr).trim()})`;
}

function unmount(folder: string): void {
	// Lazily: a database that was not closed must not keep the folder.
	spawnSync("umount", ["-l", folder]);
	rmdirSync(folder);
}
