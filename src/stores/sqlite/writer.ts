import type { Clock } from "../../internal/clock.ts";
import { createDeferred, type Deferred } from "../../internal/deferred.ts";
import { nextTurn } from "../../internal/next-turn.ts";
import type { Connection } from "./connection.ts";
import { isBusy } from "./sqlite-error.ts";

/** Group commit: what is written in one turn of the event loop becomes one transaction, with one fsync. */
export interface Writer {
	/** Runs `work` in a transaction; resolves with its result once that is committed. Work that throws changes nothing. */
	write<Result>(work: () => Result): Promise<Result>;
	/** Resolves once everything given so far is committed or has failed. */
	idle(): Promise<void>;
}

interface Item {
	readonly work: () => unknown;
	readonly done: Deferred<unknown>;
}

// Of the event loop's time; between tries it is free.
const retryDelaysMs = [2, 5, 10, 20, 50, 100];

export interface WriterOptions {
	readonly clock: Clock;
	/** How long it tries to get the lock. */
	readonly busyTimeoutMs: number;
	/** Whether the connection is the store's own. */
	readonly isOwn: boolean;
	/** Called behind each transaction. */
	onCommit(): void;
}

export function createWriter(
	connection: Connection,
	{ clock, busyTimeoutMs, isOwn, onCommit }: WriterOptions,
): Writer {
	let waiting: Item[] = [];
	let writing: Promise<void> | undefined;

	async function drain(): Promise<void> {
		await nextTurn();
		while (waiting.length > 0) {
			const busy = await begin();
			const items = waiting;
			waiting = [];
			if (busy === undefined) commit(items);
			else for (const { done } of items) done.reject(busy);
		}
		writing = undefined;
	}

	/** Starts a transaction; returns the error if the lock cannot be had in time. */
	async function begin(): Promise<unknown> {
		const startedMs = clock.now();
		for (let tries = 0; ; tries++) {
			try {
				beginAtOnce();
				return undefined;
			} catch (error) {
				if (!isBusy(error) || clock.now() - startedMs >= busyTimeoutMs) return error;
			}
			const delayMs = retryDelaysMs[tries] ?? 100;
			await new Promise<void>(
				(resolve) => void clock.setTimeout(resolve, delayMs * (0.5 + Math.random() / 2)),
			);
		}
	}

	/** An application's own connection may wait long for a lock, and the event loop with it. */
	function beginAtOnce(): void {
		if (isOwn) return connection.exec("BEGIN IMMEDIATE");
		const before = connection.pragma("busy_timeout");
		connection.exec("PRAGMA busy_timeout = 0");
		try {
			connection.exec("BEGIN IMMEDIATE");
		} finally {
			connection.exec(`PRAGMA busy_timeout = ${Number(before)}`);
		}
	}

	function commit(items: readonly Item[]): void {
		const ended: { readonly done: Deferred<unknown>; readonly result: unknown }[] = [];
		try {
			for (const item of items) {
				const result = runAlone(item);
				if (result !== undefined) ended.push({ done: item.done, ...result });
			}
			connection.exec("COMMIT");
		} catch (error) {
			rollBack();
			for (const { done } of items) done.reject(error);
			return;
		}
		for (const { done, result } of ended) done.resolve(result);
		onCommit();
	}

	/** The failure of one piece of work must not cost the others. */
	function runAlone({ work, done }: Item): { readonly result: unknown } | undefined {
		connection.exec("SAVEPOINT callhook_work");
		try {
			const result = work();
			connection.exec("RELEASE callhook_work");
			return { result };
		} catch (error) {
			try {
				connection.exec("ROLLBACK TO callhook_work; RELEASE callhook_work");
			} catch {
				// SQLite has given up the whole transaction, as on a full disk: this is why.
				throw error;
			}
			done.reject(error);
			return undefined;
		}
	}

	function rollBack(): void {
		try {
			connection.exec("ROLLBACK");
		} catch {
			// SQLite has done so itself.
		}
	}

	return {
		write<Result>(work: () => Result) {
			const done = createDeferred<unknown>();
			waiting.push({ work, done });
			writing ??= drain();
			return done.promise as Promise<Result>;
		},
		idle: () => writing ?? Promise.resolve(),
	};
}
