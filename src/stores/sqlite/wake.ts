import { type FSWatcher, watch } from "node:fs";
import type { Connection } from "./connection.ts";

/** Tells when something may have become claimable: here, or in another process that wrote to the file. */
export interface Wake {
	/** Something was scheduled or cancelled here; the listeners hear of it behind the commit. */
	note(): void;
	/** Tells the listeners if there is news. */
	tell(): void;
	/** Something was scheduled in the application's transaction on this connection: tells the listeners behind its end. */
	follow(): void;
	onWake(listener: () => void): () => void;
	close(): void;
}

// Many commits of one moment are one piece of news.
const gatherMs = 2;
const pollMs = 1_000;
// An application may keep a transaction open for long.
const lookAgainMs = 20;
// A commit is written, synced, and only then to be seen: the file system tells of it before, and a sync may take seconds.
const longestLookMs = 5_000;

/** `path` is the file that other processes may write to; `undefined` where none can. */
export function createWake(connection: Connection, path: string | undefined): Wake {
	const listeners = new Set<() => void>();
	let hasNews = false;
	let isFollowing = false;
	let watcher: FSWatcher | undefined;
	let poll: NodeJS.Timeout | undefined;
	let gather: NodeJS.Timeout | undefined;
	/** How long the look that is planned was put off, and the one behind it will be. */
	let lookInMs = 0;
	let nextLookInMs = Number.POSITIVE_INFINITY;
	let seen: unknown;

	/** The number changes when another connection has committed: https://sqlite.org/pragma.html#pragma_data_version */
	function look(): void {
		gather = undefined;
		// Inside a transaction the number stays what it was at its begin.
		if (connection.isInTransaction) return lookIn(lookAgainMs);
		try {
			const version = connection.pragma("data_version");
			if (version === seen && !isFollowing) return;
			seen = version;
			isFollowing = false;
		} catch {
			// The database is failing: whoever claims will find out.
		}
		for (const listener of listeners) listener();
	}

	function lookIn(ms: number): void {
		if (gather !== undefined && lookInMs <= ms) return;
		clearTimeout(gather);
		lookInMs = ms;
		gather = setTimeout(lookOn, ms).unref();
	}

	/** Looks, and after an event of the file looks again, each time later. */
	function lookOn(): void {
		look();
		if (listeners.size === 0 || nextLookInMs > longestLookMs) return;
		lookIn(nextLookInMs);
		nextLookInMs *= 2;
	}

	function onChange(): void {
		nextLookInMs = 2 * gatherMs;
		lookIn(gatherMs);
	}

	function start(file: string): void {
		seen = connection.pragma("data_version");
		try {
			// The file system tells of each commit, so that an idle process sleeps.
			watcher = watch(`${file}-wal`, { persistent: false }, onChange);
			watcher.on("error", startPolling);
		} catch {
			startPolling();
		}
	}

	function startPolling(): void {
		watcher?.close();
		watcher = undefined;
		poll ??= setInterval(look, pollMs).unref();
	}

	function stop(): void {
		watcher?.close();
		watcher = undefined;
		clearInterval(poll);
		poll = undefined;
		clearTimeout(gather);
		gather = undefined;
		nextLookInMs = Number.POSITIVE_INFINITY;
	}

	return {
		note() {
			hasNews = true;
		},
		tell() {
			if (!hasNews) return;
			hasNews = false;
			for (const listener of listeners) listener();
		},
		follow() {
			isFollowing = true;
			lookIn(gatherMs);
		},
		onWake(listener) {
			if (listeners.size === 0 && path !== undefined) start(path);
			listeners.add(listener);
			return () => {
				listeners.delete(listener);
				if (listeners.size === 0) stop();
			};
		},
		close() {
			listeners.clear();
			stop();
		},
	};
}
