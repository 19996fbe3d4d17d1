import { backoffDelayMs } from "../../internal/backoff.ts";
import { channelOf, giveBack, takeClient } from "./connection.ts";
import type { PostgresClient, PostgresPool } from "./driver.ts";

/** Tells when something may have become claimable: here, or in another process. */
export interface Wake {
	/** Something was scheduled or cancelled here and committed. */
	tell(): void;
	onWake(listener: () => void): () => void;
	close(): Promise<void>;
}

const reconnect = { minDelayMs: 200, maxDelayMs: 30_000, factor: 2, jitter: true };

/** Notifications are a hint, and may be lost with their connection; behind them the listeners are called now and then. */
export function createWake(pool: PostgresPool, schema: string, pollMs: number): Wake {
	const listeners = new Set<() => void>();
	// A pool of one would have no connection left for the work.
	const canListen = (pool.options?.max ?? 10) >= 2;
	let client: PostgresClient | undefined;
	let connecting: Promise<void> | undefined;
	let failures = 0;
	let poll: NodeJS.Timeout | undefined;
	let retry: NodeJS.Timeout | undefined;

	function tell(): void {
		for (const listener of [...listeners]) listener();
	}

	function pollLater(): void {
		poll = setTimeout(
			() => {
				pollLater();
				tell();
			},
			pollMs * (0.8 + Math.random() * 0.4),
		).unref();
	}

	/** Gives the connection up; asked again, it does nothing. */
	function drop(used: PostgresClient): void {
		if (client !== used) return;
		client = undefined;
		giveBack(used, true);
	}

	function connectLater(): void {
		if (listeners.size === 0 || retry !== undefined) return;
		failures++;
		retry = setTimeout(
			() => {
				retry = undefined;
				connect();
			},
			backoffDelayMs(reconnect, failures, Math.random()),
		).unref();
	}

	function connect(): void {
		connecting ??= listen().finally(() => {
			connecting = undefined;
			if (listeners.size === 0) stop();
			else if (client === undefined) connectLater();
		});
	}

	async function listen(): Promise<void> {
		let fresh: PostgresClient;
		try {
			fresh = await takeClient(pool);
		} catch {
			return;
		}
		client = fresh;
		const lose = (): void => {
			if (client !== fresh) return;
			drop(fresh);
			if (connecting === undefined) connectLater();
		};
		fresh.on?.("error", lose);
		fresh.on?.("end", lose);
		fresh.on?.("notification", () => {
			if (client === fresh) tell();
		});
		try {
			await fresh.query(`LISTEN "${channelOf(schema)}"`);
			fresh.unref?.();
			failures = 0;
			// Of what was sent before, nobody told.
			tell();
		} catch {
			drop(fresh);
		}
	}

	function stop(): void {
		clearTimeout(poll);
		poll = undefined;
		clearTimeout(retry);
		retry = undefined;
		if (client !== undefined && connecting === undefined) drop(client);
	}

	return {
		tell,
		onWake(listener) {
			// The same function twice counts twice.
			const own = (): void => listener();
			listeners.add(own);
			if (listeners.size === 1) {
				pollLater();
				if (canListen && client === undefined && retry === undefined) connect();
			}
			return () => {
				if (listeners.delete(own) && listeners.size === 0) stop();
			};
		},
		async close() {
			listeners.clear();
			stop();
			await connecting;
		},
	};
}
