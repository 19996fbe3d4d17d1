import { memoryStore } from "../../src/stores/memory/index.ts";
import { sqliteStore } from "../../src/stores/sqlite/index.ts";
import { modelTest } from "../support/model-test.ts";
import { sharedHarness } from "../support/shared-store.ts";
import { drivers, openFolder } from "../support/sqlite.ts";

/** A memory store that forgets nothing, on a clock that only `advance` moves. */
function openHarness() {
	let nowMs = Date.UTC(2026, 0, 1);
	const clock = { now: () => nowMs, setTimeout: () => undefined, clearTimeout: () => undefined };
	const advance = async (ms: number) => {
		nowMs += ms;
	};
	return { ...{ store: memoryStore({ clock, maxFinished: 1_000_000 }), advance }, now: clock.now };
}

modelTest("memoryStore()", async () => openHarness(), { numRuns: 400 });

modelTest(
	"a store on the data of a memory store, opened again and again",
	async () => {
		const { store, advance, now } = openHarness();
		return { ...sharedHarness("full", store, advance), now };
	},
	{ numRuns: 100, canReopen: true },
);

for (const driver of drivers) {
	modelTest(
		`sqliteStore() on ${driver}, opened again and again`,
		async () => {
			const { path, dispose } = await openFolder();
			let nowMs = Date.UTC(2026, 0, 1);
			const clock = { now: () => nowMs, setTimeout: () => undefined, clearTimeout: () => undefined };
			const open = () => sqliteStore({ path, driver, clock });
			const advance = async (ms: number) => {
				nowMs += ms;
			};
			return { store: open(), advance, now: clock.now, reopen: async () => open(), dispose };
		},
		{ numRuns: 100, canReopen: true },
	);
}
