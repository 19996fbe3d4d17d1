import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts a receiver in a process of its own. */
export async function startReceiver(): Promise<{ receiver: ChildProcess; port: number }> {
	const receiver = fork(fileURLToPath(new URL("receiver-process.ts", import.meta.url)));
	const [port] = (await once(receiver, "message")) as [number];
	return { receiver, port };
}

/** A part of sorted numbers, such as 0.99 of them. */
export function quantile(values: readonly number[], part: number): number {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
