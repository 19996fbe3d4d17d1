import { CallhookError } from "../../src/errors.ts";
import type { OutboxStore, StoreCapabilities } from "../../src/outbox/ports.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { fakeClock, type StoreHarness } from "../../src/testing/index.ts";

/** The calls, each rejecting once `isClosed` says so. */
function guarded<Calls extends object>(calls: Calls, isClosed: () => boolean): Calls {
	const entries = Object.entries(calls).map(([name, call]) => {
		if (typeof call !== "function") return [name, call];
		return [
			name,
			async (...args: unknown[]) => {
				if (isClosed()) throw new CallhookError("ERR_CALLHOOK_CLOSED", "Closed", { what: "store" });
				return call(...args);
			},
		];
	});
	return Object.fromEntries(entries);
}

/**
 * A harness of stores that share the data of one memory store: it stands in for a database in tests of what is asked
 * of stores that are opened again or more than once. Where they share "append", one leads as long as it holds claims.
 */
export function sharedHarness(
	sharing: StoreCapabilities["sharing"],
	data: OutboxStore,
	advance: (ms: number) => Promise<void>,
): StoreHarness & Required<Pick<StoreHarness, "reopen" | "openAnother">> {
	const open: OutboxStore[] = [];
	const held = new Set<string>();
	let leader: OutboxStore | undefined;

	function openOne(): OutboxStore {
		const stops = new Set<() => void>();
		const isClosed = () => !open.includes(store);
		const store: OutboxStore = {
			...guarded(data, isClosed),
			capabilities: { durability: "process", transactions: false, sharing },
			endpoints: guarded(data.endpoints, isClosed),
			receipts: guarded(data.receipts, isClosed),
			onWake(listener) {
				const stop = data.onWake(listener);
				stops.add(stop);
				return stop;
			},
			async close() {
				for (const stop of stops) stop();
				if (!isClosed()) open.splice(open.indexOf(store), 1);
			},
		};
		const { claim, settle, release } = store;
		open.push(store);
		return {
			...store,
			async claim(...args) {
				const isLed = leader !== undefined && open.includes(leader) && held.size > 0;
				if (sharing === "append" && isLed && leader !== store) return [];
				const claims = await claim(...args);
				leader = store;
				for (const { token } of claims) held.add(token);
				return claims;
			},
			async settle(settlements) {
				for (const { token } of settlements) held.delete(token);
				return settle(settlements);
			},
			async release(tokens, delayMs) {
				for (const token of tokens) held.delete(token);
				await release(tokens, delayMs);
			},
		};
	}

	return { store: openOne(), reopen: async () => openOne(), openAnother: async () => openOne(), advance };
}

/** The same on a memory store of its own. */
export async function openSharedHarness(sharing: StoreCapabilities["sharing"]): Promise<StoreHarness> {
	const clock = fakeClock();
	return sharedHarness(sharing, memoryStore({ clock }), clock.advance);
}
