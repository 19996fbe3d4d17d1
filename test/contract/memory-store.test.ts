import { memoryStore } from "callhook";
import { fakeClock, storeContract } from "callhook/testing";
import { describe, test } from "vitest";

describe("memoryStore()", () => {
	const cases = storeContract(async () => {
		const clock = fakeClock();
		return { store: memoryStore({ clock }), advance: clock.advance };
	});
	for (const { name, run } of cases) test(name, run);
});
