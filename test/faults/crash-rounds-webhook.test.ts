import { describe, expect, test } from "vitest";
import { startReceiver } from "../support/http-receiver.ts";
import { Inbox } from "../support/inbox.ts";
import {
	type Deliveries,
	describeRounds,
	noteDelivery,
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
		`a process that is killed ${rounds} times loses no webhook, and the next one sends under the same id`,
		async () => {
			const random = seededRandom();
			const deliveries: Deliveries = new Map();
			/** By number: the ids under which it came, and the processes that sent it. */
			const seen = new Map<number, { readonly ids: Set<string>; readonly senders: Set<string> }>();
			/** Those that are not answered, so that their process is killed in the middle of an attempt. */
			const held = new Inbox<number>();
			let isHolding = false;
			const receiver = await startReceiver(({ id, headers, message }) => {
				const { n, text } = message.data as { readonly n: number; readonly text: string };
				expect(text).toBe(`number ${n}`);
				const before = seen.get(n);
				const { ids, senders } = before ?? { ids: new Set(), senders: new Set() };
				seen.set(n, { ids: ids.add(id), senders: senders.add(headers["user-agent"] ?? "") });
				if (before === undefined && isHolding) {
					isHolding = false;
					held.push(n);
					return undefined;
				}
				noteDelivery(deliveries, n, id);
				return 200;
			});
			const result = await runCrashRounds(kind, launcher, random, deliveries, {
				port: receiver.port,
				midAttempt() {
					isHolding = true;
					return held.next();
				},
			});
			expect([...seen.values()].filter(({ ids }) => ids.size > 1)).toEqual([]);
			const once = held.items.filter((n) => (seen.get(n)?.senders.size ?? 0) < 2);
			expect(once, "sent by a process that was killed, and not by another").toEqual([]);
			expect(held.items.length).toBeGreaterThan(0);
			console.log(describeRounds(`webhooks, ${kind.name}`, result, random.seed));
		},
		roundsTimeoutMs,
	);
});
