import { memoryStore } from "callhook";
import { fakeClock, storeContract } from "callhook/testing";
import { describe, test } from "vitest";
import { openSharedHarness } from "../support/shared-store.ts";

describe("memoryStore()", () => {
	const cases = storeContract(async () => {
		const clock = fakeClock();
		return { store: memoryStore({ clock }), advance: clock.advance };
	});
	for (const { name, run } of cases) test(name, run);
});

// What the suite asks of stores that share their data, the memory store alone never has to show.
describe.each(["append", "full"] as const)("stores that share a memory store: %s", (sharing) => {
	for (const { name, run } of storeContract(() => openSharedHarness(sharing))) test(name, run);
});
