import { spawnSync } from "node:child_process";

/** What a program did, in its order: it said something, or synced a file. */
export type Traced = { readonly said: string } | { readonly synced: string };

/** What strace is told to write down, and where to. */
export function straceTo(file: string): readonly string[] {
	return [
		"strace",
		"-f",
		"-y",
		"-s",
		"64",
		"-e",
		"trace=fsync,fdatasync,write",
		"-e",
		"signal=none",
		"-o",
		file,
	];
}

/** Why there is no trace to be had; `undefined` where there is. CALLHOOK_REQUIRE_STRACE=1 forbids that there is none. */
export function straceMissing(): string | undefined {
	const { status, error, stderr } = spawnSync("strace", [
		"-f",
		"-e",
		"trace=fsync",
		process.execPath,
		"--version",
	]);
	if (status === 0) return undefined;
	const reason =
		error === undefined
			? `it may not trace (${String(stderr).trim().split("\n").at(-1)})`
			: `it cannot be started (${error.message})`;
	if (process.env.CALLHOOK_REQUIRE_STRACE === "1") throw new Error(`strace is required, but ${reason}`);
	return `skipped: strace: ${reason}`;
}

/** Reads what strace wrote of a program of link.ts, which says what it says through file 3. */
export function readTrace(text: string): Traced[] {
	return text.split("\n").flatMap((line): Traced[] => {
		const said = /^\d+ +write\(3<[^>]*>, "(.*)\\n"/u.exec(line)?.[1];
		if (said !== undefined) return [{ said: said.replaceAll('\\"', '"') }];
		const synced = /^\d+ +f(?:data)?sync\(\d+<([^>]*)>/u.exec(line)?.[1];
		return synced === undefined ? [] : [{ synced }];
	});
}
