import { describe, test } from "vitest";
import {
	type Deliveries,
	describeRounds,
	rounds,
	roundsTimeoutMs,
	runCrashRounds,
} from "./support/crash-rounds.ts";
import { prepareProgram } from "./support/program.ts";
import { seededRandom } from "./support/random.ts";
import { storeKinds } from "./support/stores.ts";

const launcher = await prepareProgram("crash-rounds");

describe.each(storeKinds)("$name", (kind) => {
	test.runIf(kind.isThere)(
		`a process that is killed ${rounds} times loses nothing that a durable handler was promised`,
		async () => {
			const random = seededRandom();
			const deliveries: Deliveries = new Map();
			const result = await runCrashRounds(kind, launcher, random, deliveries);
			console.log(describeRounds(`durable handler, ${kind.name}`, result, random.seed));
		},
		roundsTimeoutMs,
	);
});
