import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { bridgeCommands, firstCommands } from "../support/bridge-commands.ts";
import { openBridge, stopBridge } from "../support/bridge-harness.ts";

vi.mock("undici", async (importOriginal) => {
	const { FakeAgent } = await import("../support/fake-network.ts");
	return { ...(await importOriginal<typeof import("undici")>()), Agent: FakeAgent };
});

/** 250 in each run of the tests; CALLHOOK_MODEL_RUNS asks for more. */
const numRuns = Number(process.env.CALLHOOK_MODEL_RUNS ?? 250);

test(
	"a bridge does with every delivery what the plainest of bridges would, whatever happens in whatever order",
	async () => {
		const seen = new Map<string, number>();
		// A failure is made small first, and its seed and path printed.
		const property = fc.asyncProperty(firstCommands, bridgeCommands(40), async (first, commands) => {
			const { model, real } = openBridge();
			try {
				for (const command of first) await command.run(model, real);
				await fc.asyncModelRun(() => ({ model, real }), commands);
			} finally {
				await stopBridge(real);
				await real.store.close();
			}
			expect(real.clock.timers).toBe(0);
			const ends = [...model.rows.map(({ state }) => state), ...model.endpoints.map(({ reason }) => reason)];
			for (const end of ends) if (end !== undefined) seen.set(end, (seen.get(end) ?? 0) + 1);
		});
		await fc.assert(property, { numRuns });
		for (const end of ["delivered", "dead", "cancelled", "manual", "gone", "failing"])
			expect(seen.get(end), `${end} is tried`).toBeGreaterThan(0);
	},
	120_000 + numRuns * 200,
);
