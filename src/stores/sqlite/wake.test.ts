import { writeFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { openFolder } from "../../../test/support/sqlite.ts";
import { createDeferred } from "../../internal/deferred.ts";
import type { Connection } from "./connection.ts";
import { createWake } from "./wake.ts";

/** A connection that is asked for the number of commits of others, and no more. */
async function setup() {
	const { path, dispose } = await openFolder();
	await writeFile(`${path}-wal`, "");
	const file = { version: 0, looked: createDeferred<void>() };
	const connection = {
		isInTransaction: false,
		pragma() {
			file.looked.resolve();
			return file.version;
		},
	} as unknown as Connection;
	const wake = createWake(connection, path);
	onTestFinished(async () => {
		wake.close();
		await dispose();
	});
	/** Resolves once the file was written to and the store has looked whether that was a commit. */
	async function write(): Promise<void> {
		file.looked = createDeferred();
		await writeFile(`${path}-wal`, String(Math.random()));
		await file.looked.promise;
	}
	return { wake, file, write };
}

test("a commit that the file system tells of before it can be seen wakes the listeners", async () => {
	const { wake, file, write } = await setup();
	const woken = createDeferred<void>();
	wake.onWake(woken.resolve);
	// SQLite writes the log, then syncs it, which may take long, and only then lets others see it.
	await write();
	file.version++;
	await woken.promise;
});

test("of two commits that follow each other closely both wake the listeners", async () => {
	const { wake, file, write } = await setup();
	let wakes = 0;
	let woken = createDeferred<void>();
	wake.onWake(() => {
		wakes++;
		woken.resolve();
	});
	await write();
	file.version++;
	await woken.promise;
	woken = createDeferred();
	// Its event came together with that of the first.
	file.version++;
	await woken.promise;
	expect(wakes).toBe(2);
});
