import { describe, expect, test } from "vitest";
import type { TransactionEnd, TransactionInput } from "./programs/transaction.ts";
import { type Line, prepareProgram } from "./support/program.ts";
import { storeKinds } from "./support/stores.ts";

const launcher = await prepareProgram("transaction");

/** How the transaction ends, what its process says, and what the next one finds. */
const outcomes: readonly (readonly [TransactionEnd, readonly Line[], readonly Line[]])[] = [
	["commit", [["stored"], ["called back"], ["delivered", "o_1"], ["orders", 1]], [["orders", 1]]],
	["rollback", [["stored"], ["orders", 0]], [["orders", 0]]],
	[
		"commit and die",
		[["stored"]],
		[
			["delivered", "o_1"],
			["orders", 1],
		],
	],
	["die before the commit", [["stored"]], [["orders", 0]]],
];

describe.each(storeKinds)("$name", (kind) => {
	test.runIf(kind.isThere).each(outcomes)("an order and its event: %s", async (end, said, found) => {
		const { place, countStates, checkIntegrity } = await kind.open();
		const start = (input: Partial<TransactionInput>) =>
			launcher.start({ place, ...input }, { node: kind.node });
		const first = start({ end });
		const { signal } = await first.ended;
		expect(signal).toBe(end.includes("die") ? "SIGKILL" : null);
		// A callback and a delivery do not wait for each other.
		expect(first.lines.toSorted()).toEqual(said.toSorted());
		const second = start({});
		expect(await second.ended).toEqual({ code: 0, signal: null });
		expect(second.lines).toEqual(found);
		expect(await countStates()).toEqual(end.startsWith("commit") ? { delivered: 1 } : {});
		await checkIntegrity();
	});
});
