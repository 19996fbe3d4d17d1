import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ReceiverReport } from "./receiver-inbox.ts";
import type { ReceiverReply, ReceiverRequest } from "./receiver-process.ts";

/** A receiver of webhooks that runs in a process of its own. */
export interface Receiver extends AsyncDisposable {
	readonly pid: number;
	readonly port: number;
	readonly url: string;
	/** Tells it the secret to verify with. Before that it answers 503 to everything. */
	open(options: { secret: string; refuseEvery: number }): Promise<void>;
	/** Asks what it got so far. */
	report(): Promise<ReceiverReport>;
	/** Ends the process and waits until it is gone. */
	stop(): Promise<void>;
}

/** Starts the receiver's process and waits until it listens on a free port of the loopback address. */
export async function startReceiver(): Promise<Receiver> {
	const child = fork(fileURLToPath(new URL("./receiver-process.ts", import.meta.url)), {
		// The loader for TypeScript, however this process was started; it is looked up from `cwd`.
		cwd: fileURLToPath(new URL(".", import.meta.url)),
		execArgv: ["--import", "tsx"],
		stdio: ["ignore", "ignore", "inherit", "ipc"],
	});
	const port = (await nextReply(child, "listening")).port;

	const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
	const ask = async <Kind extends ReceiverReply["kind"]>(request: ReceiverRequest, kind: Kind) => {
		if (hasEnded()) throw new Error("The receiver process is gone.");
		const answer = nextReply(child, kind);
		child.send(request);
		return answer;
	};
	const stop = async () => {
		if (hasEnded()) return;
		const exited = once(child, "exit");
		if (child.connected) child.disconnect();
		await exited;
	};

	return {
		pid: child.pid as number,
		port,
		url: `http://127.0.0.1:${port}/webhooks`,
		open: async ({ secret, refuseEvery }) => {
			await ask({ kind: "open", secret, refuseEvery }, "opened");
		},
		report: async () => (await ask({ kind: "report" }, "report")).report,
		stop,
		[Symbol.asyncDispose]: stop,
	};
}

/** The next message of the receiver, which must be of the given kind; rejects when the process ends instead. */
async function nextReply<Kind extends ReceiverReply["kind"]>(child: ChildProcess, kind: Kind) {
	const settled = new AbortController();
	try {
		const reply = await Promise.race([
			once(child, "message", settled).then(([message]) => message as ReceiverReply),
			once(child, "exit", settled).then(([code, signal]) => {
				throw new Error(`The receiver process ended early (${signal ?? `exit code ${code}`}).`);
			}),
		]);
		if (reply.kind !== kind) throw new Error(`Expected "${kind}" of the receiver, got "${reply.kind}".`);
		return reply as Extract<ReceiverReply, { kind: Kind }>;
	} finally {
		settled.abort();
	}
}
