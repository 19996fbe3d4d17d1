import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openShop } from "./shop.ts";

const folder = await mkdtemp(join(tmpdir(), "callhook-outbox-"));
try {
	const path = join(folder, "shop.db");
	const program = fileURLToPath(new URL("first-process.ts", import.meta.url));
	const first = spawn(process.execPath, ["--import", "tsx", program, path], { stdio: "inherit" });
	const [, signal] = await once(first, "exit");
	assert.equal(signal, "SIGKILL");

	console.log("the next process opens the same file");
	const shop = openShop(path);
	const packed: string[] = [];
	shop.bus.observe("handler:succeeded", ({ event }) =>
		packed.push((event.data as { orderId: string }).orderId),
	);
	await shop.bus.idle();

	// o_1 was packed by the first process, o_2 never was an order, o_3 was not forgotten.
	assert.deepEqual(packed, ["o_3"]);
	assert.deepEqual(shop.orders(), ["o_1", "o_3"]);
	console.log("orders:", shop.orders().join(" "));
	await shop.close();
} finally {
	await rm(folder, { recursive: true, force: true });
}
